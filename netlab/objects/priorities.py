"""How much pods matter: the classes that every cluster has, and what a pod has of its class. Pure.

Source: pkg/apis/scheduling/types.go and v1/helpers.go.
"""

from __future__ import annotations

from netlab.objects import meta
from netlab.objects.types import Pod, PriorityClass

OF_THE_SYSTEM = "system-"
"""What the names of a cluster's own classes begin with, and no others."""

HIGHEST_OF_USERS = 1_000_000_000
CRITICAL = 2 * HIGHEST_OF_USERS
PREEMPTING = "PreemptLowerPriority"
POLICIES = ("Never", PREEMPTING)

SYSTEM_CLASSES = {
    "system-node-critical": (
        CRITICAL + 1000,
        "Used for system critical pods that must not be moved from their current node.",
    ),
    "system-cluster-critical": (
        CRITICAL,
        "Used for system critical pods that must run in the cluster, but can be moved to another "
        "node if necessary.",
    ),
}
"""By name: the value, and what is said of it."""


def system_classes() -> list[PriorityClass]:
    """The objects that every cluster begins with."""
    return [
        {
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": {"name": name},
            "value": value,
            "description": description,
        }
        for name, (value, description) in SYSTEM_CLASSES.items()
    ]


def priority(pod: Pod) -> int:
    """The pod's priority; a pod without any counts as one of the lowest that nobody asked for."""
    return int(meta.spec(pod).get("priority") or 0)
