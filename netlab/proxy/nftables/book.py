"""The rule book of nftables mode: an element that two Services want stays as long as one does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from netlab.objects.types import EndpointSlice, Service
from netlab.proxy.book import Pair, RuleBook
from netlab.proxy.nftables.compile import assemble
from netlab.proxy.nftables.fixed import fixed_table
from netlab.proxy.nftables.model import Element, NftChange, NftTable, address, changed
from netlab.proxy.nftables.service_rules import NftServiceRules, compile_service
from netlab.proxy.node_view import NodeView


class NftBook(RuleBook[NftServiceRules, NftTable, NftChange]):
    """A change is of chains and sets, which are one Service's, and of elements, which a pod
    behind two Services has in common."""

    _local_matters = True  # for the set of hairpins

    _holders: dict[Element, NftServiceRules | dict[str, NftServiceRules]]
    """The Service that wants an element, as nearly always; else all of them by their keys."""

    def look_again(self, node: NodeView) -> None:
        """Compile everything anew, for a node that is no longer what it was."""
        super().look_again(node)
        self._fixed = fixed_table(node).elements
        self._holders = {}
        for rules in self:
            self._hold(rules)

    def ruleset(self) -> NftTable:
        """Everything, for a full sync."""
        return assemble(self, self.node)

    def _compile(self, service: Service, slices: Iterable[EndpointSlice]) -> NftServiceRules:
        return compile_service(service, slices, self.node)

    def _changes(self, pairs: Iterable[Pair[NftServiceRules]]) -> NftChange:
        change = NftChange(address(self.node.family))
        for old, new in pairs:
            change.chains |= changed(old.chains if old else {}, new.chains if new else {})
            change.sets |= changed(old.sets if old else {}, new.sets if new else {})
        return change

    def _take(self, pairs: Mapping[str, Pair[NftServiceRules]], changes: NftChange) -> None:
        both = (rules for pair in pairs.values() for rules in pair if rules)
        common = {element for rules in both for element in rules.elements}
        before = {element: self._value(element) for element in common}
        for key, (old, new) in pairs.items():
            self._replace(key, old, new)
        for element in sorted(common):
            changes.note(element, before[element], self._value(element))

    def _value(self, element: Element) -> str | None:
        """What follows the element's key: the word of the first Service that wants it."""
        if element in self._fixed:
            return self._fixed[element]
        held = self._holders.get(element)
        first = held[min(held)] if isinstance(held, dict) else held
        return first.elements[element] if first else None

    def _hold(self, rules: NftServiceRules) -> None:
        for element in rules.elements:
            held = self._holders.setdefault(element, rules)
            if isinstance(held, dict):
                held[rules.key] = rules
            elif held is not rules:
                self._holders[element] = {held.key: held, rules.key: rules}

    def _let_go(self, key: str, element: Element) -> None:
        held = self._holders[element]
        if isinstance(held, dict):
            del held[key]
        if not isinstance(held, dict) or not held:
            del self._holders[element]

    def _replace(self, key: str, old: NftServiceRules | None, new: NftServiceRules | None) -> None:
        super()._replace(key, old, new)
        for element in old.elements if old else ():
            self._let_go(key, element)
        if new is not None:
            self._hold(new)
