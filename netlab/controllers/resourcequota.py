"""Says in a ResourceQuota how much is in force, and used.

What is made is counted as it is made (`store/quota.py`); here it is counted anew when something
went or became another, or the quota did. Source: pkg/controller/resourcequota.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from netlab.controllers.controller import Controller, WatchedKind, own_key
from netlab.controllers.namespaces import CONTENT
from netlab.objects import meta, podphase, quotas
from netlab.objects.kinds import BY_KIND
from netlab.objects.types import AnyKind, ResourceQuota, ResourceQuotaStatus

_GATHER = 0.02
"""Seconds for more to come or go: of a hundred pods that is counted once."""

_RESYNC = 300.0
"""Seconds until all is counted anew: what does not go counts no more once it was to be gone."""


class ResourceQuotas(Controller):
    """Counts what the objects of a namespace take."""

    name = "resourcequota-controller"
    workers = 1

    def watches(self) -> Sequence[WatchedKind]:
        """Quotas, and all that may be limited by one."""
        return (
            WatchedKind("ResourceQuota", _asked),
            *(WatchedKind(kind, self._of_namespace, delay=_GATHER) for kind in CONTENT),
        )

    def _of_namespace(self, old: AnyKind | None, new: AnyKind | None) -> Iterable[str]:
        """The quotas of a namespace in which something else is taken now."""
        here = meta.namespace(new or old or {})
        known = self.informers["ResourceQuota"].by_index("namespace", here)
        return [meta.key(one) for one in known] if known and _is_other(old, new) else ()

    async def reconcile(self, key: str) -> float | None:
        """Count, and say so."""
        quota = self.informers["ResourceQuota"].get(key)
        if quota is None:
            return None
        hard = meta.spec(quota).get("hard") or {}
        status: ResourceQuotaStatus = {"hard": hard, "used": self._used(quota, hard)}
        if meta.status(quota) != status:
            new: ResourceQuota = {**quota, "status": status}
            await self.informers.update(new, subresource="status")
        return _RESYNC

    def _used(self, quota: ResourceQuota, hard: quotas.Amounts) -> quotas.Amounts:
        in_force: Any = {**quota, "status": {"hard": hard}}
        used = dict.fromkeys(hard, "0")
        now = self.context.clock()
        for name in CONTENT:
            kind = BY_KIND[name]
            if not (limited := quotas.limited(in_force, kind)):
                continue
            for obj in self.informers[name].by_index("namespace", meta.namespace(quota)):
                if quotas.covers(in_force, kind, obj):
                    taken = quotas.taken(kind, obj, now)
                    used = quotas.plus(used, quotas.only(taken, limited))
        return used


def _asked(old: ResourceQuota | None, new: ResourceQuota | None) -> Iterable[str]:
    """A quota that is new, or to be another."""
    if new is None or (old is not None and meta.spec(old) == meta.spec(new)):
        return ()
    return own_key(old, new)


def _is_other(old: Any, new: Any) -> bool:
    """Whether it may take something else than it did. Most of what changes takes what it took."""
    if old is None or new is None:
        return True
    if new["kind"] == "Pod":
        return podphase.is_pod_terminal(new) and not podphase.is_pod_terminal(old)
    if new["kind"] == "ResourceQuota":
        return bool(meta.status(new) != meta.status(old))
    return new["kind"] in quotas.CHANGES and bool(meta.spec(new) != meta.spec(old))
