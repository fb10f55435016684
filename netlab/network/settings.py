"""What one namespace that stands lacks of how it was planned, link by link. Pure.

Within a pod (`Pair.is_others`) all is left alone that is there beside what netlab gave it: it may
be the pod's own doing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from netlab.network.model import Link, Namespace, Port, Sysctl
from netlab.network.operations import (
    AddAddress,
    AddGuard,
    AddIngressQdisc,
    AddRoute,
    AddStation,
    DeleteAddress,
    DeleteIngressQdisc,
    DeleteNeighbour,
    DeleteRoute,
    Operation,
    Rename,
    SetMac,
    SetMaster,
    SetMtu,
    SetPort,
    SetSysctl,
    SetUp,
)

State = Mapping[str, Namespace]
"""What was read: the namespaces that exist, by name."""

Stations = Mapping[str, str]
"""The hardware address that answers for each address of a lab."""

NOTHING = Namespace("")
_T = TypeVar("_T")


class Pair(Struct, frozen=True):
    """A namespace as planned, and as it was found (None: not there).

    One that `is_others` may have more than what was planned.
    """

    wanted: Namespace
    actual: Namespace | None
    is_others: bool = False

    @property
    def found(self) -> Namespace:
        """What is there, be it nothing."""
        return self.actual or NOTHING


def sysctls(pair: Pair) -> Iterator[Operation]:
    """Those that are not as planned."""
    found = {sysctl.name: sysctl.value for sysctl in pair.found.sysctls}
    for sysctl in pair.wanted.sysctls:
        if pair.actual is None or sysctl_differs(found.get(sysctl.name), sysctl):
            yield SetSysctl(pair.wanted.name, sysctl)


def sysctl_differs(found: str | None, wanted: Sysctl) -> bool:
    """Whether a value as found (None: the kernel has no such sysctl) is not as wanted."""
    if found is None:
        return wanted.required
    return wanted.enforced and found.split() != wanted.value.split()


def renames(planned: Namespace, state: State) -> Iterator[Rename]:
    """Planned links that are there under another name."""
    found = state.get(planned.name, NOTHING)
    for link in planned.links:
        other = next((each for each in found.links if each.index == link.index), None)
        if found.find(link.name) is None and other is not None and other.kind == link.kind:
            yield Rename(planned.name, other.name, other.index, link.name)


def renamed(found: Namespace, renames: Iterable[Rename]) -> Namespace:
    """The namespace after that: the links are down, and with that have no routes."""
    names = {each.name: each.wanted for each in renames if each.namespace == found.name}
    if not names:
        return found
    return replace(
        found,
        links=tuple(
            replace(link, name=names[link.name], up=False, unrouted=())
            if link.name in names
            else replace(link, master=names.get(link.master or "", link.master))
            for link in found.links
        ),
        routes=tuple(route for route in found.routes if route.link not in names),
    )


def misshapen(pair: Pair) -> frozenset[str]:
    """Links that exist with the wrong index or kind: neither can be changed."""
    return frozenset(
        link.name
        for link in pair.wanted.links
        if (found := pair.found.find(link.name)) is not None
        and (found.index, found.kind) != (link.index, link.kind)
    )


def port(namespace: str, link: Link, found: Port | None = None) -> Iterator[Operation]:
    """From a port as it was found (None: as the kernel makes one) to how it was planned."""
    wanted, have, name, index = link.as_port, found or Port(), link.name, link.index
    if _switches(wanted) != _switches(have):
        yield SetPort(namespace, name, index, wanted)
    for mac in without(wanted.stations, have.stations):
        yield AddStation(namespace, name, index, mac)
    if wanted.guard != have.guard:
        if found is not None:  # whatever stands there, it is not what shall
            yield DeleteIngressQdisc(namespace, name, index)
        yield AddIngressQdisc(namespace, name, index)
        yield AddGuard(namespace, name, index, wanted.guard)


def _switches(port: Port) -> tuple[bool, ...]:
    return port.hairpin, port.learning, port.flood


def master_index(namespace: Namespace, link: Link) -> int | None:
    """The index of the bridge that a link is a port of."""
    return namespace.link(link.master).index if link.master else None


def links(pair: Pair, stale: frozenset[str]) -> Iterator[Operation]:
    """Links up and addresses first, then routes, which need both.

    A link made anew (`stale`) has neither, whatever was found.
    """
    for link in pair.wanted.links:
        found = None if link.name in stale else pair.found.find(link.name)
        yield from _link_settings(pair, link, found)
    yield from _routes(pair, stale)


def _link_settings(pair: Pair, link: Link, found: Link | None) -> Iterator[Operation]:
    namespace = pair.wanted
    name, index = link.name, link.index
    made_here = link.kind == "bridge" or link.peer is not None
    if found is not None and made_here and found.master != link.master and link.master:
        master = namespace.link(link.master)
        yield SetMaster(namespace.name, name, index, master.name, master.index)
    if found is not None and link.mac and found.mac != link.mac:
        yield SetMac(namespace.name, name, index, link.mac)
    if found is not None and found.mtu != link.mtu and not pair.is_others:
        yield SetMtu(namespace.name, name, index, link.mtu)
    if not (found.up if found is not None else made_here):
        yield SetUp(namespace.name, name, index)
    have: Sequence[str] = found.addresses if found is not None else ()
    if link.kind != "loopback" and not pair.is_others:
        for address in without(have, link.addresses):
            yield DeleteAddress(namespace.name, name, index, address)
    if found is not None:
        for address in found.unrouted:  # the kernel adds an on-link route only with its address
            yield DeleteAddress(namespace.name, name, index, address)
        have = without(have, found.unrouted)
    lacking = without(link.addresses, have)
    if found is not None and any(":" in address for address in lacking):
        # They went, perhaps, because this was set; nothing can be given then.
        switch = Sysctl(f"net.ipv6.conf.{name}.disable_ipv6", "0", required=False, enforced=False)
        yield SetSysctl(namespace.name, switch)
    for address in lacking:
        yield AddAddress(namespace.name, name, index, address)


def _routes(pair: Pair, stale: frozenset[str]) -> Iterator[Operation]:
    namespace = pair.wanted
    standing = [route for route in pair.found.routes if route.link not in stale]
    for route in without(standing, namespace.routes):
        if not pair.is_others and (link := pair.found.find(route.link)) is not None:
            yield DeleteRoute(namespace.name, route, link.index)
    # A route goes with its link's last address or its link, and when that is brought down.
    for route in namespace.routes:
        if route not in standing:
            yield AddRoute(namespace.name, route, namespace.link(route.link).index)


def neighbours(pair: Pair, known: Stations) -> Iterator[Operation]:
    """What somebody said of where an address is found, and is not so."""
    for neighbour in pair.found.neighbours:
        link = pair.wanted.find(neighbour.link)
        if link is not None and neighbour.mac != known.get(neighbour.ip, neighbour.mac):
            yield DeleteNeighbour(pair.wanted.name, neighbour, link.index)


def without(these: Sequence[_T], those: Sequence[_T]) -> Sequence[_T]:
    """What of `these` is not among `those`, in order."""
    return [entry for entry in these if entry not in those]
