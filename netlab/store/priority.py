"""What a pod has of its PriorityClass: what Kubernetes' Priority admission makes of a new one.

Source: plugin/pkg/admission/priority/admission.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from netlab.errors import ApiError
from netlab.objects import meta, priorities
from netlab.objects.meta import Object

_COMPUTED = (
    "the {} ({}) must not be provided in pod spec; priority admission controller computed {} "
    "from the given PriorityClass name"
)


def admit(pod: Object, classes: Iterable[Object]) -> None:
    """Set a new pod's priority, and whether it preempts others, in place; a 403 if its class is
    missing, or if it says otherwise itself."""
    spec = pod["spec"]
    of = _class_of(pod, list(classes))
    if spec.get("priorityClassName", "") != meta.name(of):
        spec["priorityClassName"] = meta.name(of)
    for field, what, value in (
        ("priority", "integer value of priority", of["value"]),
        ("preemptionPolicy", "string value of PreemptionPolicy", of.get("preemptionPolicy")),
    ):
        if spec.get(field, value) != value:
            raise _forbidden(pod, _COMPUTED.format(what, spec[field], value))
        spec[field] = value


def _class_of(pod: Object, classes: list[Object]) -> Mapping[str, Any]:
    wanted = pod["spec"].get("priorityClassName") or ""
    if not wanted:
        return _default(classes) or _NONE
    for one in classes:
        if meta.name(one) == wanted:
            return one
    raise _forbidden(pod, f"no PriorityClass with name {wanted} was found")


_NONE: Object = {
    "metadata": {"name": ""}, "value": 0, "preemptionPolicy": priorities.PREEMPTING
}  # fmt: skip
"""What pods are that name no class, where none is for all."""


def check_default(new: Object, classes: Iterable[Object]) -> None:
    """Raise a 403 if a class is to be for all pods that name none, and another is so already."""
    other = _default(classes) if new.get("globalDefault") else None
    if other is not None and meta.name(other) != meta.name(new):
        name = meta.name(new)
        raise ApiError(
            f'priorityclasses.scheduling.k8s.io "{name}" is forbidden: PriorityClass '
            f"{meta.name(other)} is already marked as default. Only one default can exist",
            code=403,
            reason="Forbidden",
            details={"name": name, "group": "scheduling.k8s.io", "kind": "priorityclasses"},
        )


def _default(classes: Iterable[Object]) -> Object | None:
    """The class for all pods; of several the lowest."""
    found = [one for one in classes if one.get("globalDefault")]
    return min(found, key=lambda one: int(one["value"]), default=None)


def _forbidden(pod: Object, why: str) -> ApiError:
    name = pod["metadata"].get("name") or ""
    return ApiError(
        f'pods "{name}" is forbidden: {why}',
        code=403,
        reason="Forbidden",
        details={"name": name, "kind": "pods"},
    )
