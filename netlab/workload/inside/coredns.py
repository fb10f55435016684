"""`/coredns`: a name server that goes by a Corefile, as far as one of names and servers goes.

`hosts` and `forward` answer, `log`, `health` and `ready` do what they say. What needs no doing here
(`errors`, `loop` …; nothing is kept, so `cache` makes no answer different) is taken as it is, and a
plugin that this is not is no directive: CoreDNS' other plugins are not played.
"""

from __future__ import annotations

import argparse
import contextlib
import ipaddress
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from netlab.workload.inside import corefile, dnswire, web
from netlab.workload.inside.corefile import Directive, Malformed, ServerBlock
from netlab.workload.inside.dnswire import Query, Record
from netlab.workload.inside.web import in_background

VERSION = "1.11.3"
_TTL = 3600
_SECONDS = 5.0
_TAKEN_AS_IT_IS = {"bufsize", "cache", "debug", "errors", "loadbalance", "loop", "minimal",
                   "prometheus", "reload"}  # fmt: skip
_PAGES = {"health": (8080, "/health"), "ready": (8181, "/ready")}


def main(words: Sequence[str]) -> None:
    """Answer by the file that `-conf` names until somebody ends it."""
    parser = argparse.ArgumentParser("coredns", allow_abbrev=False)
    parser.add_argument("-conf", "--conf", default="Corefile")
    parser.add_argument("-dns.port", "--dns.port", dest="port", type=int, default=53)
    parser.add_argument("-version", "--version", action="version", version=f"CoreDNS-{VERSION}")
    given = parser.parse_args(words)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    try:
        zones = configured(Path(given.conf).read_text(), given.port)
    except OSError as error:
        _fail(f"loading Caddyfile via flag: open {given.conf}: {(error.strerror or '').lower()}")
    except Malformed as error:
        _fail(str(error))
    for port in {zone.port for zone in zones}:
        _serve(port, [zone for zone in zones if zone.port == port])
    for zone in zones:
        print(f"{zone.name}:{zone.port}")
    print(f"CoreDNS-{VERSION}\nnetlab's stand-in", flush=True)
    signal.pause()


def _fail(text: str) -> None:
    print(text, file=sys.stderr)
    sys.exit(1)


# -- what a file says --------------------------------------------------------------------------


class Hosts(NamedTuple):
    """Whose addresses are whose; who has none of the names that it knows asks on, if it may."""

    addresses: dict[str, list[Record]]
    names: dict[str, list[Record]]
    ttl: int
    through: tuple[str, ...]

    def answer(self, query: Query, ask_on: Callable[[], bytes]) -> bytes:
        """As CoreDNS does, which has no name for what has none: that is a failure."""
        if query.kind == dnswire.PTR:
            found = self.names.get(query.name, [])
            return dnswire.answer(query, dnswire.NOERROR, found, self.ttl) if found else ask_on()
        known = self.addresses.get(query.name)
        if known is None and any(_is_in(query.name, zone) for zone in self.through):
            return ask_on()
        if known is None:
            return dnswire.answer(query, dnswire.SERVFAIL)
        found = [record for record in known if record.kind == query.kind]
        return dnswire.answer(query, dnswire.NOERROR, found, self.ttl)


class Zone(NamedTuple):
    """One zone on one port, and by what it is answered."""

    name: str
    port: int
    hosts: Hosts | None
    forwards: tuple[tuple[str, tuple[tuple[str, int], ...]], ...]
    logs: bool

    def answer(self, query: Query, kind: int) -> bytes:
        """What is said to a query of this zone."""
        if self.hosts is None:
            return self._ask_on(query, kind)
        return self.hosts.answer(query, lambda: self._ask_on(query, kind))

    def _ask_on(self, query: Query, kind: int) -> bytes:
        for base, servers in self.forwards:
            if _is_in(query.name, base):
                return forwarded(query, kind, servers)
        return dnswire.answer(query, dnswire.SERVFAIL)


