"""From what is to what shall be: the operations that lead there, in the order that works.

Additive where others have a say: links that the plan does not know are left alone in a node
(pods' ports, whatever a user tries out), and of routes only our own (protocol `static`) are
taken away. In the fabric nothing but the plan's links has a place. Within a pod all is left alone
that is there beside what netlab gave it: it may be the pod's own doing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from netlab.network.model import Link, Namespace, Network, PodLink, Port, Sysctl
from netlab.network.names import EXTERNAL_LINK, NODE_LINK, NODE_LINK_INDEX
from netlab.network.operations import (
    AddAddress,
    AddBridge,
    AddGuard,
    AddIngressQdisc,
    AddMasquerade,
    AddRoute,
    AddStation,
    AddVeth,
    Announce,
    CreateNamespace,
    DeleteAddress,
    DeleteIngressQdisc,
    DeleteLink,
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

_NOTHING = Namespace("")
_T = TypeVar("_T")


def diff(wanted: Network, state: State, pods: Stations | None = None) -> tuple[Operation, ...]:
    """The operations that turn `state` into `wanted`; none when it is that already.

    `pods` are the stations that the plan does not know.
    """
    renames = [rename for planned in wanted.namespaces for rename in _renames(planned, state)]
    state = {name: _renamed(found, renames) for name, found in state.items()}
    pairs = [_Pair(namespace, state.get(namespace.name)) for namespace in wanted.namespaces]
    new = frozenset(pair.wanted.name for pair in pairs if pair.actual is None)
    operations: list[Operation] = [CreateNamespace(p.wanted.name) for p in pairs if not p.actual]
    operations += renames
    for pair in pairs:
        operations += _sysctls(pair)
    stale = {pair.wanted.name: _stale(pair, state, new) for pair in pairs}
    for pair in pairs:
        operations += _bridges(pair)
    remade = [(pair, _remade(pair, stale[pair.wanted.name])) for pair in pairs]
    for pair, links in remade:
        operations += _deletions(pair, links, state)
    for pair, links in remade:
        operations += _veths(pair, links)
    for pair in pairs:
        name = pair.wanted.name
        operations += _settings(pair, stale[name] | _far_ends(name, remade))
    known = stations(wanted) | dict(pods or {})
    for pair in pairs:
        operations += _neighbours(pair, known)
        operations += _masquerades(pair, wanted)
    return tuple(operations)


def stations(network: Network) -> dict[str, str]:
    """Where each planned address is found."""
    return {
        address.split("/")[0]: link.mac
        for namespace in network.namespaces
        for link in namespace.links
        for address in link.addresses
        if link.mac
    }


def announcements(
    network: Network, wanted: Mapping[str, Sequence[str]], found: Mapping[str, Sequence[str]]
) -> tuple[Operation, ...]:
    """The operations after which each node's external link answers for these addresses alone.

    Both are addresses of full length (`172.16.110.200/32`) by the node's namespace. An address is
    taken from one node before another gets it: two never answer for it.
    """
    taken: list[Operation] = []
    given: list[Operation] = []
    for name in found:
        link = network.namespace(name).link(EXTERNAL_LINK)
        theirs = wanted.get(name, ())
        for address in _without(found[name], theirs):
            taken.append(DeleteAddress(name, link.name, link.index, address))
        for address in _without(theirs, found[name]):
            given.append(AddAddress(name, link.name, link.index, address, announced=True))
            given.append(Announce(name, link.name, link.index, link.mac, address))
    return (*taken, *given)


def pod_port(pod: PodLink) -> tuple[Operation, ...]:
    """What makes a pod's veth pair; run by the node, for a namespace that exists."""
    return (AddVeth(pod.node, pod.port, pod.master_index), *_port(pod.node, pod.port))


def pod_port_repairs(pod: PodLink, found: Link) -> tuple[Operation, ...]:
    """What a pod's port that stands lacks of how it was planned."""
    return tuple(_port(pod.node, pod.port, found.as_port))


def pod_inside(pod: PodLink) -> tuple[Operation, ...]:
    """What is done inside a pod's fresh namespace once its eth0 is there."""
    return tuple(_settings(_Pair(pod.inside, None), frozenset()))


def pod_namespace(pod: PodLink) -> tuple[Operation, ...]:
    """What makes a pod's namespace, before its veth pair."""
    return (CreateNamespace(pod.name), *_sysctls(_Pair(pod.inside, None)))


def attach(pod: PodLink) -> tuple[Operation, ...]:
    """Everything that attaches one pod, from nothing."""
    return (*pod_namespace(pod), *pod_port(pod), *pod_inside(pod))


def pod_differs(pod: PodLink, inside: Namespace, port: Link | None) -> bool:
    """True when an existing pod's namespace, or its port on the node, is not as planned."""
    if port is None or (port.master, port.up, port.index) != (
        pod.port.master,
        True,
        pod.port.index,
    ):
        return True
    pair = _Pair(pod.inside, inside, is_others=True)
    return bool([*_sysctls(pair), *_settings(pair, _misshapen(pair))])


