"""How long pods bear that their node is lost: the admission plugin DefaultTolerationSeconds."""

from __future__ import annotations

from netlab.objects.lab import NodeLifecycle
from netlab.objects.meta import Object
from netlab.objects.types import Toleration

NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = "node.kubernetes.io/unreachable"


def fill(pod: Object, lifecycle: NodeLifecycle) -> None:
    """Add, in place, the tolerations that a pod does not have of its own."""
    limits = ((NOT_READY, lifecycle.not_ready_toleration),
              (UNREACHABLE, lifecycle.unreachable_toleration))  # fmt: skip
    own: list[Toleration] = pod["spec"].get("tolerations") or []
    missing: list[Toleration] = [
        {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": seconds}
        for key, seconds in limits
        if not any(_concerns(one, key) for one in own)
    ]
    if missing:
        pod["spec"]["tolerations"] = [*own, *missing]


def _concerns(toleration: Toleration, key: str) -> bool:
    has_key = (toleration.get("key") or key) == key
    return has_key and (toleration.get("effect") or "NoExecute") == "NoExecute"
