"""Ruleset → the text of iptables-save, which is also what iptables-restore takes."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from operator import attrgetter

from netlab.proxy.iptables.model import Chain, ChainEdit, Ruleset, RulesetChange, Table


def render(ruleset: Ruleset) -> str:
    """Every table, its chains in name order; `[packets:bytes]` before rules that have counters."""
    return _text(ruleset, attrgetter("name"))


def render_restore(ruleset: Ruleset) -> str:
    """The same for iptables-restore: chains are declared in the order of their names read
    backwards, that is, in none.

    The kernel lists chains as they were declared, and iptables-nft sorts what it reads by a
    quicksort that takes the square of their number when they are sorted already: with 40,000
    chains, iptables-nft-save takes 10 s after a restore in name order, 1 s after this one.
    """
    return _text(ruleset, lambda chain: chain.name[::-1])


def _text(ruleset: Ruleset, declared_by: Callable[[Chain], str]) -> str:
    lines: list[str] = []
    for table in ruleset.tables.values():
        lines += _table_lines(table, declared_by)
    return "\n".join(lines) + "\n"


def _table_lines(table: Table, declared_by: Callable[[Chain], str]) -> list[str]:
    lines = [f"*{table.name}"]
    builtin, own = table.builtin(), table.own()
    for chain in [*builtin, *sorted(own, key=declared_by)]:
        packets, size = chain.policy_counters
        lines.append(f":{chain.name} {chain.policy} [{packets}:{size}]")
    for chain in [*builtin, *sorted(own, key=attrgetter("name"))]:
        lines += rule_lines(chain)
    lines.append("COMMIT")
    return lines


def rule_lines(chain: Chain) -> list[str]:
    """`-A CHAIN …` for each rule."""
    prefix = f"-A {chain.name} "
    plain = [prefix + rule if rule else prefix.rstrip() for rule in chain.rules]
    if not chain.counters:
        return plain
    counted = zip(chain.counters, plain, strict=True)
    return [f"[{packets}:{size}] {line}" for (packets, size), line in counted]


def render_change(change: RulesetChange, order: Sequence[str] = ()) -> str:
    """What `iptables-restore --noflush` needs: touched chains emptied and filled, stale ones
    deleted; long chains of which little changes are edited. The tables stand in the `order`
    given, others before them as the change names them.

    Chains are declared in name order: iptables-nft-restore looks for the place of each new one
    in a sorted list, and takes several times as long for thousands that come unsorted.
    """
    lines: list[str] = []
    known = {table: place for place, table in enumerate(order)}
    for table in sorted(change.tables(), key=lambda table: known.get(table, -1)):
        touched = {name: rules for (of, name), rules in change.after.items() if of == table}
        edited = {name: edits(name, change.before[table, name], touched[name]) for name in touched}
        names = sorted(name for name in touched if not edited[name])
        lines.append(f"*{table}")
        lines += [f":{name} - [0:0]" for name in names]
        for name in names:
            lines += rule_lines(Chain(name, touched[name] or ()))
        parts = {name: edit for (of, name), edit in change.edited.items() if of == table}
        edited |= {name: _edited(name, edit) for name, edit in parts.items()}
        for name in sorted(edited.keys() - set(names)):
            lines += edited[name]
        lines += [f"-X {name}" for name in names if touched[name] is None]
        lines.append("COMMIT")
    return "\n".join(lines) + "\n" if lines else ""


# A chain worth editing rather than writing anew, and how much of it may go and come for that, in
# parts of its length. A rule that goes is compared with all others; one that comes costs the same
# as when the chain is written anew, which takes the rules that stay besides: 1,000 Services more
# beside 8,600 take 0.5 s by edits, 3.3 s by writing the chain that all share.
_LONG = 100
_FEW_GO, _FEW_COME = 0.1, 1.0

# Up to so many rules are looked for one by one: for more, all of a chain are compared at once.
_COUNTED = 10


def is_worth_editing(length: int, gone: int, new: int) -> bool:
    """Whether a chain of so many rules had better be edited than written anew, for that many that
    go and come."""
    return length >= _LONG and gone <= _FEW_GO * length and new <= _FEW_COME * length


def _edited(name: str, edit: ChainEdit) -> list[str]:
    gone = [f"-D {name} {rule}" for _, rule in edit.gone]
    return gone + _insertions(name, edit.new, edit.before - len(gone))


def edits(name: str, before: tuple[str, ...] | None, after: tuple[str, ...] | None) -> list[str]:
    """The rules to delete from a long chain, then those to insert, by their places; empty when
    it had better be written anew.

    A chain that all Services share has as many rules as there are Services, and iptables-nft
    takes half a second to write 10,000 of them. Rules are deleted by their text: in a chain that
    somebody changed by hand, a number could mean another one.
    """
    if not before or not after or len(before) < _LONG:
        return []
    start, end = _alike(before, after)
    old, now = before[start : len(before) - end], after[start : len(after) - end]
    had, has = set(old), set(now)
    gone = [rule for rule in old if rule not in has]
    new = [(number, rule) for number, rule in enumerate(now, start + 1) if rule not in had]
    kept = [rule for rule in old if rule in has]
    if (
        len(had) < len(old)
        or len(has) < len(now)
        or not is_worth_editing(len(before), len(gone), len(new))
        or kept != [rule for rule in now if rule in had]
        or not _stand_once(before, gone)
    ):
        return []
    lines = [f"-D {name} {rule}" for rule in gone]
    return lines + _insertions(name, new, len(before) - len(gone))


def _stand_once(chain: Sequence[str], rules: Sequence[str]) -> bool:
    """Whether each of these rules stands in the chain once: one that is deleted by its text is the
    first of its kind."""
    if len(rules) > _COUNTED:
        return len(set(chain)) == len(chain)
    return all(chain.count(rule) == 1 for rule in rules)


def _alike(before: Sequence[str], after: Sequence[str]) -> tuple[int, int]:
    """How many rules two chains have in common at their beginnings, and beyond, at their ends."""
    shorter = min(len(before), len(after))
    start = _most(shorter, lambda n: before[:n] == after[:n])
    end = _most(shorter - start, lambda n: before[len(before) - n :] == after[len(after) - n :])
    return start, end


def _most(limit: int, holds: Callable[[int], bool]) -> int:
    """The largest number up to `limit` for which it holds; it holds for all smaller ones."""
    return bisect_left(range(1, limit + 1), True, key=lambda n: not holds(n))


def _insertions(name: str, new: Sequence[tuple[int, str]], length: int) -> list[str]:
    lines = []
    for number, rule in new:
        lines.append(f"-I {name} {number} {rule}" if number <= length else f"-A {name} {rule}")
        length += 1
    return lines