def pod_repairs(
    pod: PodLink, inside: Namespace, port: Link | None, known: Stations
) -> tuple[Operation, ...]:
    """What an attached pod lacks of what it was given: its port as found, None where that is gone.

    Its namespace stands. `known` are the stations of the whole lab.
    """
    renames = tuple(_renames(pod.inside, {inside.name: inside}))
    pair = _Pair(pod.inside, _renamed(inside, renames), is_others=True)
    settled = (*_sysctls(pair), *_neighbours(pair, known))
    if port is None or pair.found.find(NODE_LINK) is None or _misshapen(pair):
        anew = frozenset({NODE_LINK})
        return (
            *_in_the_way(pod, pair.found, port),
            *pod_port(pod),
            *settled,
            *_settings(pair, anew),
        )
    return (*renames, *_port_settings(pod, port), *settled, *_settings(pair, frozenset()))


def _in_the_way(pod: PodLink, inside: Namespace, port: Link | None) -> Iterator[Operation]:
    """What is there of a pod's link, or bears its name or index."""
    if port is not None:
        yield DeleteLink(pod.node, port.name, port.index)
    for link in inside.links:
        if link.kind != "loopback" and (link.name == NODE_LINK or link.index == NODE_LINK_INDEX):
            yield DeleteLink(inside.name, link.name, link.index)


def _port_settings(pod: PodLink, found: Link) -> Iterator[Operation]:
    wanted, node = pod.port, pod.node
    name, index = wanted.name, wanted.index
    if found.name != name:
        yield Rename(node, found.name, index, name)
    if found.master != wanted.master and wanted.master:
        yield SetMaster(node, name, index, wanted.master, pod.master_index)
    if found.mac != wanted.mac:
        yield SetMac(node, name, index, wanted.mac)
    if found.mtu != wanted.mtu:
        yield SetMtu(node, name, index, wanted.mtu)
    if found.name != name or not found.up:
        yield SetUp(node, name, index)
    yield from _port(node, wanted, found.as_port)


class _Pair(Struct, frozen=True):
    """A namespace as planned, and as it was found (None: not there).

    One that `is_others` may have more than what was planned.
    """

    wanted: Namespace
    actual: Namespace | None
    is_others: bool = False

    @property
    def found(self) -> Namespace:
        return self.actual or _NOTHING


def _sysctls(pair: _Pair) -> Iterator[Operation]:
    found = {sysctl.name: sysctl.value for sysctl in pair.found.sysctls}
    for sysctl in pair.wanted.sysctls:
        if pair.actual is None or sysctl_differs(found.get(sysctl.name), sysctl):
            yield SetSysctl(pair.wanted.name, sysctl)


def sysctl_differs(found: str | None, wanted: Sysctl) -> bool:
    """Whether a value as found (None: the kernel has no such sysctl) is not as wanted."""
    if found is None:
        return wanted.required
    return wanted.enforced and found.split() != wanted.value.split()


def _renames(planned: Namespace, state: State) -> Iterator[Rename]:
    """Planned links that are there under another name."""
    found = state.get(planned.name, _NOTHING)
    for link in planned.links:
        other = next((each for each in found.links if each.index == link.index), None)
        if found.find(link.name) is None and other is not None and other.kind == link.kind:
            yield Rename(planned.name, other.name, other.index, link.name)


def _renamed(found: Namespace, renames: Iterable[Rename]) -> Namespace:
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


def _stale(pair: _Pair, state: State, new: frozenset[str]) -> frozenset[str]:
    """Links to be made anew: misshapen ones, and those whose other end is gone or misshapen."""
    stale = set(_misshapen(pair))
    for link in pair.wanted.links:
        if link.peer is not None and (
            link.peer.namespace in new or _peer_misshapen(link, state.get(link.peer.namespace))
        ):
            stale.add(link.name)
    return frozenset(stale)


def _peer_misshapen(link: Link, other: Namespace | None) -> bool:
    if link.peer is None or other is None:
        return False
    found = other.find(link.peer.name)
    return found is None or found.index != link.peer.index or found.kind != link.kind


def _misshapen(pair: _Pair) -> frozenset[str]:
    """Links that exist with the wrong index or kind: neither can be changed."""
    return frozenset(
        link.name
        for link in pair.wanted.links
        if (found := pair.found.find(link.name)) is not None
        and (found.index, found.kind) != (link.index, link.kind)
    )


def _bridges(pair: _Pair) -> Iterator[Operation]:
    misshapen = _misshapen(pair)
    for link in pair.wanted.links:
        if link.kind == "bridge":
            found = pair.found.find(link.name)
            if found is not None and link.name in misshapen:
                yield DeleteLink(pair.wanted.name, found.name, found.index)
            if found is None or link.name in misshapen:
                yield AddBridge(pair.wanted.name, link)


def _remade(pair: _Pair, stale: frozenset[str]) -> list[Link]:
    """The links of a namespace whose pairs are to be made, or made anew."""
    pairs = [link for link in pair.wanted.links if link.peer is not None]
    return [link for link in pairs if pair.found.find(link.name) is None or link.name in stale]


