"""What a ResourceQuota may say. Pure.

Source: ValidateResourceQuotaSpec in pkg/apis/core/validation/validation.go, pkg/apis/core/helper.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from netlab.objects import fields, names, quantity, quotas
from netlab.objects.problems import FieldProblem, Key, Path, invalid, required
from netlab.objects.validate_resources import BELOW_ZERO, standard

Mapping = dict[str, Any]

_COUNTS = frozenset({
    "pods", "resourcequotas", "services", "replicationcontrollers", "secrets", "configmaps",
    "persistentvolumeclaims", "services.nodeports", "services.loadbalancers",
})  # fmt: skip
_KNOWN = quotas.OF_PODS | _COUNTS | {"requests.storage"}
_WITHOUT_VALUES = (
    "BestEffort", "NotBestEffort", "Terminating", "NotTerminating", "CrossNamespacePodAffinity",
)  # fmt: skip
_SCOPES = (*_WITHOUT_VALUES, "PriorityClass")
_CONTRARY = (("BestEffort", "NotBestEffort"), ("Terminating", "NotTerminating"))
_EXIST = (
    "must be 'Exist' when scope is any of ResourceQuotaScopeTerminating, "
    "ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, "
    "ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity"
)


def amounts(path: Path, given: Mapping) -> Iterator[FieldProblem]:
    """Amounts of resources that a quota knows."""
    for name, amount in given.items():
        where = (*path, Key(name))
        yield from _name(where, name)
        yield from _amount(where, name, amount)


def _name(path: Path, name: str) -> Iterator[FieldProblem]:
    yield from fields.qualified_name(path, name)
    if "/" in name:
        return
    if names.is_qualified_name(name) and not standard(name):
        yield invalid(path, name, "must be a standard resource type or fully qualified")
    if not _is_known(name):
        yield invalid(path, name, "must be a standard resource for quota")


def _is_known(name: str) -> bool:
    return name in _KNOWN or name.startswith(quotas.HUGE)


def _amount(path: Path, name: str, amount: Any) -> Iterator[FieldProblem]:
    wrong = list(fields.quantity(path, amount))
    yield from wrong
    if wrong:
        return
    if quantity.parse(amount) < 0:
        yield invalid(path, str(amount), BELOW_ZERO)
    whole = name in _COUNTS or ("/" in name and not quotas.is_native(name))
    if whole and quantity.parse(amount).denominator != 1:
        yield invalid(path, str(amount), "must be an integer")


def quota_spec(path: Path, spec: Mapping) -> Iterator[FieldProblem]:
    """A quota's spec at `path`."""
    hard = spec.get("hard") or {}
    yield from amounts((*path, "hard"), hard)
    if scopes := spec.get("scopes"):
        yield from _scopes((*path, "scopes"), scopes, hard)
    if (selector := spec.get("scopeSelector")) is not None:
        where: Path = (*path, "scopeSelector", "matchExpressions")
        yield from _selector(where, selector, spec)


def _scopes(path: Path, scopes: list[str], hard: Collection[str]) -> Iterator[FieldProblem]:
    for scope in scopes:
        if scope not in _SCOPES:
            yield invalid(path, scopes, "unsupported scope")
        for _ in _unfit(scope, hard):
            yield invalid(path, scopes, "unsupported scope applied to resource")
    for pair in _CONTRARY:
        if set(pair) <= {*scopes}:
            yield invalid(path, scopes, "conflicting scopes")


def _unfit(scope: str, hard: Collection[str]) -> Iterator[str]:
    """The resources that a quota of that scope cannot have."""
    if scope in _SCOPES:
        fit = {"pods"} if scope == "BestEffort" else {"pods", *quotas.COMPUTE}
        yield from (name for name in sorted(hard) if _is_known(name) and name not in fit)


def _selector(path: Path, selector: Mapping, spec: Mapping) -> Iterator[FieldProblem]:
    asked = selector.get("matchExpressions") or []
    for one in asked:
        if one["scopeName"] not in _SCOPES:
            yield invalid((*path, "scopeName"), one["scopeName"], "unsupported scope")
        for _ in _unfit(one["scopeName"], spec.get("hard") or {}):
            yield invalid(path, selector, "unsupported scope applied to resource")
        yield from _requirement(path, one)
    scopes = {one["scopeName"] for one in asked}
    for pair in _CONTRARY:
        if set(pair) <= scopes:
            yield invalid(path, spec.get("scopes"), "conflicting scopes")


def _requirement(path: Path, one: Mapping) -> Iterator[FieldProblem]:
    operator, values = one["operator"], one.get("values") or []
    if one["scopeName"] in _WITHOUT_VALUES and operator != "Exists":
        yield invalid((*path, "operator"), operator, _EXIST)
    if operator in ("In", "NotIn"):
        if not values:
            detail = (
                "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
            )
            yield required((*path, "values"), detail)
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            detail = (
                "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"
            )
            yield invalid((*path, "values"), values, detail)
    else:
        yield invalid((*path, "operator"), operator, "not a valid selector operator")
