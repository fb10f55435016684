"""The Pod."""

from __future__ import annotations

from netlab.objects.kinds.kind import ALL, LABEL, Kind

POD = Kind(
    "Pod",
    "pods",
    short_names=("po",),
    categories=ALL,
    subresources=(
        "status", "binding", "ephemeralcontainers", "eviction", "exec", "attach", "log",
        "portforward", "proxy",
    ),
    selectable=(
        "spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName",
        "spec.hostNetwork", "status.phase", "status.podIP", "status.podIPs",
        "status.nominatedNodeName", "spec.host",
    ),
    not_selectable=LABEL,
    fixed_in_status=("ownerReferences",),
    counts_generation=True,
    pod_path=(),
    answers_deletion=True,
)  # fmt: skip

KINDS = (POD,)
