"""How ResourceQuotas print."""

from __future__ import annotations

from netlab.api.printing.cells import AGE, NAME, Cell, Column, Printer, age
from netlab.objects import meta
from netlab.objects.kinds.quota import RESOURCE_QUOTA
from netlab.objects.types import ResourceQuota


def quota_cells(obj: ResourceQuota) -> list[Cell]:
    """NAME REQUEST LIMIT AGE, as from 1.33 on."""
    status = meta.status(obj)
    hard, used = status.get("hard") or {}, status.get("used") or {}
    told = {name: f"{name}: {used.get(name, '0')}/{hard[name]}" for name in sorted(hard)}
    limits = [text for name, text in told.items() if name.startswith("limits.")]
    requests = [text for name, text in told.items() if not name.startswith("limits.")]
    return [meta.name(obj), ", ".join(requests), ", ".join(limits), age(obj)]


PRINTERS = {
    RESOURCE_QUOTA: Printer((NAME, Column("Request"), Column("Limit"), AGE), quota_cells),
}
