"""The Pod."""

from __future__ import annotations

from netlab.objects.kinds.kind import ALL, Kind

POD = Kind(
    "Pod",
    "pods",
    short_names=("po",),
    categories=ALL,
    subresources=("status", "binding", "eviction", "exec", "attach", "log", "portforward"),
    selectable=(
        "spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName",
        "spec.hostNetwork", "status.phase", "status.podIP", "status.nominatedNodeName",
    ),
    counts_generation=True,
    pod_path=(),
    answers_deletion=True,
)  # fmt: skip

KINDS = (POD,)
