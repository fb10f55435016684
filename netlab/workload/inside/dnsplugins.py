"""Plugins of CoreDNS that answer, or see to answers: each is given a query, and whom to ask on."""

from __future__ import annotations

import contextlib
import random
import socket
import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from netlab.workload.inside import dnswire
from netlab.workload.inside.corefile import Directive, lacking, wrong
from netlab.workload.inside.dnsfiles import is_address
from netlab.workload.inside.dnsrewrite import within
from netlab.workload.inside.dnswire import Query, Record

AskOn = Callable[[Query], bytes]
Plugin = Callable[[Query, AskOn], bytes]

_SECONDS = 5.0


def chain(plugins: Sequence[Plugin], last: AskOn) -> AskOn:
    """All of them, one before the other."""
    for plugin in reversed(plugins):
        last = _before(plugin, last)
    return last


def _before(plugin: Plugin, ask_on: AskOn) -> AskOn:
    return lambda query: plugin(query, ask_on)


def is_port(text: str) -> bool:
    """Whether it is the number of a port."""
    return text.isascii() and text.isdigit() and len(text) < 6 and 0 < int(text) < 65536


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
            raise lacking(option, "netlab's stand-in asks nobody over TLS")
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
        raise lacking(directive, "netlab's stand-in asks nobody over TLS")
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
