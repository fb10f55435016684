"""The ends that rules of either mode give a packet, and the kinds of addresses."""

from __future__ import annotations

import ipaddress
import re

from netlab.prove.space import Space, Values, union
from netlab.prove.steps import HERE, Translate

# `10.0.0.1:80`, `[fd00::1]:80`, `10.0.0.1 . 80`, `fd00::1`, `:80`, `:80-90`, nothing
_END = re.compile(
    r"(?:\[(?P<bracketed>[^]]+)\]|(?P<address>[^:\s]*|[^:\s]*:[^:\s]*:\S*))"
    r"(?:(?::| \. )(?P<port>\d+)(?P<last>-\d+)?)?"
)


def destination(text: str, space: Space) -> Translate:
    """Of `10.0.0.1:80`, `10.0.0.1 . 80`, `:80`; `ValueError` for a range to choose from."""
    match = _END.fullmatch(text)
    if match is None or match["last"]:
        raise ValueError(text)
    address = match["bracketed"] or match["address"] or ""
    return Translate(_number(address, space) if address else None, int(match["port"] or 0) or None)


def _number(text: str, space: Space) -> int:
    """An address as a number of the family's."""
    values = space.network(text)
    if not values or values[0][0] != values[0][1]:
        raise ValueError(text)
    return values[0][0]


def redirected(port: str) -> Translate:
    """To the node itself."""
    if port and not port.isdigit():
        raise ValueError(port)
    return Translate(HERE, int(port or 0) or None)


def source(text: str) -> str:
    """The address of `10.0.0.1`, `10.0.0.1:1024-2000`, `[fd00::1]:80`; as it is when it has
    none. `ValueError` for a range of addresses."""
    match = _END.fullmatch(text)
    if match is None:
        raise ValueError(text)
    address = match["bracketed"] or match["address"] or ""
    if address:
        ipaddress.ip_address(address)
    return address or "its own address"


def kind(word: str, space: Space) -> Values:
    """The addresses of a kind: local, multicast, broadcast (the limited one), unicast."""
    others = multicast(space), broadcast(space)
    if word == "local":
        return space.local
    if word == "multicast":
        return others[0]
    if word == "broadcast":
        return others[1]
    if word == "unicast":
        return space.but(0, union((*space.local, *others[0], *others[1])))
    raise ValueError(word)


def multicast(space: Space) -> Values:
    """Those of groups."""
    return space.network("224.0.0.0/4" if space.family == "ipv4" else "ff00::/8")


def broadcast(space: Space) -> Values:
    """All neighbours."""
    return space.network("255.255.255.255")
