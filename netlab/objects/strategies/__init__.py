"""What an API server does with objects: a strategy for every kind, in the module of its family.

As Kubernetes' `strategy.go`, with the defaults and the validation that stand elsewhere there.
Whoever stores objects or reads them from files imports it; to know a kind, `objects/kinds/` is
enough.
"""

from __future__ import annotations

from netlab.objects.kinds import Kind
from netlab.objects.kinds.cluster import LEASE
from netlab.objects.kinds.configuration import SERVICE_ACCOUNT
from netlab.objects.kinds.events import EVENT
from netlab.objects.meta import Object
from netlab.objects.strategies import (
    access,
    admission,
    batch,
    cluster,
    configuration,
    networking,
    pods,
    workloads,
)
from netlab.objects.strategies.strategy import Strategy

PLAIN = (EVENT, LEASE, SERVICE_ACCOUNT)
"""Kinds of which all is allowed that their schema allows."""

STRATEGIES: dict[Kind, Strategy] = {
    **dict.fromkeys(PLAIN, Strategy()),
    **admission.STRATEGIES,
    **batch.STRATEGIES,
    **cluster.STRATEGIES,
    **configuration.STRATEGIES,
    **networking.STRATEGIES,
    **pods.STRATEGIES,
    **workloads.STRATEGIES,
    **access.STRATEGIES,
}

_BY_KIND = {kind.kind: strategy for kind, strategy in STRATEGIES.items()}
_UNKNOWN = Strategy()


def of(obj: Object) -> Strategy:
    """The strategy for an object; one that does nothing and allows all if its kind is unknown."""
    return _BY_KIND.get(str(obj.get("kind")), _UNKNOWN)


def apply_defaults(obj: Object) -> None:
    """Fill an object's defaults, in place; filled once, filling again changes nothing."""
    of(obj).default(obj)
