"""What a namespace's quotas let be made, as Kubernetes' ResourceQuota admission sees it.

Source: k8s.io/apiserver/pkg/admission/plugin/resourcequota/controller.go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from netlab.errors import ApiError
from netlab.objects import meta, quantity, quotas
from netlab.objects.kinds import Kind
from netlab.objects.meta import Object


def charged(
    kind: Kind, new: Object, old: Object | None, known: Sequence[Object], now: float
) -> list[Object]:
    """Those of the `known` quotas of its namespace of which the object takes something, as they are
    then; a 403 where that is more than there is. `old` is what a change replaces.

    What is used is what they say of themselves, which their controller sees to.
    """
    if old is not None and kind.kind not in quotas.CHANGES:
        return []
    concerned = [one for one in known if quotas.covers(one, kind, new)]
    for one in concerned:
        _require_said(kind, new, one)
    amounts = quotas.taken(kind, new, now)
    if old is not None:
        amounts = quotas.more(amounts, quotas.taken(kind, old, now))
    amounts = {name: amount for name, amount in amounts.items() if quantity.parse(amount)}
    after = (_used(kind, new, one, amounts) for one in concerned)
    return [one for one in after if one is not None]


def _require_said(kind: Kind, new: Object, quota: Object) -> None:
    """Raise where the object does not say what it takes, or the quota not what is used."""
    limited = quotas.limited(quota, kind)
    name = meta.name(quota)
    if kind.kind == "Pod" and (why := quotas.unsaid(new, limited)):
        raise _forbidden(kind, new, f"failed quota: {name}: {why}")
    used = meta.status(quota).get("used") or {}
    if not used.keys() >= {*limited}:
        resources = ",".join(sorted(limited))
        raise _forbidden(kind, new, f"status unknown for quota: {name}, resources: {resources}")


def _used(kind: Kind, new: Object, quota: Object, amounts: Mapping[str, Any]) -> Object | None:
    """The quota with these used, too; None if it limits none of them."""
    status = meta.status(quota)
    hard, used = status.get("hard") or {}, status.get("used") or {}
    asked = quotas.only(amounts, hard)
    if not asked:
        return None
    after = quotas.plus(used, asked)
    if beyond := quotas.exceeded(quotas.only(after, asked), hard):
        parts = (_listed(quotas.only(each, beyond)) for each in (asked, used, hard))
        what = "requested: {}, used: {}, limited: {}".format(*parts)
        raise _forbidden(kind, new, f"exceeded quota: {meta.name(quota)}, {what}")
    return {**quota, "metadata": {**quota["metadata"]}, "status": {**status, "used": after}}


def _listed(amounts: Mapping[str, Any]) -> str:
    return ",".join(f"{name}={amounts[name]}" for name in sorted(amounts))


def _forbidden(kind: Kind, new: Object, why: str) -> ApiError:
    name = str(new["metadata"].get("name") or "")
    group = {"group": kind.group} if kind.group else {}
    return ApiError(
        f'{kind.resource} "{name}" is forbidden: {why}',
        code=403,
        reason="Forbidden",
        details={"name": name, **group, "kind": kind.plural},
    )
