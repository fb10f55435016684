"""What others put into a node's tables, carried along when the tables are written anew."""

from __future__ import annotations

from netlab.proxy.iptables.chains import ENTRANCES, KUBE_PROXY, RulesOwner
from netlab.proxy.iptables.model import HOOKS, Chain, Counters, Ruleset, RulesetChange, Table


def with_foreign_rules(
    desired: Ruleset, existing: Ruleset, owner: RulesOwner = KUBE_PROXY
) -> Ruleset:
    """`desired` with every chain and rule of `existing` that is not the owner's, with their
    counters and policies. Tables that `desired` does not name, and where nothing is his, are left
    out: nobody touches them.

    Where his jumps stand complete and in order, the built-in chain stays as it is; otherwise all of
    them go where the first stood, or to the top.
    """
    his = (table for table in existing.tables.values() if _has_part(owner, table))
    tables = {table.name: Table(table.name) for table in his} | desired.tables
    for name, table in tables.items():
        if (old := existing.tables.get(name)) is not None:
            tables[name] = _carried(table, old, owner)
    return Ruleset(tables)


def _has_part(owner: RulesOwner, table: Table) -> bool:
    return any(owner.owns(table.name, name) for name in table.chains)


def _carried(table: Table, old: Table, owner: RulesOwner) -> Table:
    merged = dict(table.chains)
    for chain in old.chains.values():
        if chain.name in HOOKS.get(table.name, ()):
            merged[chain.name] = _builtin(table.chains.get(chain.name), chain, owner)
        elif not owner.owns(table.name, chain.name):
            merged[chain.name] = chain
    _keep_targets(merged, old)
    return Table(table.name, merged)


def _keep_targets(merged: dict[str, Chain], old: Table) -> None:
    """A stale chain that somebody else jumps to must stay, empty, or nothing could be restored."""
    for name in old.chains.keys() - merged.keys():
        if any(target(rule) == name for chain in merged.values() for rule in chain.rules):
            merged[name] = Chain(name)


def _builtin(desired: Chain | None, old: Chain, owner: RulesOwner) -> Chain:
    jumps = desired.rules if desired else ()
    is_jump = [owner.is_entrance(target(rule)) for rule in old.rules]
    is_placed = _is_placed(old, is_jump, owner)
    his = tuple(rule for rule, is_his in zip(old.rules, is_jump, strict=True) if is_his)
    if his == jumps and (is_placed or not jumps):
        return old
    counters = old.counters or ((0, 0),) * len(old.rules)
    theirs: list[tuple[str, Counters]] = [
        (rule, counted)
        for rule, counted, is_his in zip(old.rules, counters, is_jump, strict=True)
        if not is_his
    ]
    place = is_jump.index(True) if is_placed and True in is_jump else 0
    if not is_placed and old.name in owner.follows:
        place = len(theirs)
    theirs[place:place] = [(jump, (0, 0)) for jump in jumps]
    rules = tuple(rule for rule, _ in theirs)
    kept = tuple(counted for _, counted in theirs) if old.counters else ()
    return Chain(old.name, rules, old.policy, kept, old.policy_counters)


def _is_placed(old: Chain, is_jump: list[bool], owner: RulesOwner) -> bool:
    """Whether his jumps stand on the right side of kube-proxy's, which are in one place."""
    if not owner.precedes:
        return True
    kube_proxys = [target(rule) in ENTRANCES for rule in old.rules]
    if old.name in owner.follows:
        return True in is_jump and True not in kube_proxys[is_jump.index(True) :]
    return True in is_jump and True not in kube_proxys[: is_jump.index(True)]


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
