"""Machines that joined a lab while it ran: what they have, their Node objects say. Pure.

The lab's file tells of the machines that it begins with. One more has its addresses, as a file
would write them, in an annotation of its Node, and goes with that object.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from netlab.objects import fields, meta, types
from netlab.objects.lab import Lab, Node, lab_from_object, node_from_object, node_to_object
from netlab.objects.problems import FieldProblem, invalid
from netlab.objects.validate_lab import RESERVED_NAMES, lab_problems

ANNOTATION = "netlab/machine"

_KEPT = ("role", "internalIP", "externalIP", "podCIDR")
"""What the annotation has; labels and taints stand in the object itself."""


def annotation(node: Node) -> dict[str, str]:
    """What makes a Node object be that of a machine of its own."""
    entry = node_to_object(node)
    return {ANNOTATION: json.dumps({name: entry[name] for name in _KEPT})}


def joined(
    lab: Lab, present: Sequence[Node], entry: Mapping[str, Any]
) -> Node | list[FieldProblem]:
    """The node that an entry of `spec.nodes` adds to those that there are, with what it does not
    say filled in; or what is wrong with the entry, each at its field.

    What the lab's file has for other nodes is theirs, though they may not be there now.
    """
    there = {node.name: node_to_object(node) for node in (*lab.nodes, *present)}
    there.pop(str(entry.get("name")), None)
    whole = lab.to_object()
    whole["spec"]["nodes"] = [*there.values(), dict(entry)]
    path = ("spec", "nodes", len(there))
    name = str(entry.get("name"))
    if any(client.name == name for client in lab.external.clients):
        return [invalid(("name",), name, "is the name of a client already")]
    if problems := lab_problems(whole):
        return [_of_entry(one, path) for one in problems]
    return lab_from_object(whole).nodes[-1]


def _of_entry(problem: FieldProblem, path: tuple[str | int, ...]) -> FieldProblem:
    inside = problem.path[: len(path)] == path
    own = problem.path[len(path) :] if inside else problem.path
    return FieldProblem(own, problem.message, problem.hint, problem.reason)


def of_object(lab: Lab, obj: types.Node) -> Node | None:
    """The machine that a Node object tells of; None if it tells of none, or of none that a lab
    could have."""
    try:
        entry = json.loads(meta.annotations(obj).get(ANNOTATION, ""))
        written = {**_NOTHING, **{name: str(entry[name]) for name in _KEPT}}
        node = node_from_object({"name": meta.name(obj), **written})
        return node if _fits(lab, node) else None
    except (ValueError, KeyError, TypeError):
        return None


_NOTHING: dict[str, Any] = {"labels": {}, "taints": ()}


def _fits(lab: Lab, node: Node) -> bool:
    """Whether it has a name of its own, and one address of each family where it belongs."""
    others = {client.name for client in lab.external.clients}
    return (
        node.name not in {*RESERVED_NAMES, *others}
        and not list(fields.dns_label(("metadata", "name"), node.name))
        and node.role in ("control-plane", "worker")
        and _lie_in(node.internal_ips, lab.node_network)
        and _lie_in(node.external_ips, lab.external.cidrs)
        and _lie_in(node.pod_cidrs, lab.pod_cidrs)
    )


def _lie_in(written: Sequence[str], ranges: Sequence[str]) -> bool:
    if len(written) != len(ranges):
        return False
    pairs = zip(map(ipaddress.ip_network, written), map(ipaddress.ip_network, ranges), strict=True)
    return all(inner.version == outer.version and inner.subnet_of(outer) for inner, outer in pairs)  # type: ignore[arg-type]


def is_apart(node: Node, others: Iterable[Node]) -> bool:
    """Whether it has nothing that one of the others has."""
    return not any(_meet(node, other) for other in others)


def _meet(one: Node, other: Node) -> bool:
    addresses = {*one.internal_ips, *one.external_ips}
    return (
        one.name == other.name
        or not addresses.isdisjoint((*other.internal_ips, *other.external_ips))
        or any(_overlap(a, b) for a in one.pod_cidrs for b in other.pod_cidrs)
    )


def _overlap(one: str, other: str) -> bool:
    return ipaddress.ip_network(one).overlaps(ipaddress.ip_network(other))
