"""Headers as numbers: the fields, sets of values of one, regions of the space.

A set of values is a tuple of intervals `((low, high), …)`, in order and apart. Behind the last
address of a family stands one more, `own`: any address of the node that no rule names.
"""

from __future__ import annotations

import ipaddress
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from functools import lru_cache
from socket import AF_INET, inet_pton
from typing import NamedTuple

from netlab.proxy.addresses import Family

Values = tuple[tuple[int, int], ...]
"""Intervals, low and high both in."""

DADDR, DPORT, PROTO, SADDR, SPORT, IIF, OIF, CT = range(8)
"""The fields, in the order in which decisions ask for them. Of ICMP, the type is where others have
the port that they are for, and the code where they have their own."""

NO_FIELD = 8

Region = tuple[Values, ...]
"""The values of each field: a product of sets."""

Box = tuple[tuple[int, Values], ...]
"""What a rule asks of some fields, in their order."""

NOTHING: Values = ()
STATES = ("NEW", "ESTABLISHED", "RELATED", "INVALID", "UNTRACKED")
NEW: Values = ((0, 0),)
TRACKED: Values = ((0, 3),)
"""What a packet comes as; untracked it is made by a rule."""

UNTRACKED = 4

PROTOCOLS = {
    "icmp": 1, "tcp": 6, "udp": 17, "dccp": 33, "gre": 47, "esp": 50, "ah": 51, "ipv6-icmp": 58,
    "icmpv6": 58, "sctp": 132, "udplite": 136,
}  # fmt: skip
ICMP: Values = ((1, 1), (58, 58))
WITH_PORTS: Values = ((6, 6), (17, 17), (33, 33), (132, 132), (136, 136))


# -- sets of values ------------------------------------------------------------------------


def meet(one: Values, other: Values) -> Values:
    """What is in both."""
    if one is other or not one or not other:
        return one and other
    if len(one) == 1 and len(other) == 1:
        low, high = max(one[0][0], other[0][0]), min(one[0][1], other[0][1])
        return ((low, high),) if low <= high else NOTHING
    if len(one) > len(other):
        one, other = other, one
    return tuple(_met(one, other))


def _met(few: Values, many: Values) -> Iterable[tuple[int, int]]:
    for low, high in few:
        at = bisect_left(many, low, key=_high)
        while at < len(many) and many[at][0] <= high:
            yield max(low, many[at][0]), min(high, many[at][1])
            at += 1


def _high(interval: tuple[int, int]) -> int:
    return interval[1]


def union(intervals: Iterable[tuple[int, int]]) -> Values:
    """Any intervals as a set."""
    found: list[tuple[int, int]] = []
    for low, high in sorted(intervals):
        if found and low <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(high, found[-1][1]))
        else:
            found.append((low, high))
    return tuple(found)


def without(values: Values, top: int) -> Values:
    """All others up to `top`."""
    found, begin = [], 0
    for low, high in values:
        if begin < low:
            found.append((begin, low - 1))
        begin = high + 1
    return (*found, (begin, top)) if begin <= top else tuple(found)


def size(values: Values) -> int:
    """How many there are."""
    return sum(high - low + 1 for low, high in values)


def longest_first(routes: Iterable[tuple[Values, int]], whole: Values) -> list[tuple[Values, int]]:
    """Routes without what a longer one takes from them."""
    left, found = whole, []
    for values, link in sorted(routes, key=lambda one: size(one[0])):
        mine = meet(values, left)
        if mine:
            found.append((mine, link))
            left = meet(left, without(values, whole[-1][1]))
    return found


def has(values: Values, value: int) -> bool:
    """Whether it is one of them."""
    at = bisect_right(values, value, key=lambda each: each[0]) - 1
    return at >= 0 and values[at][1] >= value


# -- a family's space ----------------------------------------------------------------------


