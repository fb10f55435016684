"""The rule book of iptables mode: in chains that all Services share, their rules stand in order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

from netlab.objects.types import EndpointSlice, Service
from netlab.proxy.book import Pair, RuleBook
from netlab.proxy.iptables.chains import NAT, SHARED, Place
from netlab.proxy.iptables.compile import assemble
from netlab.proxy.iptables.fixed import fixed_rules
from netlab.proxy.iptables.model import Ruleset, RulesetChange
from netlab.proxy.iptables.service_rules import IptablesServiceRules, compile_service
from netlab.proxy.iptables.shared_chain import SharedChain
from netlab.proxy.node_view import NodeView


class IptablesBook(RuleBook[IptablesServiceRules, Ruleset, RulesetChange]):
    """A change is of whole chains."""

    _local_matters = False

    def look_again(self, node: NodeView) -> None:
        """As in every book."""
        super().look_again(node)
        self._chains = {
            place: SharedChain(partial(self._share, place), self._keys) for place in SHARED
        }

    def ruleset(self) -> Ruleset:
        """Everything, for a full sync."""
        return assemble(self, self.node)

    def _compile(self, service: Service, slices: Iterable[EndpointSlice]) -> IptablesServiceRules:
        return compile_service(service, slices, self.node)

    def _changes(self, pairs: Iterable[Pair[IptablesServiceRules]]) -> RulesetChange:
        change = RulesetChange()
        for old, new in pairs:
            had, has = old.chains if old else {}, new.chains if new else {}
            for name in sorted(had.keys() | has.keys()):
                change.note((NAT, name), had.get(name), has.get(name))
        return change

    def _common(self, pairs: Iterable[Pair[IptablesServiceRules]]) -> set[Place]:
        return {
            place
            for old, new in pairs
            for place in SHARED
            if _share(old, place) != _share(new, place)
        }

    def _value(self, place: Place) -> tuple[str, ...]:
        return (*self._chains[place].rules(), *fixed_rules(self.node).get(place, ()))

    def _replace(
        self, key: str, old: IptablesServiceRules | None, new: IptablesServiceRules | None
    ) -> None:
        super()._replace(key, old, new)
        for place in {*(old.shared if old else ()), *(new.shared if new else ())}:
            self._chains[place].changed(key)

    def _share(self, place: Place, key: str) -> Sequence[str]:
        return _share(self.get(key), place)


def _share(rules: IptablesServiceRules | None, place: Place) -> list[str]:
    return rules.shared.get(place, []) if rules else []
