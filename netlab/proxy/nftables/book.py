"""kube-proxy's nftables table of one node in one family, kept up to date Service by Service."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Mapping

from netlab.proxy.compile import no_collection
from netlab.proxy.nftables.compile import NftServiceRules, nft_assemble, nft_compile_service
from netlab.proxy.nftables.fixed import fixed_table
from netlab.proxy.nftables.model import Element, NftChange, NftTable
from netlab.proxy.node_view import NodeView
from netlab.proxy.object_cache import ObjectCache


class NftRuleBook:
    """As iptables' `RuleBook`, for verdict maps. Two Services may want the same element (a pod
    behind both): it stays as long as one of them does."""

    def __init__(self, node: NodeView, objects: ObjectCache) -> None:
        self.node = node
        self.objects = objects
        self._services: dict[str, NftServiceRules] = {}
        self._order: list[str] = []
        self._holders: dict[Element, dict[str, str]] = {}
        self._fixed = fixed_table(node)
        self._begun = False

    def look_again(self, node: NodeView) -> None:
        """Compile everything anew, for a node that is no longer what it was."""
        self.node, self._begun = node, True
        self._fixed = fixed_table(node)
        with no_collection():
            fresh = ((key, self._compiled(key)) for key in sorted(self.objects.keys()))
            self._services = {key: rules for key, rules in fresh if rules is not None}
        self._order = list(self._services)
        self._holders = {}
        for rules in self:
            self._hold(rules)

    def __iter__(self) -> Iterator[NftServiceRules]:
        return (self._services[key] for key in self._order)

    def get(self, key: str) -> NftServiceRules | None:
        """The part of one Service."""
        return self._services.get(key)

    def ruleset(self) -> NftTable:
        """Everything, for a full sync."""
        return nft_assemble(self, self.node)

    def update(self, keys: Iterable[str]) -> tuple[NftChange, Mapping[str, NftServiceRules | None]]:
        """Compile these Services again; see `RuleBook.update`."""
        change = NftChange(self.node.family)
        if not self._begun:
            self.look_again(self.node)
            return change, {}
        before: dict[str, NftServiceRules | None] = {}
        values: dict[Element, str | None] = {}
        for key in keys:
            old, new = self._services.get(key), self._compiled(key)
            before[key] = old
            for rules in (old, new):
                for element in rules.elements if rules else ():
                    values.setdefault(element, self._value(element))
            self._note(change, old, new)
            self._keep(key, old, new)
        for element, value in sorted(values.items()):
            now = self._value(element)
            if now != value:
                change.elements[element] = (value, now)
        return change, before

    def _compiled(self, key: str) -> NftServiceRules | None:
        service = self.objects.service(key)
        if service is None:
            return None
        return nft_compile_service(service, self.objects.slices(key), self.node)

    def _note(
        self, change: NftChange, old: NftServiceRules | None, new: NftServiceRules | None
    ) -> None:
        had, has = (old.chains if old else {}), (new.chains if new else {})
        for name in sorted(had.keys() | has.keys()):
            if had.get(name) != has.get(name):
                change.chains[name] = (had.get(name), has.get(name))
        had_sets, has_sets = (old.sets if old else {}), (new.sets if new else {})
        for name in sorted(had_sets.keys() | has_sets.keys()):
            if had_sets.get(name) != has_sets.get(name):
                change.sets[name] = (had_sets.get(name), has_sets.get(name))

    def _value(self, element: Element) -> str | None:
        """What follows the element's key: the word of the first Service that wants it."""
        if element in self._fixed.elements:
            return self._fixed.elements[element]
        holders = self._holders.get(element)
        return holders[min(holders)] if holders else None

    def _hold(self, rules: NftServiceRules) -> None:
        for element, value in rules.elements.items():
            self._holders.setdefault(element, {})[rules.key] = value

    def _keep(self, key: str, old: NftServiceRules | None, new: NftServiceRules | None) -> None:
        for element in old.elements if old else ():
            self._holders[element].pop(key)
            if not self._holders[element]:
                del self._holders[element]
        if new is not None:
            self._hold(new)
            self._services[key] = new
            if old is None:
                insort(self._order, key)
        elif old is not None:
            del self._services[key]
            del self._order[bisect_left(self._order, key)]
