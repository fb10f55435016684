"""The downward API: which of its own fields and resources a pod may ask for, and how."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Any

from netlab.objects import fields
from netlab.objects.problems import (
    FieldProblem,
    Path,
    invalid,
    not_found,
    not_supported,
    required,
)

Mapping = dict[str, Any]

_OF_PODS = ("metadata.name", "metadata.namespace", "metadata.uid")
IN_VARIABLES = (
    *_OF_PODS, "spec.nodeName", "spec.serviceAccountName",
    "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs",
)  # fmt: skip
"""The fields that a variable may hold."""
IN_FILES = (*_OF_PODS, "metadata.annotations", "metadata.labels")
"""The fields that a file may hold."""
_KNOWN = frozenset(
    (*IN_VARIABLES, *IN_FILES, "spec.restartPolicy", "spec.schedulerName", "status.phase")
)
_RESOURCES = tuple(
    f"{section}.{name}"
    for section in ("limits", "requests")
    for name in ("cpu", "memory", "ephemeral-storage")
)
_HUGE_PAGES = ("limits.hugepages-", "requests.hugepages-")
_SUBSCRIPT = re.compile(r"(.*)\['([^']*)'\]", re.DOTALL)
_WITH_SUBSCRIPT = ("metadata.annotations", "metadata.labels")


def file(path: Path, item: Mapping, containers: Collection[str]) -> Iterator[FieldProblem]:
    """An item of a downwardAPI volume, apart from its path."""
    field, resource = item.get("fieldRef"), item.get("resourceFieldRef")
    if field is not None and resource is not None:
        yield invalid(
            path, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously"
        )
    elif field is not None:
        yield from field_reference((*path, "fieldRef"), field, IN_FILES)
    elif resource is not None:
        where: Path = (*path, "resourceFieldRef")
        name = resource.get("containerName") or ""
        if not name:
            yield required((*where, "containerName"))
        elif name not in containers:
            yield not_found((*where, "containerName"), name, "name a container of the pod")
        yield from resource_reference(where, resource)
    else:
        yield required(path, "one of fieldRef and resourceFieldRef is required")


def field_reference(
    path: Path, reference: Mapping, supported: Collection[str]
) -> Iterator[FieldProblem]:
    """A `fieldRef`: one of the supported fields, or a single label or annotation."""
    where: Path = (*path, "fieldPath")
    text = reference.get("fieldPath")
    if text is None:
        return  # the schema has said so
    subscript = _SUBSCRIPT.fullmatch(text)
    if not text:
        yield required(where)
    elif subscript and subscript[1] in _WITH_SUBSCRIPT:
        key = subscript[2]
        yield from fields.qualified_name(
            path, key if subscript[1] == "metadata.labels" else key.lower()
        )
    elif subscript:
        problem = f"field label does not support subscript: {text}"
        yield invalid(where, text, f"error converting fieldPath: {problem}")
    elif text not in _KNOWN:
        yield invalid(where, text, f"error converting fieldPath: field label not supported: {text}")
    elif text not in supported:
        yield not_supported(where, text, supported)


def resource_reference(path: Path, reference: Mapping) -> Iterator[FieldProblem]:
    """A `resourceFieldRef`."""
    where: Path = (*path, "resource")
    text = reference.get("resource")
    if text == "":
        yield required(where)
    elif text is not None and text not in _RESOURCES and not text.startswith(_HUGE_PAGES):
        yield not_supported(where, text, _RESOURCES)
