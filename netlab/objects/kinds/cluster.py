"""What a cluster is made of."""

from __future__ import annotations

from netlab.objects.kinds.kind import LABEL, Kind

NAMESPACE = Kind(
    "Namespace",
    "namespaces",
    namespaced=False,
    short_names=("ns",),
    subresources=("status", "finalize"),
    selectable=("status.phase",),
    not_selectable=LABEL,
    first_status={"phase": "Active"},
)
NODE = Kind(
    "Node",
    "nodes",
    namespaced=False,
    short_names=("no",),
    subresources=("status", "proxy"),
    selectable=("spec.unschedulable",),
    not_selectable=LABEL,
    first_status=None,  # a kubelet registers its node with a status
)
LEASE = Kind("Lease", "leases", "coordination.k8s.io")

KINDS = (NAMESPACE, NODE, LEASE)
