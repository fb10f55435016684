"""How Namespaces, Nodes and Leases are stored."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from msgspec.structs import replace

from netlab.objects import fields, meta, names
from netlab.objects.kinds.cluster import LEASE, NAMESPACE, NODE
from netlab.objects.meta import Object
from netlab.objects.problems import Path, duplicate, forbidden, invalid
from netlab.objects.ranges import family
from netlab.objects.strategies.strategy import Mapping, Problems, Strategy


def _namespace(obj: Object) -> None:
    obj.setdefault("spec", {})["finalizers"] = ["kubernetes"]
    labels = obj["metadata"].setdefault("labels", {})
    labels.setdefault("kubernetes.io/metadata.name", obj["metadata"].get("name"))


def _terminate(obj: Object) -> None:
    obj["status"] = {**meta.status(obj), "phase": "Terminating"}


def _finalizers(obj: Object) -> Problems:
    """Who holds a namespace: of the names that are not a cluster's own each has its domain."""
    for index, name in enumerate(meta.spec(obj).get("finalizers") or []):
        path: Path = ("spec", "finalizers", index)
        yield from fields.qualified_name(path, name)
        if "/" not in name and name not in _STANDARD_FINALIZERS:
            words = "name is neither a standard finalizer name nor is it fully qualified"
            yield invalid(path, name, words)


_STANDARD_FINALIZERS = ("kubernetes", "orphan", "foregroundDeletion")


def _node(obj: Object) -> Problems:
    spec = meta.spec(obj)
    yield from _taints(spec.get("taints") or [])
    single = [spec["podCIDR"]] if spec.get("podCIDR") else []
    cidrs = spec.get("podCIDRs") or single
    for index, text in enumerate(cidrs):
        for problem in fields.cidr(("spec", "podCIDRs", index), text):
            yield replace(problem, written=("spec", "podCIDR") if cidrs is single else None)
    if len(cidrs) > 2 or (len(cidrs) == 2 and family(cidrs[0]) == family(cidrs[1])):
        words = "may specify no more than one CIDR for each IP family"
        yield invalid(("spec", "podCIDRs"), cidrs, words)


def _taints(taints: list[Mapping]) -> Problems:
    """An API server names them as part of the metadata, where they were once."""
    seen: set[tuple[Any, Any]] = set()
    for index, taint in enumerate(taints):
        written: Path = ("spec", "taints", index)
        for problem in _taint(("metadata", "taints", index), taint, seen):
            yield replace(problem, written=(*written, *problem.path[3:]))
        seen.add((taint.get("key"), taint.get("effect")))


def _taint(path: Path, taint: Mapping, seen: Container[tuple[Any, Any]]) -> Problems:
    if "key" in taint:
        yield from fields.qualified_name((*path, "key"), taint["key"] or "")
    value = taint.get("value") or ""
    if faults := ";".join(names.label_value_faults(value)):
        yield invalid((*path, "value"), value, faults)
    if (taint.get("key"), taint.get("effect")) in seen:
        found = duplicate(path, taint)
        words = f"{found.message}: taints must be unique by key and effect pair"
        yield replace(found, message=words)


def _node_update(new: Object, old: Object) -> Problems:
    was = meta.spec(old).get("podCIDRs")
    if was and meta.spec(new).get("podCIDRs") != was:
        yield forbidden(
            ("spec", "podCIDRs"), 'node updates may not change podCIDR except from "" to valid'
        )
    provider = meta.spec(old).get("providerID")
    if provider and meta.spec(new).get("providerID") != provider:
        yield forbidden(
            ("spec", "providerID"), 'node updates may not change providerID except from "" to valid'
        )


def _lease(obj: Object) -> Problems:
    spec = meta.spec(obj)
    seconds = spec.get("leaseDurationSeconds")
    if seconds is not None and seconds <= 0:
        yield invalid(("spec", "leaseDurationSeconds"), seconds, "must be greater than 0")
    yield from fields.non_negative(("spec", "leaseTransitions"), spec.get("leaseTransitions"))


STRATEGIES = {
    NAMESPACE: Strategy(
        prepare_create=_namespace,
        prepare_delete=_terminate,
        validate=_finalizers,
        validate_name=fields.dns_label,
    ),
    NODE: Strategy(validate=_node, validate_update=_node_update),
    LEASE: Strategy(validate=_lease),
}
