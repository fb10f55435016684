"""What a container may say of resources: their names and amounts, requests and limits. Pure.

Source: ValidateResourceRequirements in pkg/apis/core/validation/validation.go.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from netlab.objects import fields, names, quantity
from netlab.objects.problems import FieldProblem, Key, Path, invalid, required

Mapping = dict[str, Any]

_OF_CONTAINERS = ("cpu", "memory", "ephemeral-storage")
_HUGE = "hugepages-"
_STANDARD = {
    *_OF_CONTAINERS,
    *(f"{which}.{one}" for which in ("requests", "limits") for one in _OF_CONTAINERS),
    "storage", "requests.storage", "pods", "services", "services.nodeports",
    "services.loadbalancers", "secrets", "configmaps", "replicationcontrollers", "resourcequotas",
    "persistentvolumeclaims",
}  # fmt: skip
BELOW_ZERO = "must be greater than or equal to 0"


def of_container(path: Path, resources: Mapping) -> Iterator[FieldProblem]:
    """A container's `resources`."""
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    for field, amounts in (("limits", limits), ("requests", requests)):
        for name, amount in amounts.items():
            where = (*path, field, Key(name))
            yield from _name(where, name)
            yield from _amount(where, name, amount)
    for name, amount in requests.items():
        yield from _against_limit(path, name, amount, limits.get(name))


def standard(name: str) -> bool:
    """Whether it is a resource that Kubernetes itself knows."""
    return name in _STANDARD or name.startswith((_HUGE, f"requests.{_HUGE}"))


def _name(path: Path, name: str) -> Iterator[FieldProblem]:
    yield from fields.qualified_name(path, name)
    if "/" in name or not names.is_qualified_name(name):
        return
    if not standard(name):
        yield invalid(path, name, "must be a standard resource type or fully qualified")
    if name not in _OF_CONTAINERS and not name.startswith(_HUGE):
        yield invalid(path, name, "must be a standard resource for containers")


def _amount(path: Path, name: str, amount: Any) -> Iterator[FieldProblem]:
    wrong = list(fields.quantity(path, amount))
    yield from wrong
    if wrong:
        return
    if quantity.parse(amount) < 0:
        yield invalid(path, str(amount), BELOW_ZERO)
    elif not _is_overcommitted(name) and quantity.parse(amount).denominator != 1:
        yield invalid(path, str(amount), "must be an integer")


def _against_limit(path: Path, name: str, amount: Any, limit: Any) -> Iterator[FieldProblem]:
    where = (*path, "requests")
    if limit is None:
        if not _is_overcommitted(name):
            detail = "Limit must be set for non overcommitable resources"
            yield required((*path, "limits"), detail)
        return
    asked, most = quantity.parse(amount), quantity.parse(limit)
    if asked != most and not _is_overcommitted(name):
        yield invalid(where, str(amount), f"must be equal to {name} limit of {limit}")
    elif asked > most:
        yield invalid(where, str(amount), f"must be less than or equal to {name} limit of {limit}")


def _is_overcommitted(name: str) -> bool:
    """Whether more of it may be promised than there is."""
    native = "/" not in name or "kubernetes.io/" in name
    return native and not name.startswith(_HUGE)
