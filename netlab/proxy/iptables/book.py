"""The rule book of iptables mode: in chains that all Services share, their rules stand in order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from itertools import chain

from netlab.objects.types import EndpointSlice, Service
from netlab.proxy.book import Pair, RuleBook
from netlab.proxy.iptables.chains import NAT, SHARED, Place
from netlab.proxy.iptables.compile import assemble
from netlab.proxy.iptables.fixed import fixed_rules
from netlab.proxy.iptables.model import ChainEdit, Ruleset, RulesetChange
from netlab.proxy.iptables.render import is_worth_editing
from netlab.proxy.iptables.service_rules import IptablesServiceRules, compile_service
from netlab.proxy.iptables.shared_chain import SharedChain
from netlab.proxy.node_view import NodeView

_Shares = dict[str, tuple[list[str], list[str]]]
"""By a Service's key, its rules in a chain before and after."""


class IptablesBook(RuleBook[IptablesServiceRules, Ruleset, RulesetChange]):
    """A change is of whole chains."""

    _local_matters = False

    def look_again(self, node: NodeView) -> None:
        """As in every book."""
        super().look_again(node)
        sizes: dict[Place, list[tuple[str, int]]] = {place: [] for place in SHARED}
        for rules in self:
            for place, share in rules.shared.items():
                sizes[place].append((rules.key, len(share)))
        self._chains = {place: SharedChain(entries) for place, entries in sizes.items()}
        self._tails = {place: fixed_rules(node).get(place, ()) for place in SHARED}

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

    def _take(
        self, pairs: Mapping[str, Pair[IptablesServiceRules]], changes: RulesetChange
    ) -> None:
        found = {place: _shares(pairs, place) for place in SHARED}
        found = {place: shares for place, shares in found.items() if shares}
        befores = {place: self._snapshot(place, shares) for place, shares in found.items()}
        edits = {place: self._edit(place, shares) for place, shares in found.items()}
        for key, (old, new) in pairs.items():
            self._replace(key, old, new)
        for place, edit in edits.items():
            before = befores[place]
            if before is None:
                changes.edited[place] = edit
            else:
                changes.note(place, before, edit.whole())

    def _snapshot(self, place: Place, shares: _Shares) -> tuple[str, ...] | None:
        """All of a chain of before, where it is to be written anew."""
        gone = sum(len(old) for old, _ in shares.values())
        new = sum(len(new) for _, new in shares.values())
        if is_worth_editing(self._length(place), gone, new):
            return None
        return self._whole(place)

    def _edit(self, place: Place, shares: _Shares) -> ChainEdit:
        before = self._length(place)
        gone, new = self._chains[place].change(shares)
        return ChainEdit(gone, new, before, self._length(place), partial(self._whole, place))

    def _length(self, place: Place) -> int:
        return len(self._chains[place]) + len(self._tails[place])

    def _whole(self, place: Place) -> tuple[str, ...]:
        shares = (_share(self.get(key), place) for key in self._chains[place].services())
        return (*chain.from_iterable(shares), *self._tails[place])


def _shares(pairs: Mapping[str, Pair[IptablesServiceRules]], place: Place) -> _Shares:
    """What Services had and have in a chain, of those of which that is not the same."""
    both = {key: (_share(old, place), _share(new, place)) for key, (old, new) in pairs.items()}
    return {key: share for key, share in both.items() if share[0] != share[1]}


def _share(rules: IptablesServiceRules | None, place: Place) -> list[str]:
    return rules.shared.get(place, []) if rules else []
