"""From Node objects to the nodes that a lab runs. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from netlab.objects import machines, meta, types
from netlab.objects.lab import Lab, Node

POWER, OFF = "netlab/power", "off"
"""The annotation of a Node whose machine is switched off."""

HANDS_OFF = "netlab/hands-off"
"""The annotation of a Node that names what netlab leaves there as it is, `rules,network`: its
kube-proxy stands still; what of its links and sysctls is changed by hand is not put back."""

COMING = "nodes come or go"
"""What a lab is at while the machine of one is made or taken away."""


class Standing(Struct, frozen=True):
    """The nodes that run, and those that are off: others keep their ways to these's pods."""

    nodes: tuple[Node, ...]
    off: tuple[Node, ...] = ()


def standing(lab: Lab, objects: Iterable[types.Node]) -> Standing:
    """The nodes that are to stand for these Node objects, in the order of the lab's file, and
    then by name."""
    known = list(_known(lab, objects))
    running = (node for obj, node in known if not is_off(obj))
    off = (node for obj, node in known if is_off(obj))
    return Standing(_in_order(lab, running), _in_order(lab, off))


def _known(lab: Lab, objects: Iterable[types.Node]) -> Iterator[tuple[types.Node, Node]]:
    """Who came first has what it has: of two machines with one address the other is left out.

    Those of the lab's file are apart from each other, as that was validated.
    """
    of_file = {node.name: node for node in lab.nodes}
    taken: list[Node] = []
    joined: list[Node] = []
    for obj in sorted(objects, key=_seniority):
        node = node_of(lab, obj)
        if node is None:
            continue
        is_of_file = node == of_file.get(node.name)
        if machines.is_apart(node, joined if is_of_file else taken):
            taken.append(node)
            if not is_of_file:
                joined.append(node)
            yield obj, node


def _seniority(obj: types.Node) -> tuple[bool, str, str]:
    joined = machines.ANNOTATION in meta.annotations(obj)
    return joined, obj["metadata"].get("creationTimestamp", ""), meta.name(obj)


def condition(obj: types.Node) -> str:
    """What `netlab status` says of a node: off, or as `get nodes` has it, and left alone."""
    if is_off(obj):
        return "off"
    ready = "Ready" if meta.is_ready(obj) else "NotReady"
    return f"{ready}, hands off" if meta.annotations(obj).get(HANDS_OFF) else ready


def _in_order(lab: Lab, nodes: Iterable[Node]) -> tuple[Node, ...]:
    places = {node.name: place for place, node in enumerate(lab.nodes)}
    return tuple(sorted(nodes, key=lambda node: (places.get(node.name, len(places)), node.name)))


def is_off(obj: types.Node) -> bool:
    """Whether a Node's machine is to be switched off."""
    return meta.annotations(obj).get(POWER) == OFF


def is_left(obj: types.Node | None, what: Literal["rules", "network"]) -> bool:
    """Whether netlab is to leave that of a node as it is."""
    words = meta.annotations(obj).get(HANDS_OFF, "") if obj is not None else ""
    return what in (word.strip() for word in words.split(","))


def now(lab: Lab, objects: Iterable[types.Node]) -> Lab:
    """The lab with those of its nodes that run."""
    return replace(lab, nodes=standing(lab, objects).nodes)


def present(lab: Lab, objects: Iterable[types.Node]) -> Lab:
    """The lab with all nodes that it has, switched off ones as well."""
    there = standing(lab, objects)
    return replace(lab, nodes=_in_order(lab, (*there.nodes, *there.off)))


def node_of(lab: Lab, obj: types.Node) -> Node | None:
    """The node that a Node object stands for; None for one that nobody here can run.

    A lab has the machines that its file tells of, and those that say themselves what they are. An
    object that gives one of them other pod ranges than it has is somebody else's.
    """
    node = machines.of_object(lab, obj) or lab.node(meta.name(obj))
    written = meta.spec(obj).get("podCIDRs")
    return node if node and (not written or tuple(written) == node.pod_cidrs) else None
