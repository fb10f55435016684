"""How Nodes, Namespaces and Leases print."""

from __future__ import annotations

from netlab.api.printing.cells import AGE, NAME, NONE, UNKNOWN, Cell, Column, Printer, age, wide
from netlab.objects.kinds.cluster import LEASE, NAMESPACE, NODE
from netlab.objects.meta import condition, labels, name, spec, status
from netlab.objects.types import Lease, Namespace, Node

_ROLE_PREFIX = "node-role.kubernetes.io/"


def node_cells(node: Node) -> list[Cell]:
    """NAME STATUS ROLES AGE VERSION, and addresses, system, kernel and runtime."""
    info = status(node).get("nodeInfo", {})
    return [
        name(node),
        _node_status(node),
        _node_roles(node),
        age(node),
        info.get("kubeletVersion") or "",
        _address(node, "InternalIP"),
        _address(node, "ExternalIP"),
        info.get("osImage") or UNKNOWN,
        info.get("kernelVersion") or UNKNOWN,
        info.get("containerRuntimeVersion") or UNKNOWN,
    ]


def _node_status(node: Node) -> str:
    ready = condition(node, "Ready")
    word = "Unknown"
    if ready is not None:
        word = "Ready" if ready.get("status") == "True" else "NotReady"
    return f"{word},SchedulingDisabled" if spec(node).get("unschedulable") else word


def _node_roles(node: Node) -> str:
    roles = {key.removeprefix(_ROLE_PREFIX) for key in labels(node) if key.startswith(_ROLE_PREFIX)}
    roles.add(labels(node).get("kubernetes.io/role", ""))
    return ",".join(sorted(role for role in roles if role)) or NONE


def _address(node: Node, type_: str) -> str:
    for entry in status(node).get("addresses") or []:
        if entry.get("type") == type_:
            return str(entry.get("address"))
    return NONE


def namespace_cells(obj: Namespace) -> list[Cell]:
    """NAME STATUS AGE."""
    return [name(obj), status(obj).get("phase") or "", age(obj)]


def lease_cells(obj: Lease) -> list[Cell]:
    """NAME HOLDER AGE."""
    return [name(obj), spec(obj).get("holderIdentity") or "", age(obj)]


PRINTERS = {
    NODE: Printer(
        (
            NAME, Column("Status"), Column("Roles"), AGE, Column("Version"), wide("Internal-IP"),
            wide("External-IP"), wide("OS-Image"), wide("Kernel-Version"),
            wide("Container-Runtime"),
        ),
        node_cells,
    ),
    NAMESPACE: Printer((NAME, Column("Status"), AGE), namespace_cells),
    LEASE: Printer((NAME, Column("Holder"), AGE), lease_cells),
}  # fmt: skip
