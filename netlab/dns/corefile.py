"""A Corefile of node-cache: what is read of it, and what a dnsmasq cannot do. Pure.

    text → server blocks → one `CacheSettings` for the node's dnsmasq, and notes on the rest

node-cache is a CoreDNS with some plugins (kubernetes/dns, cmd/node-cache/main.go); the form of the
file is Caddy's. What CoreDNS would refuse is refused in its words; what it does and dnsmasq does
not is told of, and left out.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache

from msgspec import Struct

from netlab.dns.config import reverse_zones
from netlab.errors import NetlabError
from netlab.workload.inside.corefile import Directive, Malformed, ServerBlock, parse

CLUSTER, OUTSIDE = "__PILLAR__CLUSTER__DNS__", "__PILLAR__UPSTREAM__SERVERS__"
"""What node-cache puts its upstream Service, and the servers beyond, in the place of."""

RESOLV_CONF = "/etc/resolv.conf"
METRICS, HEALTH = ("", 9153), ("", 8080)
"""Where these plugins answer unless they are told."""

SIZE, TTL = 9984, 3600
"""What the cache plugin holds, and believes at most (seconds), unless it is told."""

DENIAL = 5
"""Seconds that a CoreDNS behind it would have it believe that there is no such name, by its SOA."""


LAST_PORT = 65535


class CorefileError(NetlabError):
    """CoreDNS would not begin with such a file."""


Place = tuple[str, int]
"""An address, "" for all of them, and a port."""


class CacheSettings(Struct, frozen=True):
    """How a node's dnsmasq is to answer.

    `servers` are whom it asks, by zone ("." for all others), over TCP for the zones `forced`; `ttl`
    is how long it believes an answer at most (seconds), `denial` how long that there is none, and
    `size` how many it keeps.
    `notes` say, by line, what is left out.
    """

    servers: tuple[tuple[str, tuple[str, ...]], ...]
    listen: tuple[str, ...] = ()
    size: int = SIZE
    ttl: int = TTL
    denial: int = DENIAL
    logs: bool = False
    metrics: Place | None = None
    health: Place | None = None
    plugins: tuple[str, ...] = ()
    forced: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


# -- what it comes to -------------------------------------------------------------------------

_SILENT = {"errors", "loop", "reload", "loadbalance", "log", "bind", "cache", "forward",
           "prometheus", "health"}  # fmt: skip
"""Plugins that are acted on, or whose effect dnsmasq has by itself."""

_LEFT_OUT = {"debug", "hosts", "pprof", "rewrite", "template", "trace", "whoami"}
"""Plugins that node-cache has, and dnsmasq has not."""

_OPTIONS_LEFT_OUT = {
    "policy": "dnsmasq asks the server that answered fastest",
    "except": "what is excepted is asked of the same servers",
}


class _Reading(Struct):
    """What has been gathered of all blocks."""

    pillars: Mapping[str, Sequence[str]]
    servers: dict[str, tuple[str, ...]]
    listen: dict[str, None]
    ttls: dict[int, int]
    """Lines by the lifetimes that they give."""
    sizes: list[int]
    denials: list[int]
    plugins: dict[str, None]
    notes: list[str]
    forced: dict[str, None]
    logs: bool = False
    metrics: Place | None = None
    health: Place | None = None

    def note(self, line: int, text: str) -> None:
        self.notes.append(f"Corefile:{line}: {text}")


@lru_cache(8)
def settings(text: str, cluster: tuple[str, ...], outside: tuple[str, ...]) -> CacheSettings:
    """What a Corefile asks for, on a node whose `cluster` name server and servers `outside` are
    these. `CorefileError` for what CoreDNS would not begin with. All nodes ask, again and again."""
    pillars = {CLUSTER: cluster, OUTSIDE: outside, RESOLV_CONF: outside}
    reading = _Reading(pillars, {}, {}, {}, [], [], {}, [], {})
    for block in blocks(text):
        _read(block, reading)
    if not reading.servers:
        raise CorefileError("Corefile: no zone is forwarded to anybody")
    if len(reading.ttls) > 1:
        shortest = min(reading.ttls)
        reading.note(reading.ttls[shortest], f"cache {shortest} is for all zones: dnsmasq has one")
    return CacheSettings(
        servers=tuple(reading.servers.items()),
        listen=tuple(reading.listen),
        size=max(reading.sizes, default=0),
        ttl=min(reading.ttls, default=0),
        denial=min(reading.denials, default=0),
        logs=reading.logs,
        metrics=reading.metrics,
        health=reading.health,
        plugins=tuple(reading.plugins),
        forced=tuple(reading.forced),
        notes=tuple(dict.fromkeys(reading.notes)),
    )


def blocks(text: str) -> list[ServerBlock]:
    """The server blocks of a Corefile; `CorefileError` if it is none."""
    try:
        return parse(text)
    except Malformed as error:
        raise CorefileError(str(error)) from None


def _read(block: ServerBlock, reading: _Reading) -> None:
    zones = [zone for key in block.keys for zone in zones_of(key, block.line)]
    for directive in block.directives:
        name = directive.name
        if name not in _SILENT | _LEFT_OUT:
            raise CorefileError(
                f"Corefile:{directive.line} - Error during parsing: Unknown directive '{name}'"
            )
        if name in _LEFT_OUT:
            reading.note(directive.line, f"{name} is left out: the node's cache is a dnsmasq")
            continue
        reading.plugins[name] = None
        if (read := _PLUGINS.get(name)) is not None:
            read(directive, zones, reading)


_ZONE = re.compile(r"\.|[a-z0-9_*-]+(\.[a-z0-9_*-]+)*")
_KEY = re.compile(r"(?:dns://)?(?P<zone>\[?[^:]*?\]?|[0-9a-f:]+/\d+)(?::(?P<port>\d+))?")


def zones_of(key: str, line: int) -> Iterable[str]:
    """The zones of a block's key: `cluster.local:53`, `.`, `10.0.0.0/24`."""
    found = _KEY.fullmatch(key)
    if found is None:
        raise CorefileError(f"Corefile:{line} - Error during parsing: '{key}' is no zone")
    if found["port"] not in (None, "53"):
        raise CorefileError(f"Corefile:{line}: {key}: the node's cache answers on port 53 alone")
    zone = found["zone"].lower().removesuffix(".")
    if zone.startswith("("):
        raise CorefileError(f"Corefile:{line}: the node's cache reads no snippets")
    try:
        found_zones = reverse_zones(zone) if "/" in zone else [zone or "."]
    except ValueError:
        found_zones = []
    if not found_zones or not is_zone(found_zones[0]):
        raise CorefileError(f"Corefile:{line} - Error during parsing: '{key}' is no zone")
    return found_zones


