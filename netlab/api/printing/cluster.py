"""How nodes, namespaces, configuration and events print."""

from __future__ import annotations

from typing import Any

from netlab.api.printing.cells import (
    AGE,
    NAME,
    NONE,
    UNKNOWN,
    Cell,
    Column,
    Printer,
    age,
    count,
    since,
    wide,
)
from netlab.objects.meta import Object, condition, labels, name, spec, status

_ROLE_PREFIX = "node-role.kubernetes.io/"


def node_cells(node: Object) -> list[Cell]:
    """NAME STATUS ROLES AGE VERSION, and addresses, system, kernel and runtime."""
    info: dict[str, Any] = status(node).get("nodeInfo") or {}
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


def _node_status(node: Object) -> str:
    ready = condition(node, "Ready")
    word = "Unknown"
    if ready is not None:
        word = "Ready" if ready.get("status") == "True" else "NotReady"
    return f"{word},SchedulingDisabled" if spec(node).get("unschedulable") else word


def _node_roles(node: Object) -> str:
    roles = {key.removeprefix(_ROLE_PREFIX) for key in labels(node) if key.startswith(_ROLE_PREFIX)}
    roles.add(labels(node).get("kubernetes.io/role", ""))
    return ",".join(sorted(role for role in roles if role)) or NONE


def _address(node: Object, type_: str) -> str:
    for entry in status(node).get("addresses") or []:
        if entry.get("type") == type_:
            return str(entry.get("address"))
    return NONE


def namespace_cells(obj: Object) -> list[Cell]:
    """NAME STATUS AGE."""
    return [name(obj), status(obj).get("phase") or "", age(obj)]


def configmap_cells(obj: Object) -> list[Cell]:
    """NAME DATA AGE."""
    return [name(obj), len(obj.get("data") or {}) + len(obj.get("binaryData") or {}), age(obj)]


def secret_cells(obj: Object) -> list[Cell]:
    """NAME TYPE DATA AGE."""
    return [name(obj), obj.get("type") or "Opaque", len(obj.get("data") or {}), age(obj)]


def serviceaccount_cells(obj: Object) -> list[Cell]:
    """NAME SECRETS AGE."""
    return [name(obj), len(obj.get("secrets") or []), age(obj)]


def lease_cells(obj: Object) -> list[Cell]:
    """NAME HOLDER AGE."""
    return [name(obj), spec(obj).get("holderIdentity") or "", age(obj)]


def event_cells(event: Object) -> list[Cell]:
    """LAST SEEN TYPE REASON OBJECT MESSAGE, and SUBOBJECT SOURCE FIRST SEEN COUNT NAME."""
    series: dict[str, Any] = event.get("series") or {}
    first = since(event.get("firstTimestamp") or event.get("eventTime"))
    last = since(event["lastTimestamp"]) if event.get("lastTimestamp") else first
    about: dict[str, Any] = event.get("involvedObject") or {}
    return [
        since(series["lastObservedTime"]) if series.get("lastObservedTime") else last,
        event.get("type") or "",
        event.get("reason") or "",
        _about(about),
        about.get("fieldPath") or "",
        _source(event),
        str(event.get("message") or "").strip(),
        first,
        int(series.get("count") or event.get("count") or 1),
        name(event),
    ]


def _about(reference: dict[str, Any]) -> str:
    kind = str(reference.get("kind") or "").lower()
    return f"{kind}/{reference['name']}" if reference.get("name") else kind


def _source(event: Object) -> str:
    source: dict[str, Any] = event.get("source") or {}
    component = source.get("component") or event.get("reportingComponent") or ""
    host = source.get("host") or event.get("reportingInstance") or ""
    return ", ".join(part for part in (component, host) if part)


PRINTERS = {
    "Node": Printer(
        (
            NAME, Column("Status"), Column("Roles"), AGE, Column("Version"), wide("Internal-IP"),
            wide("External-IP"), wide("OS-Image"), wide("Kernel-Version"),
            wide("Container-Runtime"),
        ),
        node_cells,
    ),
    "Namespace": Printer((NAME, Column("Status"), AGE), namespace_cells),
    "ConfigMap": Printer((NAME, count("Data"), AGE), configmap_cells),
    "Secret": Printer((NAME, Column("Type"), count("Data"), AGE), secret_cells),
    "ServiceAccount": Printer((NAME, count("Secrets"), AGE), serviceaccount_cells),
    "Lease": Printer((NAME, Column("Holder"), AGE), lease_cells),
    "Event": Printer(
        (
            Column("Last Seen"), Column("Type"), Column("Reason"), Column("Object"),
            wide("Subobject"), wide("Source"), Column("Message"), wide("First Seen"),
            Column("Count", "integer", 1), wide("Name"),
        ),
        event_cells,
    ),
}  # fmt: skip
