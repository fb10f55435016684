"""From Node objects to the nodes that a lab runs. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from netlab.objects import meta, types
from netlab.objects.lab import Lab, Node


def running(lab: Lab, objects: Iterable[types.Node]) -> tuple[Node, ...]:
    """The nodes that are to run for these Node objects, in the order of the lab's file."""
    found = [node for obj in objects if (node := node_of(lab, obj)) is not None]
    places = {node.name: place for place, node in enumerate(lab.nodes)}
    return tuple(sorted(found, key=lambda node: (places.get(node.name, len(places)), node.name)))


def now(lab: Lab, objects: Iterable[types.Node]) -> Lab:
    """The lab with those of its nodes that there are."""
    return replace(lab, nodes=running(lab, objects))


def node_of(lab: Lab, obj: types.Node) -> Node | None:
    """The node that a Node object stands for; None for one that nobody here can run.

    A lab has the machines that its file tells of. An object that gives one of them other pod
    ranges than it has is somebody else's.
    """
    node = lab.node(meta.name(obj))
    written = meta.spec(obj).get("podCIDRs")
    return node if node and (not written or tuple(written) == node.pod_cidrs) else None