def _far_ends(namespace: str, remade: Sequence[tuple[_Pair, list[Link]]]) -> set[str]:
    """The links of a namespace that come anew with pairs made at their other ends."""
    peers = (link.peer for _, links in remade for link in links)
    return {peer.name for peer in peers if peer is not None and peer.namespace == namespace}


def _deletions(pair: _Pair, remade: list[Link], state: State) -> Iterator[Operation]:
    """What stands in the way of new pairs, at either end, and links that nobody planned."""
    namespace = pair.wanted
    names = {link.name for link in remade}
    plans_pairs = any(link.peer is not None for link in namespace.links)
    for found in pair.found.links:
        foreign = plans_pairs and found.kind == "veth" and namespace.find(found.name) is None
        if foreign or found.name in names:
            yield DeleteLink(namespace.name, found.name, found.index)
    for peer in (link.peer for link in remade if link.peer is not None):
        far = state.get(peer.namespace, _NOTHING).find(peer.name)
        if far is not None:  # left over from a pair whose near end is gone, and dying with it
            yield DeleteLink(peer.namespace, far.name, far.index)


def _veths(pair: _Pair, remade: list[Link]) -> Iterator[Operation]:
    namespace = pair.wanted
    for link in remade:
        yield AddVeth(namespace.name, link, _master_index(namespace, link))
        yield from _port(namespace.name, link)


def _port(namespace: str, link: Link, found: Port | None = None) -> Iterator[Operation]:
    """From a port as it was found (None: as the kernel makes one) to how it was planned."""
    wanted, have, name, index = link.as_port, found or Port(), link.name, link.index
    if _switches(wanted) != _switches(have):
        yield SetPort(namespace, name, index, wanted)
    for mac in _without(wanted.stations, have.stations):
        yield AddStation(namespace, name, index, mac)
    if wanted.guard != have.guard:
        if found is not None:  # whatever stands there, it is not what shall
            yield DeleteIngressQdisc(namespace, name, index)
        yield AddIngressQdisc(namespace, name, index)
        yield AddGuard(namespace, name, index, wanted.guard)


def _switches(port: Port) -> tuple[bool, ...]:
    return port.hairpin, port.learning, port.flood


def _master_index(namespace: Namespace, link: Link) -> int | None:
    return namespace.link(link.master).index if link.master else None


def _settings(pair: _Pair, stale: frozenset[str]) -> Iterator[Operation]:
    """Links up and addresses first, then routes, which need both.

    A link made anew (`stale`) has neither, whatever was found.
    """
    for link in pair.wanted.links:
        found = None if link.name in stale else pair.found.find(link.name)
        yield from _link_settings(pair, link, found)
    yield from _routes(pair, stale)


def _link_settings(pair: _Pair, link: Link, found: Link | None) -> Iterator[Operation]:
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
        for address in _without(have, link.addresses):
            yield DeleteAddress(namespace.name, name, index, address)
    if found is not None:
        for address in found.unrouted:  # the kernel adds an on-link route only with its address
            yield DeleteAddress(namespace.name, name, index, address)
        have = _without(have, found.unrouted)
    lacking = _without(link.addresses, have)
    if found is not None and any(":" in address for address in lacking):
        # They went, perhaps, because this was set; nothing can be given then.
        switch = Sysctl(f"net.ipv6.conf.{name}.disable_ipv6", "0", required=False, enforced=False)
        yield SetSysctl(namespace.name, switch)
    for address in lacking:
        yield AddAddress(namespace.name, name, index, address)


def _routes(pair: _Pair, stale: frozenset[str]) -> Iterator[Operation]:
    namespace = pair.wanted
    standing = [route for route in pair.found.routes if route.link not in stale]
    for route in _without(standing, namespace.routes):
        if not pair.is_others and (link := pair.found.find(route.link)) is not None:
            yield DeleteRoute(namespace.name, route, link.index)
    # A route goes with its link's last address or its link, and when that is brought down.
    for route in namespace.routes:
        if route not in standing:
            yield AddRoute(namespace.name, route, namespace.link(route.link).index)


def _neighbours(pair: _Pair, known: Stations) -> Iterator[Operation]:
    """What somebody said of where an address is found, and is not so."""
    for neighbour in pair.found.neighbours:
        link = pair.wanted.find(neighbour.link)
        if link is not None and neighbour.mac != known.get(neighbour.ip, neighbour.mac):
            yield DeleteNeighbour(pair.wanted.name, neighbour, link.index)


def _masquerades(pair: _Pair, wanted: Network) -> Iterator[Operation]:
    for masquerade in _without(pair.wanted.masquerades, pair.found.masquerades):
        yield AddMasquerade(pair.wanted.name, masquerade, wanted.rules)


def _without(these: Sequence[_T], those: Sequence[_T]) -> Sequence[_T]:
    return [entry for entry in these if entry not in those]
