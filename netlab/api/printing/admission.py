"""How configurations of admission webhooks print."""

from __future__ import annotations

from netlab.api.printing.cells import AGE, NAME, Cell, Printer, age, count
from netlab.objects.kinds.admission import (
    MUTATING_WEBHOOK_CONFIGURATION,
    VALIDATING_WEBHOOK_CONFIGURATION,
)
from netlab.objects.meta import name
from netlab.objects.types import MutatingWebhookConfiguration, ValidatingWebhookConfiguration


def webhook_cells(
    obj: MutatingWebhookConfiguration | ValidatingWebhookConfiguration,
) -> list[Cell]:
    """NAME WEBHOOKS AGE."""
    return [name(obj), len(obj.get("webhooks") or []), age(obj)]


_WEBHOOKS = Printer((NAME, count("Webhooks"), AGE), webhook_cells)

PRINTERS = {
    MUTATING_WEBHOOK_CONFIGURATION: _WEBHOOKS,
    VALIDATING_WEBHOOK_CONFIGURATION: _WEBHOOKS,
}
