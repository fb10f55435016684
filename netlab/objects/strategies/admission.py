"""How configurations of admission webhooks are stored."""

from __future__ import annotations

from netlab.objects import validate_admission
from netlab.objects.kinds.admission import (
    MUTATING_WEBHOOK_CONFIGURATION,
    VALIDATING_WEBHOOK_CONFIGURATION,
)
from netlab.objects.meta import Object
from netlab.objects.strategies.strategy import Mapping, Strategy, fill

_EMPTY_SELECTORS = ("namespaceSelector", "objectSelector")


def _validating(obj: Object) -> None:
    for webhook in obj.get("webhooks") or []:
        _webhook(webhook)


def _mutating(obj: Object) -> None:
    for webhook in obj.get("webhooks") or []:
        _webhook(webhook)
        fill(webhook, reinvocationPolicy="Never")


def _webhook(webhook: Mapping) -> None:
    fill(webhook, failurePolicy="Fail", matchPolicy="Equivalent")
    for field in _EMPTY_SELECTORS:
        if webhook.get(field) is None:
            webhook[field] = {}
    if webhook.get("timeoutSeconds") is None:
        webhook["timeoutSeconds"] = 10
    service = (webhook.get("clientConfig") or {}).get("service")
    if service and service.get("port") is None:
        service["port"] = 443
    for rule in webhook.get("rules") or []:
        fill(rule, scope="*")


STRATEGIES = {
    VALIDATING_WEBHOOK_CONFIGURATION: Strategy(
        default=_validating, validate=validate_admission.webhook_configuration
    ),
    MUTATING_WEBHOOK_CONFIGURATION: Strategy(
        default=_mutating, validate=validate_admission.webhook_configuration
    ),
}