def is_zone(text: str) -> bool:
    """Whether it can stand for a zone, also in a line of dnsmasq's, where `/` parts zones."""
    return _ZONE.fullmatch(text) is not None


def _bind(directive: Directive, _: Sequence[str], reading: _Reading) -> None:
    for word in directive.words[1:]:
        if (ip := _address(word)) is None:
            reading.note(directive.line, f"bind {word} is left out: it is no address")
        else:
            reading.listen[ip] = None


def _cache(directive: Directive, _: Sequence[str], reading: _Reading) -> None:
    ttl, size = _number(directive, 1, TTL), SIZE
    denial = min(ttl, DENIAL)
    for option in directive.below:
        if option.name == "success":
            size, ttl = _number(option, 1, SIZE), _number(option, 2, ttl)
        elif option.name == "denial":
            denial = min(_number(option, 2, denial), DENIAL)
        elif option.words[:2] == ("disable", "denial"):
            denial = 0
        else:
            reading.note(option.line, f"{option.name} is left out: the node's cache is a dnsmasq")
    reading.ttls.setdefault(ttl, directive.line)
    reading.sizes.append(size)
    reading.denials.append(denial)


def _number(directive: Directive, at: int, default: int) -> int:
    word = directive.words[at] if at < len(directive.words) else str(default)
    return int(word) if word.isascii() and word.isdigit() and len(word) < 10 else default


