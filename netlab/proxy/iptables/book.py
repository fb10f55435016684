"""The rules of one node in one family, kept up to date Service by Service. Pure.

What a change costs grows with what changed: only the Services named are compiled again, and
the resulting `Change` holds only the chains that differ.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Mapping

from netlab.proxy.compile import no_collection
from netlab.proxy.iptables.chains import NAT, SHARED, Place
from netlab.proxy.iptables.compile import assemble
from netlab.proxy.iptables.fixed import fixed_rules
from netlab.proxy.iptables.model import Change, Ruleset
from netlab.proxy.iptables.service_rules import ServiceRules, compile_service
from netlab.proxy.node_view import NodeView
from netlab.proxy.object_cache import ObjectCache


class RuleBook:
    """Every Service's rules, in the order of the Services' keys."""

    def __init__(self, node: NodeView, objects: ObjectCache) -> None:
        self.node = node
        self.objects = objects
        self._services: dict[str, ServiceRules] = {}
        self._order: list[str] = []
        self._begun = False
        self._tails = fixed_rules(node)

    def look_again(self, node: NodeView) -> None:
        """Compile everything anew, for a node that is no longer what it was."""
        self.node, self._begun = node, True
        self._tails = fixed_rules(node)
        with no_collection():
            fresh = ((key, self._compiled(key)) for key in sorted(self.objects.keys()))
            self._services = {key: rules for key, rules in fresh if rules is not None}
        self._order = list(self._services)

    def __iter__(self) -> Iterator[ServiceRules]:
        return (self._services[key] for key in self._order)

    def get(self, key: str) -> ServiceRules | None:
        """The rules of one Service."""
        return self._services.get(key)

    def ruleset(self) -> Ruleset:
        """Everything, for a full sync."""
        return assemble(self, self.node)

    def update(self, keys: Iterable[str]) -> tuple[Change, Mapping[str, ServiceRules | None]]:
        """Compile these Services again. Returns what changes in the kernel, and the rules the
        Services had before. The first time, when nothing is in force yet, it compiles all."""
        if not self._begun:
            self.look_again(self.node)
            return Change(), {}
        change = Change()
        before: dict[str, ServiceRules | None] = {}
        touched: dict[Place, tuple[str, ...]] = {}
        for key in keys:
            old, new = self._services.get(key), self._compiled(key)
            before[key] = old
            self._note_chains(change, old, new)
            for place in SHARED:
                if _share(old, place) != _share(new, place) and place not in touched:
                    touched[place] = self._shared(place)
            self._keep(key, new)
        for place in sorted(touched):
            change.note(place, touched[place], self._shared(place))
        return change, before

    def _compiled(self, key: str) -> ServiceRules | None:
        service = self.objects.service(key)
        if service is None:
            return None
        return compile_service(service, self.objects.slices(key), self.node)

    def _note_chains(
        self, change: Change, old: ServiceRules | None, new: ServiceRules | None
    ) -> None:
        had = old.chains if old else {}
        has = new.chains if new else {}
        for name in sorted(had.keys() | has.keys()):
            change.note((NAT, name), had.get(name), has.get(name))

    def _shared(self, place: Place) -> tuple[str, ...]:
        rules: list[str] = []
        for service in self:
            rules += service.shared.get(place, ())
        return (*rules, *self._tails.get(place, ()))

    def _keep(self, key: str, new: ServiceRules | None) -> None:
        known = key in self._services
        if new is not None:
            self._services[key] = new
            if not known:
                insort(self._order, key)
        elif known:
            del self._services[key]
            del self._order[bisect_left(self._order, key)]


def _share(rules: ServiceRules | None, place: Place) -> list[str]:
    return rules.shared.get(place, []) if rules else []
