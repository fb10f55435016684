"""How far a pod has come, where it matters whether anything of it will run any more."""

from netlab.objects import meta
from netlab.objects.types import Pod


def is_pod_phase_terminal(phase: str | None) -> bool:
    """True of a phase that no other one follows (pkg/api/v1/pod/util.go)."""
    return phase in ("Succeeded", "Failed")


def is_pod_terminal(pod: Pod) -> bool:
    """Its containers have ended, and will not be started again."""
    return is_pod_phase_terminal(meta.status(pod).get("phase"))
