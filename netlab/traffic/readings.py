"""What all namespaces of a lab counted between two looks at them."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from netlab.errors import NetlabError
from netlab.kernel.counters import Counters, counters, retransmissions
from netlab.kernel.dns_queries import DnsQueries
from netlab.kernel.netns import identity
from netlab.objects import meta
from netlab.objects.lab import Lab
from netlab.pathcheck.decode import split
from netlab.pathcheck.world import Place, World
from netlab.traffic import refusals
from netlab.traffic.glance import Readings
from netlab.traffic.nft_refusals import NftRefusals

_DNS = "kube-system/kube-dns"


class Meters:
    """Reads them; a context manager."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._before: dict[str, Counters] = {}
        self._refused: dict[str, Counter[str]] = {}
        self._nft: dict[str, tuple[tuple[int, int], NftRefusals]] = {}
        self._dns: dict[str, tuple[tuple[int, int], DnsQueries]] = {}
        self._has_begun = False

    def __enter__(self) -> Meters:
        return self

    def __exit__(self, *_: object) -> None:
        for server in list(self._dns):
            self._forget(server)
        for node in list(self._nft):
            self._let_go(node)

    def read(self, world: World) -> Readings:
        """What was counted since the last time; the first time, of what is there since, nothing."""
        now = dict(_counters(world))
        before, self._before = self._before, now
        queries = self._queries(world)
        refused = self._refusals(world)
        self._has_begun = True
        return Readings(
            retransmissions=_grown(before, now, "retransmissions"),
            unreachable=_grown(before, now, "unreachable"),
            tracked={
                name: (one.tracked, one.most_tracked)
                for name, one in now.items()
                if one.tracked is not None and one.most_tracked is not None
                if world.places[name].role == "node"
            },
            refusals=refused,
            queries=queries,
        )

    def _refusals(self, world: World) -> Counter[str]:
        found = Counter[str]()
        wanted = _somebody_has_no_endpoints(world)
        for name, place in world.places.items():
            if place.role != "node" or not (wanted or self._refused.get(name)):
                self._let_go(name)
                continue
            with contextlib.suppress(NetlabError, OSError):  # it went meanwhile
                assert isinstance(place.netns, Path)
                now = self._refused_on(name, place.netns)
                if self._has_begun:  # rules that came since began to count at 0
                    found += refusals.more(self._refused.get(name, Counter()), now)
                self._refused[name] = now
        return found

    def _refused_on(self, node: str, netns: Path) -> Counter[str]:
        """Since its rules are there, or our table beside them."""
        if self._lab.proxy_mode == "iptables":
            return refusals.refusals(self._lab, netns)
        namespace = identity(netns)
        if node in self._nft and self._nft[node][0] != namespace:
            self._let_go(node)
        if node not in self._nft and namespace:
            families = tuple(refusals.version(each) for each in self._lab.ip_families)
            self._nft[node] = namespace, NftRefusals(netns, families)
        return self._nft[node][1].refusals() if node in self._nft else Counter()

    def _let_go(self, node: str) -> None:
        """Of its table, which has to be there for as long as somebody follows its elements."""
        if node in self._nft:
            self._nft.pop(node)[1].close()
            self._refused.pop(node, None)

    def _queries(self, world: World) -> dict[str, int]:
        servers = dict(_servers(world))
        places = {name: place.netns for name, (place, _) in servers.items()}
        there = {
            name: found
            for name, path in places.items()
            if isinstance(path, Path) and (found := identity(path))
        }
        for name in list(self._dns):
            if there.get(name) != self._dns[name][0]:
                self._forget(name)
        for name, namespace in there.items():
            if name not in self._dns:
                place, addresses = servers[name]
                with contextlib.suppress(NetlabError, OSError):
                    self._dns[name] = namespace, DnsQueries(place.netns, addresses)
        return {name: counting.taken() for name, (_, counting) in self._dns.items()}

    def _forget(self, server: str) -> None:
        self._dns.pop(server)[1].close()


def _counters(world: World) -> Iterator[tuple[str, Counters]]:
    for name, place in world.places.items():
        with contextlib.suppress(NetlabError, OSError):  # it went meanwhile
            if place.role == "node":
                yield name, counters(place.netns)
            elif place.role != "internet":
                yield name, Counters(retransmissions(place.netns), None, None, None)


def _grown(
    before: Mapping[str, Counters], now: Mapping[str, Counters], what: str
) -> dict[str, int]:
    """A number that is smaller than before is another namespace's of the same name."""
    found = {}
    for name, one in now.items():
        value = getattr(one, what)
        former = getattr(before[name], what) if name in before else value
        if value is not None and former is not None:
            found[name] = value - former if value >= former else value
    return found


def _somebody_has_no_endpoints(world: World) -> bool:
    """Whether a rule may refuse anything: only such a Service has one."""
    served = set()
    for slice_ in world.slices:
        labels = meta.labels(slice_)
        if any(
            (each.get("conditions") or {}).get("ready") is not False
            for each in slice_.get("endpoints") or ()
        ):
            served.add((meta.namespace(slice_), labels.get("kubernetes.io/service-name")))
    return any(
        (meta.namespace(one), meta.name(one)) not in served
        for one in world.services.values()
        if (meta.spec(one).get("clusterIP") or "None") != "None"
    )


def _servers(world: World) -> Iterator[tuple[str, tuple[Place, tuple[str, ...]]]]:
    """Whom pods ask: the endpoints of kube-dns, and the caches on nodes."""
    service = world.services.get(_DNS)
    ends: dict[str, str] = {}
    for port in (meta.spec(service).get("ports") or ()) if service is not None else ():
        for version in (4, 6):
            ends |= world.endpoints(_DNS, port, version)
    for name in dict.fromkeys(ends.values()):
        if place := world.places.get(name):
            addresses = {split(end)[0] for end, owner in ends.items() if owner == name}
            yield name, (place, tuple(sorted(addresses)))
    for name, place in world.places.items():
        if place.role == "node" and place.shared:
            yield f"node-local cache on {name}", (place, place.shared)
