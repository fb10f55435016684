"""Plugins of CoreDNS that answer, or see to answers: each is given a query, and whom to ask on."""

from __future__ import annotations

import contextlib
import ipaddress
import random
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from netlab.workload.inside import dnswire
from netlab.workload.inside.corefile import Directive, wrong
from netlab.workload.inside.dnsrewrite import within
from netlab.workload.inside.dnswire import Query, Record

AskOn = Callable[[Query], bytes]
Plugin = Callable[[Query, AskOn], bytes]

_SECONDS = 5.0
_LOOK = 5.0
_TTL = 3600


def chain(plugins: Sequence[Plugin], last: AskOn) -> AskOn:
    """All of them, one before the other."""
    for plugin in reversed(plugins):
        last = _before(plugin, last)
    return last


def _before(plugin: Plugin, ask_on: AskOn) -> AskOn:
    return lambda query: plugin(query, ask_on)


def is_address(text: str) -> bool:
    """Whether it is an IP address."""
    with contextlib.suppress(ValueError):
        return bool(ipaddress.ip_address(text))
    return False


def is_port(text: str) -> bool:
    """Whether it is the number of a port."""
    return text.isascii() and text.isdigit() and len(text) < 6 and 0 < int(text) < 65536


# -- hosts -------------------------------------------------------------------------------------


class Hosts:
    """Whose addresses are whose, by lines and by a file, which is read again when it changes; who
    has none of the names that it knows asks on, if it may."""

    def __init__(self, directive: Directive) -> None:
        words = directive.words[1:]
        self._file = Path(words[0] if words else "/etc/hosts")
        self._lines = [option.words for option in directive.below]
        self._ttl = _ttl(directive)
        self._through = through(directive)
        self._points = all(option.name != "no_reverse" for option in directive.below)
        self._state: object = None
        self._looked = 0.0
        self._lock = threading.Lock()
        self._read_again()

    def __call__(self, query: Query, ask_on: AskOn) -> bytes:
        """As CoreDNS does, which has no name for what has none: that is a failure."""
        if time.monotonic() - self._looked > _LOOK:
            self._read_again()
        if query.kind == dnswire.PTR:
            found = self._names.get(query.name, [])
            return dnswire.answer(query, dnswire.NOERROR, found) if found else ask_on(query)
        known = self._addresses.get(query.name)
        if known is None and any(within(query.name, zone) for zone in self._through):
            return ask_on(query)
        if known is None:
            return dnswire.answer(query, dnswire.SERVFAIL)
        found = [record for record in known if record.kind == query.kind]
        return dnswire.answer(query, dnswire.NOERROR, found)

    def _read_again(self) -> None:
        with self._lock:
            self._looked, state = time.monotonic(), None
            with contextlib.suppress(OSError):
                found = self._file.stat()
                state = found.st_mtime_ns, found.st_size, found.st_ino
            if self._looked and state == self._state and hasattr(self, "_names"):
                return
            self._state = state
            self._addresses, self._names = self._records()

    def _records(self) -> tuple[dict[str, list[Record]], dict[str, list[Record]]]:
        addresses, names, lines = dict[str, list[Record]](), dict[str, list[Record]](), []
        with contextlib.suppress(OSError):
            texts = (line.partition("#")[0] for line in self._file.read_text().splitlines())
            lines = [tuple(text.split()) for text in texts]
        lines += self._lines
        for ip, *called in (words for words in lines if words and is_address(words[0])):
            for word in called:
                name = f"{word.lower().rstrip('.')}."
                addresses.setdefault(name, []).append(dnswire.address(name, ip, self._ttl))
                if self._points:
                    back = f"{ipaddress.ip_address(ip).reverse_pointer}."
                    pointer = dnswire.pointing(back, dnswire.PTR, name, self._ttl)
                    names.setdefault(back, []).append(pointer)
        return addresses, names


def _ttl(directive: Directive) -> int:
    given = [option.words[1] for option in directive.below if option.words[0] == "ttl"]
    return int(given[0]) if given and given[0].isdigit() else _TTL


def through(directive: Directive) -> tuple[str, ...]:
    """The zones of its `fallthrough`."""
    for option in directive.below:
        if option.name == "fallthrough":
            return option.words[1:] or (".",)
    return ()


# -- forward -----------------------------------------------------------------------------------