def configured(text: str, port: int = 53) -> list[Zone]:
    """The zones of a Corefile, the longest names first; `Malformed` for what is none."""
    zones = [zone for block in corefile.parse(text) for zone in _zones(block, port)]
    return sorted(zones, key=lambda zone: -len(zone.name))


def _zones(block: ServerBlock, port: int) -> Iterator[Zone]:
    hosts, forwards, logs = None, [], False
    names = [_key(key, block.line, port) for key in block.keys]
    for directive in block.directives:
        if directive.name == "hosts":
            hosts = _hosts(directive)
        elif directive.name == "forward":
            forwards.append(_forward(directive))
        elif directive.name in _PAGES:
            _show(directive)
        elif directive.name not in _TAKEN_AS_IT_IS | {"log"}:
            raise _wrong(directive, f"Unknown directive '{directive.name}'")
        logs = logs or directive.name == "log"
    for name, number in names:
        yield Zone(name, number, hosts, tuple(forwards), logs)


def _key(key: str, line: int, default: int) -> tuple[str, int]:
    """`.`, `example.org:1053`, `dns://.:53`; a network is its reverse zone."""
    name, _, port = key.removeprefix("dns://").partition(":")
    with contextlib.suppress(ValueError):
        if "/" in name:
            return _reverse(name), default
        return f"{name.lower().strip('.')}." if name.strip(".") else ".", int(port or default)
    raise Malformed(f"Corefile:{line} - Error during parsing: '{key}' is no zone")


