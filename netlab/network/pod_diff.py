"""The operations that give a pod its namespace and link, or put right what it has. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from netlab.network import settings
from netlab.network.model import Link, Namespace, PodLink
from netlab.network.names import NODE_LINK, NODE_LINK_INDEX
from netlab.network.operations import (
    AddVeth,
    CreateNamespace,
    DeleteLink,
    Operation,
    Rename,
    SetMac,
    SetMaster,
    SetMtu,
    SetUp,
)
from netlab.network.settings import Pair, Stations


def veth(pod: PodLink) -> tuple[Operation, ...]:
    """What makes a pod's veth pair; run by the node, for a namespace that exists."""
    return (AddVeth(pod.node, pod.port, pod.master_index), *settings.port(pod.node, pod.port))


def port_repairs(pod: PodLink, found: Link) -> tuple[Operation, ...]:
    """What a pod's port that stands lacks of how it was planned."""
    return tuple(settings.port(pod.node, pod.port, found.as_port))


def inside(pod: PodLink) -> tuple[Operation, ...]:
    """What is done inside a pod's fresh namespace once its eth0 is there."""
    return tuple(settings.links(Pair(pod.inside, None), frozenset()))


def namespace(pod: PodLink) -> tuple[Operation, ...]:
    """What makes a pod's namespace, before its veth pair."""
    return (CreateNamespace(pod.name), *settings.sysctls(Pair(pod.inside, None)))


def attach(pod: PodLink) -> tuple[Operation, ...]:
    """Everything that attaches one pod, from nothing."""
    return (*namespace(pod), *veth(pod), *inside(pod))


def differs(pod: PodLink, inside: Namespace, port: Link | None) -> bool:
    """True when an existing pod's namespace, or its port on the node, is not as planned."""
    if port is None or (port.master, port.up, port.index) != (
        pod.port.master,
        True,
        pod.port.index,
    ):
        return True
    pair = Pair(pod.inside, inside, is_others=True)
    return bool([*settings.sysctls(pair), *settings.links(pair, settings.misshapen(pair))])


def repairs(
    pod: PodLink, inside: Namespace, port: Link | None, known: Stations
) -> tuple[Operation, ...]:
    """What an attached pod lacks of what it was given: its port as found, None where that is gone.

    Its namespace stands. `known` are the stations of the whole lab.
    """
    renames = tuple(settings.renames(pod.inside, {inside.name: inside}))
    pair = Pair(pod.inside, settings.renamed(inside, renames), is_others=True)
    settled = (*settings.sysctls(pair), *settings.neighbours(pair, known))
    if port is None or pair.found.find(NODE_LINK) is None or settings.misshapen(pair):
        anew = frozenset({NODE_LINK})
        return (
            *_in_the_way(pod, pair.found, port),
            *veth(pod),
            *settled,
            *settings.links(pair, anew),
        )
    return (*renames, *_port_settings(pod, port), *settled, *settings.links(pair, frozenset()))


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
    yield from settings.port(node, wanted, found.as_port)