class Forward(NamedTuple):
    """Asks the servers for names below `base` that are not `excepted`, over TCP if it must."""

    base: str
    servers: tuple[tuple[str, int], ...]
    excepted: tuple[str, ...] = ()
    tcp: bool = False
    policy: str = "random"

    def __call__(self, query: Query, ask_on: AskOn) -> bytes:
        """What the first server says that says something, asked as we were."""
        if not within(query.name, self.base) or any(within(query.name, z) for z in self.excepted):
            return ask_on(query)
        servers = list(self.servers)
        if self.policy != "sequential":
            random.shuffle(servers)
        for server in servers:
            with contextlib.suppress(OSError, ValueError):
                if said := exchanged(query, server, stream=query.stream or self.tcp):
                    return said
        return dnswire.answer(query, dnswire.SERVFAIL)


def forward(directive: Directive) -> Forward:
    """`forward FROM TO… { … }`; `Malformed`."""
    if len(directive.words) < 3:
        text = "Wrong argument count or unexpected line ending after 'forward'"
        raise wrong(directive, text)
    base, *targets = directive.words[1:]
    options = {option.name: option for option in directive.below}
    for name, option in options.items():
        if name.startswith("tls"):
            raise wrong(option, "netlab's stand-in asks nobody over TLS")
    excepted = options["except"].words[1:] if "except" in options else ()
    policy = options["policy"].words[1] if "policy" in options else "random"
    servers = tuple(each for word in targets for each in _servers(word, directive))
    return Forward(base, servers, excepted, "force_tcp" in options, policy)


def _servers(word: str, directive: Directive) -> Iterator[tuple[str, int]]:
    bare = word.removeprefix("dns://")
    if bare.startswith("/"):
        try:
            lines = [line.split() for line in Path(bare).read_text().splitlines()]
        except OSError as error:
            raise wrong(directive, f"open {bare}: {(error.strerror or '').lower()}") from None
        yield from ((each[1], 53) for each in lines if each[:1] == ["nameserver"])
        return
    host, colon, port = bare.rpartition(":")
    if is_address(bare.strip("[]")):
        yield bare.strip("[]"), 53
    elif colon and is_address(host.strip("[]")) and is_port(port):
        yield host.strip("[]"), int(port)
    elif bare.startswith("tls://"):
        raise wrong(directive, "netlab's stand-in asks nobody over TLS")
    else:
        raise wrong(directive, f'not an IP address or file: "{word}"')


def exchanged(query: Query, server: tuple[str, int], *, stream: bool) -> bytes:
    """What a server says; b"" for nothing."""
    kind = socket.SOCK_STREAM if stream else socket.SOCK_DGRAM
    family = socket.AF_INET6 if ":" in server[0] else socket.AF_INET
    with socket.socket(family, kind) as opened:
        opened.settimeout(_SECONDS)
        opened.connect(server)
        if not stream:
            opened.send(query.message)
            while True:
                said = opened.recv(65535)
                if said[:2] == query.message[:2]:
                    return said
        opened.sendall(len(query.message).to_bytes(2, "big") + query.message)
        return framed(opened)


def framed(connection: socket.socket) -> bytes:
    """The next message of a stream; nothing at its end."""
    with connection.makefile("rb", buffering=0) as stream:
        length = int.from_bytes(_exactly(stream.read, 2), "big")
        return _exactly(stream.read, length)


def _exactly(read: Callable[[int], bytes | None], size: int) -> bytes:
    content = b""
    while len(content) < size:
        if not (chunk := read(size - len(content))):
            return b""
        content += chunk
    return content


# -- the order of answers, and who asks -----------------------------------------------------------


def loadbalance(query: Query, ask_on: AskOn) -> bytes:
    """Addresses in another order each time; aliases before them."""
    said = ask_on(query)
    with contextlib.suppress(ValueError):
        message = dnswire.unpack(said)
        kinds = (dnswire.A, dnswire.AAAA, dnswire.MX)
        chosen = [record for record in message.answers if record.kind in kinds]
        if len(chosen) > 1:
            rest = [record for record in message.answers if record.kind not in kinds]
            random.shuffle(chosen)
            return dnswire.packed(query, message._replace(answers=(*rest, *chosen)))
    return said


def whoami(query: Query, ask_on: AskOn) -> bytes:  # noqa: ARG001 - it is the last
    """Who asks, from which port, and how."""
    host, port = query.client[0].removeprefix("::ffff:"), query.client[1]
    proto = "_tcp" if query.stream else "_udp"
    data = struct.pack("!3H", 0, 0, port) + b"\0"
    more = [
        dnswire.address(query.name, host, 0),
        Record(f"{proto}.{query.name}", dnswire.SRV, 0, data),
    ]
    return dnswire.answer(query, dnswire.NOERROR, additional=more)
