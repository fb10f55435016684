"""Two rulesets compared for what they mean, with the Service behind every difference.

Comments, accounting (nfacct) and counters mean nothing to a packet; neither does the order of
Services in the chains they share. Everything that is not kube-proxy's is left alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

from netlab.proxy.difference import Difference, Kind, beyond
from netlab.proxy.iptables import chains, owners
from netlab.proxy.iptables.foreign_rules import target
from netlab.proxy.iptables.model import HOOKS, Ruleset, Table
from netlab.proxy.iptables.rule import Condition, parse_rule


def diff(wanted: Ruleset, found: Ruleset) -> list[Difference]:
    """What of kube-proxy's differs in `found` from what is `wanted`, by table and chain."""
    differences: list[Difference] = []
    for name, table in wanted.tables.items():
        differences += _Tables(table, found.tables.get(name) or Table(name)).differences()
    return differences


Meaning = tuple[tuple[Condition, ...], str, tuple[Condition, ...]]


@lru_cache(maxsize=200_000)
def meaning(rule: str) -> Meaning:
    """A rule without what means nothing: the order of its conditions, its comment, its counting."""
    parsed = parse_rule(rule)
    kept = {
        _plain(condition)
        for condition in parsed.conditions
        if condition.option not in ("--comment", "--nfacct-name")
    }
    order = sorted(kept, key=lambda c: (c.module, c.option, c.values, c.negated))
    return tuple(order), parsed.target, parsed.options


def _plain(condition: Condition) -> Condition:
    """Spellings that differ between versions of iptables, made one."""
    values = condition.values
    if condition.option in ("--ctstate", "--state"):
        values = (",".join(sorted(values[0].split(","))),)
    elif condition.option == "--probability":
        values = (f"{float(values[0]):.5f}",)
    elif condition.option in ("-s", "-d") and "/" not in values[0]:
        values = (f"{values[0]}/{128 if ':' in values[0] else 32}",)
    return Condition(condition.module, condition.option, values, condition.negated)


def _counts_only(rule: str) -> bool:
    """The accounting rule that precedes another one with the same target."""
    return "localhost_nps_accepted_pkts" in rule


class _Tables:
    """The comparison of one table."""

    def __init__(self, wanted: Table, found: Table) -> None:
        self.wanted, self.found = wanted, found
        self.name = wanted.name

    def differences(self) -> Iterator[Difference]:
        for name in sorted(self.wanted.chains.keys() | self.found.chains.keys()):
            if name in HOOKS.get(self.name, ()):
                yield from self._builtin(name)
            elif chains.is_ours(self.name, name):
                yield from self._own(name)

    def _builtin(self, name: str) -> Iterator[Difference]:
        """Only the jumps to kube-proxy's chains; others may stand between them."""
        wanted, found = self.wanted.chains.get(name), self.found.chains.get(name)
        jumps = [
            rule
            for rule in (found.rules if found else ())
            if target(rule) in chains.FIXED.get(self.name, ())
        ]
        yield from self._rules(name, wanted.rules if wanted else (), jumps)

    def _own(self, name: str) -> Iterator[Difference]:
        wanted, found = self.wanted.chains.get(name), self.found.chains.get(name)
        if wanted is None and found is not None:
            yield Difference("stale", self.name, name, self._of(name))
        elif wanted is not None and found is None:
            yield Difference("missing", self.name, name, self._of(name))
        elif wanted is not None and found is not None and wanted.rules != found.rules:
            there = [rule for rule in found.rules if not _counts_only(rule)]
            yield from self._rules(name, wanted.rules, there)

    def _rules(
        self, name: str, wanted: Sequence[str], found: Sequence[str]
    ) -> Iterator[Difference]:
        missing, extra = beyond(wanted, found, meaning), beyond(found, wanted, meaning)
        # What both have has its order, too, beside rules that nobody wants here.
        yield from self._order(name, _without(wanted, missing), _without(found, extra))
        for rule in missing:
            twin = next((other for other in extra if self._is_twin(name, rule, other)), "")
            if twin:
                extra.remove(twin)
            kind: Kind = "altered" if twin else "missing"
            yield Difference(kind, self.name, name, self._of(name, rule), rule, twin)
        for rule in extra:
            yield Difference("stale", self.name, name, self._of(name, rule), "", rule)

    def _is_twin(self, chain: str, rule: str, other: str) -> bool:
        """True when the other is what became of this rule: of the same Service, and either for
        the same packets or with the same target."""
        if self._of(chain, rule) != self._of(chain, other):
            return False
        one, two = meaning(rule), meaning(other)
        return one[0] == two[0] or one[1] == two[1]

    def _order(
        self, name: str, wanted: Sequence[str], found: Sequence[str]
    ) -> Iterator[Difference]:
        """In a shared chain only rules for the same packets have an order, and the fixed tail."""
        shared = (self.name, name) in chains.SHARED
        before, after = (_by_packets(rules) if shared else {"": rules} for rules in (wanted, found))
        for packets, rules in before.items():
            for rule, other in zip(rules, after.get(packets, ()), strict=False):
                if meaning(rule) != meaning(other):
                    yield Difference("order", self.name, name, self._of(name, rule), rule, other)
                    break
        if shared and wanted and found and target(wanted[-1]) == chains.NODEPORTS:
            tail = {meaning(rule) for rule in wanted if target(rule) == chains.NODEPORTS}
            if any(meaning(rule) not in tail for rule in found[-len(tail) :]):
                yield Difference("order", self.name, name, None, wanted[-1], found[-1])

    def _of(self, chain: str, rule: str = "") -> str | None:
        owner = owners.owner(self.wanted, chain, rule)
        return owner or owners.owner(self.found, chain, rule)


def _without(rules: Sequence[str], others: Sequence[str]) -> Sequence[str]:
    """Of equal rules the last ones are left out, as `beyond` has them."""
    if not others:
        return rules
    left = Counter(others)
    kept = []
    for rule in reversed(rules):
        if left[rule]:
            left[rule] -= 1
        else:
            kept.append(rule)
    return kept[::-1]


def _by_packets(rules: Iterable[str]) -> dict[str, list[str]]:
    """Rules by destination, protocol and port: only within such a group can order matter."""
    groups: dict[str, list[str]] = {}
    for rule in rules:
        parsed = meaning(rule)
        wanted = {
            condition.option: condition.values
            for condition in parsed[0]
            if condition.option in ("-d", "-p", "--dport")
        }
        groups.setdefault(repr(sorted(wanted.items())), []).append(rule)
    return groups
