"""Who would be asked before an object is stored. Nobody asks them here."""

from __future__ import annotations

from netlab.objects.kinds.kind import Kind

VALIDATING_WEBHOOK_CONFIGURATION = Kind(
    "ValidatingWebhookConfiguration",
    "validatingwebhookconfigurations",
    "admissionregistration.k8s.io",
    namespaced=False,
    categories=("api-extensions",),
    counts_generation=True,
)
MUTATING_WEBHOOK_CONFIGURATION = Kind(
    "MutatingWebhookConfiguration",
    "mutatingwebhookconfigurations",
    "admissionregistration.k8s.io",
    namespaced=False,
    categories=("api-extensions",),
    counts_generation=True,
)

KINDS = (VALIDATING_WEBHOOK_CONFIGURATION, MUTATING_WEBHOOK_CONFIGURATION)
