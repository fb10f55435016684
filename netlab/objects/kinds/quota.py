"""How much of everything a namespace may have."""

from __future__ import annotations

from netlab.objects.kinds.kind import Kind

RESOURCE_QUOTA = Kind(
    "ResourceQuota",
    "resourcequotas",
    short_names=("quota",),
    subresources=("status",),
    answers_deletion=True,
)

KINDS = (RESOURCE_QUOTA,)
