"""The rules of a node that are not kube-proxy's: a policy's, say, or what leaves the cluster.

One thread writes all rules of a node, kube-proxy's. In iptables mode a table is read, merged and
written whole, so whoever wrote beside it would lose what he wrote in between; and what that thread
writes is no news to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from netlab.proxy.addresses import Family
from netlab.proxy.appliers import AnyApplier


class OtherRules(Protocol):
    """What `Proxier` has written beside its own rules. Blocking; called by its thread alone."""

    def sync(self) -> None:
        """Write what is to be otherwise than the last time; costs nothing when nothing is."""

    def repair(self) -> bool:
        """Look, and put back what somebody deleted or changed; True when something was."""


class OwnedRules:
    """The rules of one owner: `appliers` has one of his for each family the node has."""

    def __init__(self, appliers: Sequence[AnyApplier]) -> None:
        self._appliers = appliers
        self._wanted: Mapping[Family, Any] = {}
        self._written: Mapping[Family, Any] | None = None

    def set(self, wanted: Mapping[Family, Any]) -> None:
        """What there is to be from now on, in the mode's own terms (a `Ruleset`, an `NftTable`);
        of a family that is not named, nothing. By any thread; written by the next sync."""
        self._wanted = wanted

    def sync(self) -> None:
        """As the protocol says. What changes is written without a look at all that there is."""
        wanted, written = self._wanted, self._written
        if written is None:
            self.repair()
        elif wanted != written:
            self._written = None
            for applier in self._appliers:
                old, new = written.get(applier.family), wanted.get(applier.family)
                if old is None or new is None:
                    _bring(applier, new)
                elif old != new:
                    applier.update(old, new)
            self._written = wanted

    def repair(self) -> bool:
        """As the protocol says."""
        wanted, self._written = self._wanted, None
        changed = [_bring(applier, wanted.get(applier.family)) for applier in self._appliers]
        self._written = wanted
        return any(changed)


def _bring(applier: AnyApplier, rules: Any) -> bool:
    return applier.clear() if rules is None else applier.replace(rules)
