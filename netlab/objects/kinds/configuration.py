"""What pods are given to know, and as whom they run."""

from __future__ import annotations

from netlab.objects.kinds.kind import LABEL, Kind

CONFIG_MAP = Kind("ConfigMap", "configmaps", short_names=("cm",))
SECRET = Kind("Secret", "secrets", selectable=("type",), not_selectable=LABEL)
SERVICE_ACCOUNT = Kind(
    "ServiceAccount",
    "serviceaccounts",
    short_names=("sa",),
    subresources=("token",),
    answers_deletion=True,
)

KINDS = (CONFIG_MAP, SECRET, SERVICE_ACCOUNT)
