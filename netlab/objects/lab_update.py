"""What of a running lab a changed file may change, as Kubernetes could change it. Pure.

Nodes come and go, get other labels and taints; kube-proxy and the cluster's DNS are started again
with other settings; the world outside is anybody's to change. What addresses were given from stays:
the ranges, and what a node was given when it joined.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

from netlab.objects.lab import Lab, Node
from netlab.objects.meta import Object
from netlab.objects.problems import FieldProblem, Path
from netlab.objects.ranges import client_entries, node_entries

_GIVEN = "addresses were given from it, and neither pods, nodes nor Services change theirs"
_FOR_ANOTHER = "sudo netlab down {lab}, then up again"

_FIXED: dict[str, str] = {
    "ipFamilies": "nodes and Services keep the families that they were made with",
    "podCIDR": _GIVEN,
    "serviceCIDR": _GIVEN,
    "nodeNetwork": _GIVEN,
    "external.cidr": _GIVEN,
}
"""Fields of the Lab that nothing changes while it runs, and why."""

_FIXED_OF_NODE: dict[str, str] = {
    "role": "a worker does not become a control plane, nor a control plane a worker",
    "internalIP": "a node keeps the address that it joined with",
    "externalIP": "a node keeps the address that it joined with",
    "podCIDR": "a node's podCIDR is immutable, as its pods have their addresses from it",
}


class LabChanges(Struct, frozen=True):
    """What is different: `fields` of the Lab's spec by their names, `removed` nodes by theirs,
    `changed` nodes, as they were and as they are to be."""

    fields: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[tuple[Node, Node], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.fields)


def kept(obj: Object, before: Lab) -> Object:
    """A sound Lab object in which the nodes and clients that there are have the addresses that
    they have, unless it gives them others."""
    spec: Mapping[str, Any] = obj["spec"]
    known = before.to_object()["spec"]
    spec = {**spec, "nodes": _with(node_entries(spec.get("nodes")), known["nodes"], _ADDRESSES)}
    if (clients := (spec.get("external") or {}).get("clients")) is not None:
        clients = _with(client_entries(spec["external"]), known["external"]["clients"], ("ip",))
        spec = {**spec, "external": {**spec["external"], "clients": clients}}
    return {**obj, "spec": spec}


_ADDRESSES = ("internalIP", "externalIP", "podCIDR")


def _with(
    entries: list[dict[str, Any]], known: list[dict[str, Any]], fields: tuple[str, ...]
) -> list[dict[str, Any]]:
    by_name = {entry["name"]: entry for entry in known}
    return [
        {**{name: by_name.get(entry["name"], {}).get(name) for name in fields}, **entry}
        for entry in entries
    ]


def changes(before: Lab, after: Lab) -> LabChanges:
    """What a running lab has to change to be as another one of its name."""
    was, is_to_be = before.to_object()["spec"], after.to_object()["spec"]
    nodes = {node.name: node for node in after.nodes}
    return LabChanges(
        tuple(name for name in is_to_be if was[name] != is_to_be[name]),
        tuple(node.name for node in before.nodes if node.name not in nodes),
        tuple(
            (node, nodes[node.name])
            for node in before.nodes
            if node.name in nodes and nodes[node.name] != node
        ),
    )


def of_ranges(before: Lab, after: Lab) -> Iterator[FieldProblem]:
    """Which ranges cannot be otherwise, at the field of the Lab object that asks for it."""
    was, is_to_be = before.to_object()["spec"], after.to_object()["spec"]
    for field, why in _FIXED.items():
        path = tuple(field.split("."))
        old, new = _at(was, path), _at(is_to_be, path)
        if old != new:
            yield _problem(("spec", *path), old, new, why, before.name)


def of_nodes(before: Lab, after: Lab) -> Iterator[FieldProblem]:
    """What of the nodes that there are cannot be otherwise, at that field."""
    was = {entry["name"]: entry for entry in before.to_object()["spec"]["nodes"]}
    for index, entry in enumerate(after.to_object()["spec"]["nodes"]):
        old = was.get(entry["name"], entry)
        for field, why in _FIXED_OF_NODE.items():
            if old[field] != entry[field]:
                path = ("spec", "nodes", index, field)
                yield _problem(path, old[field], entry[field], why, before.name)


def _problem(path: Path, old: Any, new: Any, why: str, lab: str) -> FieldProblem:
    message = f"is {_shown(old)} in the running lab and cannot become {_shown(new)}: {why}"
    return FieldProblem(path, message, _FOR_ANOTHER.format(lab=lab))


def _shown(value: Any) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value)


def _at(spec: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    value: Any = spec
    for part in path:
        value = value[part]
    return value
