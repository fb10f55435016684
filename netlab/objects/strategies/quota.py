"""How ResourceQuotas are stored."""

from __future__ import annotations

from typing import Any

from netlab.objects.kinds.quota import RESOURCE_QUOTA
from netlab.objects.meta import Object
from netlab.objects.problems import Path, invalid
from netlab.objects.strategies.strategy import IMMUTABLE, Problems, Strategy
from netlab.objects.validate_quota import amounts, quota_spec


def _validate(obj: Object) -> Problems:
    yield from quota_spec(("spec",), obj.get("spec") or {})


def _update(new: Object, old: Object) -> Problems:
    """What it is for stays."""
    scopes = (new.get("spec") or {}).get("scopes") or []
    if {*scopes} != {*((old.get("spec") or {}).get("scopes") or [])}:
        yield invalid(("spec", "scopes"), scopes, IMMUTABLE)


def _status(path: Path, status: dict[str, Any]) -> Problems:
    for field in ("hard", "used"):
        yield from amounts((*path, field), status.get(field) or {})


STRATEGIES = {
    RESOURCE_QUOTA: Strategy(validate=_validate, validate_update=_update, validate_status=_status),
}
