"""What an API server does with objects: a strategy for every kind, in the module of its family.

As Kubernetes' `strategy.go`, with the defaults and the validation that stand elsewhere there.
Whoever stores objects or reads them from files imports it; to know a kind, `objects/kinds/` is
enough.
"""

from __future__ import annotations

from collections.abc import Mapping

from netlab.objects.kinds import BY_KIND, Kind
from netlab.objects.kinds.configuration import SERVICE_ACCOUNT
from netlab.objects.kinds.records import Records
from netlab.objects.meta import Object
from netlab.objects.strategies.strategy import Strategy

PLAIN = (SERVICE_ACCOUNT,)
"""Kinds of which all is allowed that their schema allows."""

STRATEGIES: Mapping[Kind, Strategy] = Records(
    __name__, "STRATEGIES", dict.fromkeys(PLAIN, Strategy())
)

_UNKNOWN = Strategy()


def of(obj: Object) -> Strategy:
    """The strategy for an object; one that does nothing and allows all if its kind is unknown."""
    kind = BY_KIND.get(str(obj.get("kind")))
    return _UNKNOWN if kind is None else STRATEGIES[kind]


def apply_defaults(obj: Object) -> None:
    """Fill an object's defaults, in place; filled once, filling again changes nothing."""
    of(obj).default(obj)
