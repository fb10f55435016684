"""ClusterRoles whose rules are those of others: kept as their aggregationRule says."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from netlab.controllers.controller import Controller, WatchedKind
from netlab.objects import meta, policy
from netlab.objects.types import ClusterRole


class AggregatedRoles(Controller):
    """Gathers the rules of the roles that an aggregating one chooses by their labels."""

    name = "clusterrole-aggregation-controller"

    def watches(self) -> Sequence[WatchedKind]:
        """ClusterRoles: each may be a part of any that aggregates."""
        return (WatchedKind("ClusterRole", self._keys),)

    def _keys(self, old: ClusterRole | None, new: ClusterRole | None) -> Iterable[str]:
        del old, new
        roles = self.informers["ClusterRole"].items()
        return [meta.key(role) for role in roles if role.get("aggregationRule")]

    async def reconcile(self, key: str) -> float | None:
        """Write the rules if they differ."""
        role = self.informers["ClusterRole"].get(key)
        if role is None or not role.get("aggregationRule") or self.informers.is_going(role):
            return None
        rules = policy.aggregated(role, self.informers["ClusterRole"].items())
        if rules != (role.get("rules") or []):
            await self.informers.patch(role, {"rules": rules})
        return None
