"""What Kubernetes' Priority admission refuses of a new pod.

Source: plugin/pkg/admission/priority/admission.go.
"""

from __future__ import annotations

from netlab.errors import ApiError
from netlab.objects.meta import Object

_OF_THE_SYSTEM = "system-"
_THERE = ("system-cluster-critical", "system-node-critical")


def admit(pod: Object) -> None:
    """Refuse a class that is certainly missing: those of the system nobody can make. Of others,
    which no lab keeps, a warning tells."""
    wanted = pod["spec"].get("priorityClassName") or ""
    if wanted.startswith(_OF_THE_SYSTEM) and wanted not in _THERE:
        name = pod["metadata"].get("name") or ""
        raise ApiError(
            f'pods "{name}" is forbidden: no PriorityClass with name {wanted} was found',
            code=403,
            reason="Forbidden",
            details={"name": name, "kind": "pods"},
        )
