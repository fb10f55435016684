"""How Namespaces and Nodes are stored."""

from __future__ import annotations

from netlab.objects import fields, meta
from netlab.objects.kinds.cluster import NAMESPACE, NODE
from netlab.objects.meta import Object
from netlab.objects.problems import Path, forbidden
from netlab.objects.strategies.strategy import Problems, Strategy


def _namespace(obj: Object) -> None:
    obj.setdefault("spec", {})["finalizers"] = ["kubernetes"]
    labels = obj["metadata"].setdefault("labels", {})
    labels.setdefault("kubernetes.io/metadata.name", obj["metadata"].get("name"))


def _terminate(obj: Object) -> None:
    obj["status"] = {**meta.status(obj), "phase": "Terminating"}


def _node(obj: Object) -> Problems:
    spec = meta.spec(obj)
    if spec.get("podCIDR"):
        yield from fields.cidr(("spec", "podCIDR"), spec["podCIDR"])
    for index, text in enumerate(spec.get("podCIDRs") or []):
        yield from fields.cidr(("spec", "podCIDRs", index), text)
    for index, taint in enumerate(spec.get("taints") or []):
        path: Path = ("spec", "taints", index)
        yield from fields.qualified_name((*path, "key"), taint.get("key") or "key")
        yield from fields.label_value((*path, "value"), taint.get("value") or "")


def _node_update(new: Object, old: Object) -> Problems:
    was = meta.spec(old).get("podCIDRs")
    if was and meta.spec(new).get("podCIDRs") != was:
        yield forbidden(
            ("spec", "podCIDRs"), 'node updates may not change podCIDR except from "" to valid'
        )


STRATEGIES = {
    NAMESPACE: Strategy(
        prepare_create=_namespace, prepare_delete=_terminate, validate_name=fields.dns_label
    ),
    NODE: Strategy(validate=_node, validate_update=_node_update),
}
