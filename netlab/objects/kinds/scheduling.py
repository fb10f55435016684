"""What matters more than what, when not all of it has room."""

from __future__ import annotations

from netlab.objects.kinds.kind import Kind

PRIORITY_CLASS = Kind(
    "PriorityClass", "priorityclasses", "scheduling.k8s.io", namespaced=False, short_names=("pc",)
)

KINDS = (PRIORITY_CLASS,)
