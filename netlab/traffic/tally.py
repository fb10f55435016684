"""Connections counted: by Service, endpoint and node, since the beginning and of late. Pure."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from msgspec import Struct, field

from netlab.traffic.draws import Draw
from netlab.traffic.opening import End, Opening
from netlab.traffic.shares import Interval, interval, is_off


class ServiceKey(NamedTuple):
    """A port of a Service in one address family."""

    service: str
    port: str
    protocol: str
    version: int


class EndpointCount(Struct, frozen=True):
    """`count` since the beginning, `rate` a second of late, `share` of all of its Service since the
    beginning. Where the choice is free: between what that lies (95 %), what is expected, and
    whether it is off, that is, no chance any more; else None."""

    endpoint: End
    count: int
    rate: float
    share: float
    between: Interval | None = None
    expected: float | None = None
    is_off: bool = False


class ServiceCount(Struct, frozen=True):
    """A Service's port, and its endpoints in the order of their addresses."""

    key: ServiceKey
    count: int
    rate: float
    endpoints: tuple[EndpointCount, ...]


class _Ends(Struct):
    """Of one Service: how many were drawn freely, which end they came to and were to come to."""

    total: int = 0
    late: int = 0
    is_free: bool = True
    names: dict[tuple[str, int], End] = field(default_factory=dict)
    counts: Counter[tuple[str, int]] = field(default_factory=Counter)
    late_counts: Counter[tuple[str, int]] = field(default_factory=Counter)
    draws: Counter[Draw] = field(default_factory=Counter)
    expected: dict[tuple[str, int], float] = field(default_factory=dict)

    def fold(self) -> None:
        """Choices come and go with the objects; what was expected of them stays."""
        for draw, number in self.draws.items():
            for each in draw.ends:
                end = (each.address, each.port)
                self.expected[end] = self.expected.get(end, 0.0) + number / len(draw.ends)
                self.names.setdefault(end, each)
        self.draws.clear()


class Tally:
    """Counts what it is given."""

    def __init__(self) -> None:
        self._services: dict[ServiceKey, _Ends] = {}
        self._late_by_node = Counter[str]()

    def add(self, one: Opening, draw: Draw) -> None:
        """One more, and the choice that led there."""
        virtual = one.virtual
        if virtual is None:
            return
        version = 6 if ":" in one.to.address else 4
        key = ServiceKey(virtual.service, virtual.port, one.protocol, version)
        ends = self._services.get(key)
        if ends is None:
            ends = self._services[key] = _Ends()
        end = (one.endpoint.address, one.endpoint.port)
        ends.total += 1
        ends.late += 1
        ends.counts[end] += 1
        ends.late_counts[end] += 1
        ends.draws[draw] += 1
        ends.is_free = ends.is_free and draw.is_free
        ends.names[end] = one.endpoint
        self._late_by_node[one.node] += 1

    def taken(self, seconds: float) -> tuple[list[ServiceCount], dict[str, float]]:
        """The Services' counts, the busiest first, and how many a second each node's rules sent,
        both of late: since the last time that this was asked, so many seconds ago."""
        found = [_counted(key, ends, seconds) for key, ends in self._services.items()]
        by_node = {node: number / seconds for node, number in self._late_by_node.items()}
        for ends in self._services.values():
            ends.late = 0
            ends.late_counts.clear()
        self._late_by_node.clear()
        return sorted(found, key=lambda one: (-one.rate, -one.count, one.key)), by_node


def _counted(key: ServiceKey, ends: _Ends, seconds: float) -> ServiceCount:
    ends.fold()
    every = sorted({*ends.counts, *ends.expected})
    counts = tuple(_endpoint(end, ends, len(every), seconds) for end in every)
    return ServiceCount(key, ends.total, ends.late / seconds, counts)


def _endpoint(end: tuple[str, int], ends: _Ends, number: int, seconds: float) -> EndpointCount:
    count = ends.counts[end]
    named = ends.names[end]
    rate = ends.late_counts[end] / seconds
    if not ends.is_free:
        return EndpointCount(named, count, rate, count / ends.total)
    expected = ends.expected.get(end, 0.0) / ends.total
    return EndpointCount(
        endpoint=named,
        count=count,
        rate=rate,
        share=count / ends.total,
        between=interval(count, ends.total),
        expected=expected,
        is_off=is_off(count, ends.total, expected, number),
    )