class Space:
    """The header space of one family, with the links that rules name and the node's addresses.

    `local` are those that are known; when there are none, `own` stands for them.
    """

    def __init__(
        self, family: Family, links: Iterable[str] = (), local: Iterable[str] = ()
    ) -> None:
        self.family = family
        self.own = 1 << (32 if family == "ipv4" else 128)
        self.links = _atoms(links)
        self.known = tuple(sorted({ipaddress.ip_address(one) for one in local}, key=int))
        self.known_local = union((int(one), int(one)) for one in self.known)
        loopback = self.network("127.0.0.0/8" if family == "ipv4" else "::1")
        self.loopback = loopback
        self.local = union((*loopback, (self.own, self.own), *self.known_local))
        last = self.own if not self.known else self.own - 1
        self.tops = (self.own, 65535, 255, self.own, 65535, *(2 * (len(self.links) - 1,)), 4)
        whole = [((0, top),) for top in self.tops]
        whole[DADDR] = whole[SADDR] = ((0, last),)
        self.all: Region = tuple(whole)

    def network(self, text: str) -> Values:
        """`10.0.0.0/8`, `10.0.0.1-10.0.0.9`, `10.0.0.1`. `ValueError` for what is none of these,
        nothing for what is of the other family."""
        return _network(text, 4 if self.family == "ipv4" else 6)

    def link(self, pattern: str, wild: str = "+") -> Values:
        """The links that a pattern as `eth0`, `eth+` means."""
        if not pattern.endswith(wild):
            return ((self.links.index(pattern),) * 2,)
        begin = pattern[: -len(wild)]
        met = [number for number, name in enumerate(self.links) if name.startswith(begin)]
        return union((number, number) for number in met if number)

    def but(self, field: int, values: Values) -> Values:
        """All other values of a field."""
        return without(values, self.tops[field])

    def address(self, value: int) -> str:
        """An address in words."""
        if value == self.own:
            return "an address of the node"
        kind = ipaddress.IPv4Address if self.family == "ipv4" else ipaddress.IPv6Address
        return str(kind(value))


@lru_cache(maxsize=200_000)
def _network(text: str, version: int) -> Values:
    first, dash, last = text.partition("-")
    if dash:
        low, high = ipaddress.ip_address(first), ipaddress.ip_address(last)
        return ((int(low), int(high)),) if low.version == version else NOTHING
    if "/" not in text or text.endswith("/32" if version == 4 else "/128"):  # nearly all
        alone = text.partition("/")[0]
        if version == 4 and ":" not in alone and (known := _v4(alone)) is not None:
            return ((known, known),)
        one = ipaddress.ip_address(alone)
        return ((int(one),) * 2,) if one.version == version else NOTHING
    found = ipaddress.ip_network(text, strict=False)
    low_, high_ = int(found.network_address), int(found.broadcast_address)
    return ((low_, high_),) if found.version == version else NOTHING


def _v4(text: str) -> int | None:
    """An address, in a tenth of the time; None for what is none."""
    try:
        return int.from_bytes(inet_pton(AF_INET, text))
    except OSError:
        return None


NO_LINK, LOOPBACK_LINK = 0, 1
OTHER_NAME = "\0"
"""Ends the names of links that no rule names in full."""


def _atoms(patterns: Iterable[str]) -> tuple[str, ...]:
    """Names of links so that every pattern means some of them: no link, lo, those named, one
    more for each prefix, and one that no pattern means."""
    named = {one for one in patterns if not one.endswith(("+", "*"))} - {"", "lo"}
    begun = {one[:-1] + OTHER_NAME for one in patterns if one.endswith(("+", "*"))}
    return ("", "lo", *sorted(named), *sorted(begun | {OTHER_NAME}))


def ports(text: str, dash: str = ":") -> tuple[int, int]:
    """`80`, `80:90`, `:90`, `80:`."""
    low, ranged, high = text.partition(dash)
    first = int(low or 0)
    last = int(high or 65535) if ranged else first
    if not 0 <= first <= last <= 65535:
        raise ValueError(text)
    return first, last


class Narrowed(NamedTuple):
    """A region within a box, and what of the box had to be asked for that."""

    region: Region
    asked: Box


def narrow(region: Region, box: Box) -> Narrowed | None:
    """What of a region is in a box; None if nothing is."""
    if not box:
        return Narrowed(region, ())
    asked: list[tuple[int, Values]] = []
    found = list(region)
    for field, values in box:
        had = region[field]
        left = meet(had, values)
        if not left:
            return None
        if left != had:
            found[field] = left
            asked.append((field, values))
    return Narrowed(tuple(found), tuple(asked)) if asked else Narrowed(region, ())


def both(one: Box, other: Box) -> Box | None:
    """The box that asks what either asks; None for one that holds nothing."""
    fields = dict(one)
    for field, values in other:
        fields[field] = meet(fields[field], values) if field in fields else values
    return None if not all(fields.values()) else tuple(sorted(fields.items()))


def total(parts: Sequence[Values]) -> int:
    """How many headers a product of sets has."""
    found = 1
    for values in parts:
        found *= size(values)
    return found