def _reverse(network: str) -> str:
    found = ipaddress.ip_network(network)
    step = 4 if found.version == 6 else 8
    pointer = found.network_address.reverse_pointer.split(".")
    return ".".join(pointer[found.max_prefixlen // step - found.prefixlen // step :]) + "."


def _hosts(directive: Directive) -> Hosts:
    lines = [option.words for option in directive.below]
    file = Path(directive.words[1] if len(directive.words) > 1 else "/etc/hosts")
    with contextlib.suppress(OSError):
        texts = (line.partition("#")[0] for line in file.read_text().splitlines())
        lines = [*(tuple(text.split()) for text in texts), *lines]
    hosts = Hosts({}, {}, _ttl(directive), _through(directive))
    points = all(option.name != "no_reverse" for option in directive.below)
    for ip, *names in (words for words in lines if words and _is_address(words[0])):
        for name in names:
            key = f"{name.lower().rstrip('.')}."
            hosts.addresses.setdefault(key, []).append(dnswire.address(ip))
            if points:
                reverse = f"{ipaddress.ip_address(ip).reverse_pointer}."
                hosts.names.setdefault(reverse, []).append(dnswire.pointer(name))
    return hosts


def _ttl(directive: Directive) -> int:
    given = [option.words[1] for option in directive.below if option.name == "ttl"]
    return int(given[0]) if given and given[0].isdigit() else _TTL


def _through(directive: Directive) -> tuple[str, ...]:
    for option in directive.below:
        if option.name == "fallthrough":
            return option.words[1:] or (".",)
    return ()


def _forward(directive: Directive) -> tuple[str, tuple[tuple[str, int], ...]]:
    if len(directive.words) < 3:
        text = "Wrong argument count or unexpected line ending after 'forward'"
        raise _wrong(directive, text)
    base, *targets = directive.words[1:]
    return base, tuple(each for word in targets for each in _servers(word, directive))


def _servers(word: str, directive: Directive) -> Iterator[tuple[str, int]]:
    bare = word.removeprefix("dns://")
    if bare.startswith("/"):
        lines = (line.split() for line in Path(bare).read_text().splitlines())
        yield from ((each[1], 53) for each in lines if each[:1] == ["nameserver"])
        return
    host, colon, port = bare.rpartition(":")
    if _is_address(bare.strip("[]")):
        yield bare.strip("[]"), 53
    elif colon and _is_address(host.strip("[]")) and port.isdigit():
        yield host.strip("[]"), int(port)
    else:
        raise _wrong(directive, f'not an IP address or file: "{word}"')


def _show(directive: Directive) -> None:
    default, path = _PAGES[directive.name]
    port = directive.words[1].rpartition(":")[2] if len(directive.words) > 1 else str(default)
    server = web.Server(web.listening(int(port)), web.routed({path: lambda _: web.Answer("OK")}))
    in_background(server.run)


def _wrong(directive: Directive, text: str) -> Malformed:
    return Malformed(f"Corefile:{directive.line} - Error during parsing: {text}")


def _is_address(text: str) -> bool:
    with contextlib.suppress(ValueError):
        return bool(ipaddress.ip_address(text))
    return False


def _is_in(name: str, zone: str) -> bool:
    """Whether a name, with its dot, is a zone's."""
    zone = zone.lower().strip(".")
    return not zone or f".{name}".endswith(f".{zone}.")


# -- answering ---------------------------------------------------------------------------------


def _serve(port: int, zones: Sequence[Zone]) -> None:
    in_background(_datagrams, web.listening(port, kind=socket.SOCK_DGRAM), zones)
    in_background(_streams, web.listening(port), zones)


def _datagrams(opened: socket.socket, zones: Sequence[Zone]) -> None:
    while True:
        message, client = opened.recvfrom(65535)
        in_background(_answer_datagram, opened, message, client, zones)


def _answer_datagram(
    opened: socket.socket, message: bytes, client: tuple[str, int], zones: Sequence[Zone]
) -> None:
    with contextlib.suppress(OSError, ValueError):
        query = dnswire.read(message)
        said = answered(query, zones, socket.SOCK_DGRAM, client)
        opened.sendto(dnswire.fitting(query, said), client)


def _streams(opened: socket.socket, zones: Sequence[Zone]) -> None:
    while True:
        in_background(_answer_stream, *opened.accept(), zones)


def _answer_stream(
    connection: socket.socket, client: tuple[str, int], zones: Sequence[Zone]
) -> None:
    connection.settimeout(_SECONDS)
    with connection, contextlib.suppress(OSError, ValueError):
        while message := _framed(connection):
            said = answered(dnswire.read(message), zones, socket.SOCK_STREAM, client)
            connection.sendall(len(said).to_bytes(2, "big") + said)


def answered(query: Query, zones: Sequence[Zone], kind: int, client: tuple[str, int]) -> bytes:
    """The answer of the zone with the longest name; a name that is in none is refused."""
    began = time.monotonic()
    zone = next((zone for zone in zones if _is_in(query.name, zone.name)), None)
    if zone is None:
        return dnswire.answer(query, dnswire.REFUSED)
    said = zone.answer(query, kind)
    if zone.logs:
        _log(query, said, "udp" if kind == socket.SOCK_DGRAM else "tcp", client, began)
    return said


def _log(query: Query, said: bytes, how: str, client: tuple[str, int], began: float) -> None:
    host = client[0].removeprefix("::ffff:")
    place = f"[{host}]:{client[1]}" if ":" in host else f"{host}:{client[1]}"
    asked = f"{dnswire.TYPES.get(query.kind, f'TYPE{query.kind}')} IN {query.name}"
    sizes = f"{how} {len(query.message)} false {query.size}"
    seconds = f"{time.monotonic() - began:.9f}s"
    end = f"{dnswire.code_of(said)} qr,aa,rd {len(said)} {seconds}"
    print(f'[INFO] {place} - {query.id} "{asked} {sizes}" {end}', flush=True)


def forwarded(query: Query, kind: int, servers: Sequence[tuple[str, int]]) -> bytes:
    """What the first server says that says something, asked as we were."""
    for server in servers:
        with contextlib.suppress(OSError):
            family = socket.AF_INET6 if ":" in server[0] else socket.AF_INET
            with socket.socket(family, kind) as opened:
                opened.settimeout(_SECONDS)
                opened.connect(server)
                if kind == socket.SOCK_DGRAM:
                    opened.send(query.message)
                    return opened.recv(65535)
                opened.sendall(len(query.message).to_bytes(2, "big") + query.message)
                if said := _framed(opened):
                    return said
    return dnswire.answer(query, dnswire.SERVFAIL)


def _framed(connection: socket.socket) -> bytes:
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
