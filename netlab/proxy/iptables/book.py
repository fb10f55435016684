"""The rule book of iptables mode: in chains that all Services share, their rules stand in order."""

from __future__ import annotations

from collections.abc import Iterable

from netlab.objects.types import EndpointSlice, Service
from netlab.proxy.book import Pair, RuleBook
from netlab.proxy.iptables.chains import NAT, SHARED, Place
from netlab.proxy.iptables.compile import assemble
from netlab.proxy.iptables.fixed import fixed_rules
from netlab.proxy.iptables.model import Ruleset, RulesetChange
from netlab.proxy.iptables.service_rules import IptablesServiceRules, compile_service


class IptablesBook(RuleBook[IptablesServiceRules, Ruleset, RulesetChange]):
    """A change is of whole chains."""

    _local_matters = False

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
        rules: list[str] = []
        for service in self:
            rules += service.shared.get(place, ())
        return (*rules, *fixed_rules(self.node).get(place, ()))


def _share(rules: IptablesServiceRules | None, place: Place) -> list[str]:
    return rules.shared.get(place, []) if rules else []