def forwarded(directive: Directive) -> tuple[str, Sequence[str]]:
    """What a `forward` is for, and where it goes; `CorefileError` if it does not say both."""
    if len(directive.words) < 3:
        raise CorefileError(
            f"Corefile:{directive.line} - Error during parsing: Wrong argument count or unexpected "
            "line ending after 'forward'"
        )
    base = directive.words[1].lower().rstrip(".") or "."
    if not is_zone(base):
        raise CorefileError(
            f"Corefile:{directive.line} - Error during parsing: unable to normalize "
            f"'{directive.words[1]}'"
        )
    return base, directive.words[2:]


def _forward(directive: Directive, zones: Sequence[str], reading: _Reading) -> None:
    base, targets = forwarded(directive)
    found = [server for word in targets for server in _servers(word, directive, reading)]
    for zone in zones if base == "." else [base]:
        if zone in reading.servers:
            raise CorefileError(
                f"Corefile:{directive.line}: zone {zone} is forwarded twice, and goes one way"
            )
        reading.servers[zone] = tuple(dict.fromkeys(found))
        if any(option.name == "force_tcp" for option in directive.below):
            reading.forced[zone] = None
    for option in directive.below:
        if why := _OPTIONS_LEFT_OUT.get(option.name):
            reading.note(option.line, f"{option.name} is left out: {why}")
        elif option.name.startswith("tls"):
            raise CorefileError(f"Corefile:{option.line}: the node's cache speaks no TLS")


def _servers(word: str, directive: Directive, reading: _Reading) -> Sequence[str]:
    """Whom a word means, as dnsmasq has them: `10.96.0.10` or `10.96.0.10#5353`."""
    if word in reading.pillars:
        return reading.pillars[word]
    return [server(word, directive.line)]


def server(word: str, line: int) -> str:
    """A server as dnsmasq has it: `10.96.0.10` or `10.96.0.10#5353`."""
    address, port = _place(word.removeprefix("dns://"), line)
    if (ip := _address(address)) is None:
        raise CorefileError(
            f"Corefile:{line} - Error during parsing: not an IP address or file: {word!r}"
        )
    return ip if port in (0, 53) else f"{ip}#{port}"


def _prometheus(directive: Directive, _: Sequence[str], reading: _Reading) -> None:
    reading.metrics = _listening(directive, METRICS)


def _health(directive: Directive, _: Sequence[str], reading: _Reading) -> None:
    reading.health = _listening(directive, HEALTH)


def _listening(directive: Directive, default: Place) -> Place:
    if len(directive.words) < 2:
        return default
    address, port = _place(directive.words[1], directive.line)
    return address, port or default[1]


def _place(text: str, line: int) -> Place:
    """`:9253`, `169.254.20.10:8080`, `[fd00::1]:53`, or an address alone (port 0)."""
    if _address(text.strip("[]")) is not None:
        return text.strip("[]"), 0
    address, _, word = text.rpartition(":")
    port = int(word) if word.isascii() and word.isdigit() and len(word) < 10 else 0
    if port > LAST_PORT:
        raise CorefileError(f"Corefile:{line} - Error during parsing: address {text}: invalid port")
    return address.strip("[]"), port


def _address(text: str) -> str | None:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None


_PLUGINS: Mapping[str, Callable[[Directive, Sequence[str], _Reading], None]] = {
    "bind": _bind,
    "cache": _cache,
    "forward": _forward,
    "prometheus": _prometheus,
    "health": _health,
    "log": lambda _directive, _zones, reading: setattr(reading, "logs", True),
}
