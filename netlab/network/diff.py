"""From what is to what shall be: the operations that lead there, in the order that works.

Additive where others have a say: links that the plan does not know are left alone in a node
(pods' ports, whatever a user tries out), and of routes only our own (protocol `static`) are
taken away. In the fabric nothing but the plan's links has a place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from netlab.network import settings
from netlab.network.model import Link, Namespace, Network
from netlab.network.names import EXTERNAL_LINK
from netlab.network.operations import (
    AddAddress,
    AddBridge,
    AddMasquerade,
    AddVeth,
    Announce,
    CreateNamespace,
    DeleteAddress,
    DeleteLink,
    Operation,
)
from netlab.network.settings import NOTHING, Pair, State, Stations


def diff(wanted: Network, state: State, pods: Stations | None = None) -> tuple[Operation, ...]:
    """The operations that turn `state` into `wanted`; none when it is that already.

    `pods` are the stations that the plan does not know.
    """
    renames = [
        rename for planned in wanted.namespaces for rename in settings.renames(planned, state)
    ]
    state = {name: settings.renamed(found, renames) for name, found in state.items()}
    pairs = [Pair(namespace, state.get(namespace.name)) for namespace in wanted.namespaces]
    new = frozenset(pair.wanted.name for pair in pairs if pair.actual is None)
    operations: list[Operation] = [CreateNamespace(p.wanted.name) for p in pairs if not p.actual]
    operations += renames
    for pair in pairs:
        operations += settings.sysctls(pair)
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
        operations += settings.links(pair, stale[name] | _far_ends(name, remade))
    known = stations(wanted) | dict(pods or {})
    for pair in pairs:
        operations += settings.neighbours(pair, known)
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
        for address in settings.without(found[name], theirs):
            taken.append(DeleteAddress(name, link.name, link.index, address))
        for address in settings.without(theirs, found[name]):
            given.append(AddAddress(name, link.name, link.index, address, announced=True))
            given.append(Announce(name, link.name, link.index, link.mac, address))
    return (*taken, *given)


def _stale(pair: Pair, state: State, new: frozenset[str]) -> frozenset[str]:
    """Links to be made anew: misshapen ones, and those whose other end is gone or misshapen."""
    stale = set(settings.misshapen(pair))
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


def _bridges(pair: Pair) -> Iterator[Operation]:
    misshapen = settings.misshapen(pair)
    for link in pair.wanted.links:
        if link.kind == "bridge":
            found = pair.found.find(link.name)
            if found is not None and link.name in misshapen:
                yield DeleteLink(pair.wanted.name, found.name, found.index)
            if found is None or link.name in misshapen:
                yield AddBridge(pair.wanted.name, link)


def _remade(pair: Pair, stale: frozenset[str]) -> list[Link]:
    """The links of a namespace whose pairs are to be made, or made anew."""
    pairs = [link for link in pair.wanted.links if link.peer is not None]
    return [link for link in pairs if pair.found.find(link.name) is None or link.name in stale]


def _far_ends(namespace: str, remade: Sequence[tuple[Pair, list[Link]]]) -> set[str]:
    """The links of a namespace that come anew with pairs made at their other ends."""
    peers = (link.peer for _, links in remade for link in links)
    return {peer.name for peer in peers if peer is not None and peer.namespace == namespace}


def _deletions(pair: Pair, remade: list[Link], state: State) -> Iterator[Operation]:
    """What stands in the way of new pairs, at either end, and links that nobody planned."""
    namespace = pair.wanted
    names = {link.name for link in remade}
    plans_pairs = any(link.peer is not None for link in namespace.links)
    for found in pair.found.links:
        foreign = plans_pairs and found.kind == "veth" and namespace.find(found.name) is None
        if foreign or found.name in names:
            yield DeleteLink(namespace.name, found.name, found.index)
    for peer in (link.peer for link in remade if link.peer is not None):
        far = state.get(peer.namespace, NOTHING).find(peer.name)
        if far is not None:  # left over from a pair whose near end is gone, and dying with it
            yield DeleteLink(peer.namespace, far.name, far.index)


def _veths(pair: Pair, remade: list[Link]) -> Iterator[Operation]:
    namespace = pair.wanted
    for link in remade:
        yield AddVeth(namespace.name, link, settings.master_index(namespace, link))
        yield from settings.port(namespace.name, link)


def _masquerades(pair: Pair, wanted: Network) -> Iterator[Operation]:
    for masquerade in settings.without(pair.wanted.masquerades, pair.found.masquerades):
        yield AddMasquerade(pair.wanted.name, masquerade, wanted.rules)
