"""All that `netlab top` shows of an interval. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from netlab.objects import meta
from netlab.objects.times import micro_time
from netlab.pathcheck.world import World
from netlab.traffic.tally import EndpointCount, ServiceCount


class Readings(Struct, frozen=True):
    """Differences since the look before: by place, by the name of a Service's port
    (`namespace/name:port`), by DNS server in words. `tracked` is how many connections a node
    tracks, of how many it may. What a kernel does not tell is not there."""

    retransmissions: Mapping[str, int]
    unreachable: Mapping[str, int]
    tracked: Mapping[str, tuple[int, int]]
    refusals: Mapping[str, int]
    queries: Mapping[str, int]


class NodeGlance(Struct, frozen=True):
    """A node: connections to Services that its rules sent, segments that it and its pods sent
    again, ICMP messages of what cannot be reached, each a second; connections that it tracks, of
    how many. None is what the kernel does not tell."""

    name: str
    rate: float
    retransmissions: float | None
    unreachable: float | None
    tracked: int | None
    most_tracked: int | None


class Glance(Struct, frozen=True):
    """`time` is of its end; `seconds` since the beginning; `interval` how long it was. Of Services
    those that had connections, and those that refused some (packets a second, by name); how many
    others there are. Retransmissions are a second, by place; `queries` a second, by DNS server;
    `lost` are events, since the beginning, by node."""

    time: float
    seconds: float
    interval: float
    services: tuple[ServiceCount, ...]
    silent: int
    nodes: tuple[NodeGlance, ...]
    retransmissions: Mapping[str, float]
    refusals: Mapping[str, float]
    queries: Mapping[str, float]
    lost: Mapping[str, int]

    def json(self) -> dict[str, Any]:
        """All of it as plain data."""
        return {
            "time": micro_time(self.time),
            "seconds": round(self.seconds, 3),
            "interval": round(self.interval, 3),
            "services": [self._service(one) for one in self.services],
            "refusalsPerSecond": _rounded(self.refusals),
            "nodes": [_node(one) for one in self.nodes],
            "retransmissionsPerSecond": _rounded(self.retransmissions),
            "dnsQueriesPerSecond": _rounded(self.queries),
            "lostEvents": dict(self.lost),
        }

    def _service(self, one: ServiceCount) -> dict[str, Any]:
        key = one.key
        return {
            "service": key.service,
            "port": key.port,
            "protocol": key.protocol,
            "family": f"IPv{key.version}",
            "connections": one.count,
            "connectionsPerSecond": round(one.rate, 3),
            "endpoints": [self._endpoint(each) for each in one.endpoints],
        }

    def _endpoint(self, one: EndpointCount) -> dict[str, Any]:
        between = one.between
        return {
            **one.endpoint.json(),
            "connections": one.count,
            "connectionsPerSecond": round(one.rate, 3),
            "share": _share(one.share),
            "interval95": [_share(between.low), _share(between.high)] if between else None,
            "expectedShare": _share(one.expected),
            "isOff": one.is_off,
        }


def _share(share: float | None) -> float | None:
    return None if share is None else round(share, 6)


def _rounded(rates: Mapping[str, float]) -> dict[str, float]:
    return {name: round(rate, 3) for name, rate in rates.items()}


def _node(one: NodeGlance) -> dict[str, Any]:
    return {
        "name": one.name,
        "connectionsPerSecond": round(one.rate, 3),
        "retransmissionsPerSecond": _maybe(one.retransmissions),
        "unreachablePerSecond": _maybe(one.unreachable),
        "conntrack": one.tracked,
        "conntrackMax": one.most_tracked,
    }


def _maybe(rate: float | None) -> float | None:
    return None if rate is None else round(rate, 3)


def glance(
    *,
    time: float,
    seconds: float,
    interval: float,
    counted: tuple[Sequence[ServiceCount], Mapping[str, float]],
    readings: Readings,
    world: World,
    lost: Mapping[str, int],
) -> Glance:
    """Counts and readings of an interval, put together."""
    services, by_node = counted
    sent_again = {
        name: number / interval for name, number in readings.retransmissions.items() if number
    }
    return Glance(
        time=time,
        seconds=seconds,
        interval=interval,
        services=tuple(services),
        silent=_silent(world, services),
        nodes=tuple(_nodes(world, by_node, readings, interval)),
        retransmissions=sent_again,
        refusals={name: number / interval for name, number in readings.refusals.items() if number},
        queries={name: number / interval for name, number in readings.queries.items()},
        lost=dict(lost),
    )


def _silent(world: World, services: Sequence[ServiceCount]) -> int:
    """How many Services with an address have had no connection."""
    heard = {one.key.service for one in services}
    every = {
        key
        for key, one in world.services.items()
        if (meta.spec(one).get("clusterIP") or "None") != "None"
    }
    return len(every - heard)


def _nodes(
    world: World, by_node: Mapping[str, float], readings: Readings, interval: float
) -> list[NodeGlance]:
    again: dict[str, int] = {}
    for name, number in readings.retransmissions.items():
        place = world.places.get(name)
        if place is not None:
            node = place.node if place.role == "pod" else name
            again[node] = again.get(node, 0) + number
    found = []
    for name, place in world.places.items():
        if place.role == "node":
            tracked, most = readings.tracked.get(name, (None, None))
            found.append(
                NodeGlance(
                    name=name,
                    rate=by_node.get(name, 0.0),
                    retransmissions=_rate(again.get(name), interval),
                    unreachable=_rate(readings.unreachable.get(name), interval),
                    tracked=tracked,
                    most_tracked=most,
                )
            )
    return found


def _rate(number: int | None, interval: float) -> float | None:
    return None if number is None else number / interval
