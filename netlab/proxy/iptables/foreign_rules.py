"""What others put into a node's tables, carried along when the tables are written anew."""

from __future__ import annotations

from netlab.proxy.iptables import chains
from netlab.proxy.iptables.model import HOOKS, Chain, Counters, Ruleset, RulesetChange, Table

_JUMPED_TO = frozenset().union(*chains.FIXED.values()) - {chains.MARK_MASQ, chains.CANARY}


def with_foreign_rules(desired: Ruleset, existing: Ruleset) -> Ruleset:
    """`desired` with every chain and rule of `existing` that is not kube-proxy's, with their
    counters and policies. Tables that `desired` does not name are left out: nobody touches them.

    Where kube-proxy's jumps stand complete and in order, the built-in chain stays as it is;
    otherwise all of them go where the first stood, or to the top.
    """
    tables = {}
    for name, table in desired.tables.items():
        old = existing.tables.get(name)
        tables[name] = _carried(table, old) if old else table
    return Ruleset(tables)


def _carried(table: Table, old: Table) -> Table:
    merged = dict(table.chains)
    for chain in old.chains.values():
        if chain.name in HOOKS.get(table.name, ()):
            merged[chain.name] = _builtin(table.chains.get(chain.name), chain)
        elif not chains.is_ours(table.name, chain.name):
            merged[chain.name] = chain
    _keep_targets(merged, old)
    return Table(table.name, merged)


def _keep_targets(merged: dict[str, Chain], old: Table) -> None:
    """A stale chain that somebody else jumps to must stay, empty, or nothing could be restored."""
    for name in old.chains.keys() - merged.keys():
        if any(target(rule) == name for chain in merged.values() for rule in chain.rules):
            merged[name] = Chain(name)


def _builtin(desired: Chain | None, old: Chain) -> Chain:
    jumps = desired.rules if desired else ()
    if tuple(rule for rule in old.rules if _is_jump(rule)) == jumps:
        return old
    counters = old.counters or ((0, 0),) * len(old.rules)
    theirs: list[tuple[str, Counters]] = []
    place: int | None = None
    for rule, counted in zip(old.rules, counters, strict=True):
        if not _is_jump(rule):
            theirs.append((rule, counted))
        elif place is None:
            place = len(theirs)
    theirs[place or 0 : place or 0] = [(jump, (0, 0)) for jump in jumps]
    rules = tuple(rule for rule, _ in theirs)
    kept = tuple(counted for _, counted in theirs) if old.counters else ()
    return Chain(old.name, rules, old.policy, kept, old.policy_counters)


def _is_jump(rule: str) -> bool:
    return target(rule) in _JUMPED_TO


def builtin_difference(
    existing: Ruleset, wanted: Ruleset
) -> dict[tuple[str, str], tuple[str, ...]]:
    """The built-in chains that differ, with the rules they are to have."""
    return {
        (table.name, chain.name): chain.rules
        for table in wanted.tables.values()
        for chain in table.builtin()
        if chain.rules != _rules(existing, table.name, chain.name)
    }


def _rules(ruleset: Ruleset, table: str, chain: str) -> tuple[str, ...]:
    found = ruleset.chain(table, chain)
    return found.rules if found else ()


def difference(existing: Ruleset, wanted: Ruleset) -> RulesetChange:
    """The chains to change so that `existing` becomes `wanted` (made of it by
    `with_foreign_rules`), built-in ones apart."""
    change = RulesetChange()
    for name, table in wanted.tables.items():
        old = existing.tables.get(name) or Table(name)
        for chain in old.chains.keys() | table.chains.keys():
            before, after = old.chains.get(chain), table.chains.get(chain)
            if chain not in HOOKS.get(name, ()):
                place = (name, chain)
                change.note(place, before and before.rules, after and after.rules)
    return change


def target(rule: str) -> str:
    """The target or chain a rule jumps to; "" when it has none."""
    _, found, rest = rule.rpartition(" -j ") if " -j " in rule else rule.rpartition("-j ")
    return rest.partition(" ")[0] if found else ""
