"""What iptables-save tells, and where it differs from another's telling in what it does.

The order of the chains of a table says nothing. The order of rules does, but not between the
Services in the chains they share: there, only rules that could match the same packet, and do
different things with it, keep theirs. Counters and remarks say nothing. Rules that do no more
than count (`-m nfacct`) are left out: netlab keeps no such accounts.
"""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Iterator
from typing import NamedTuple

Rule = list[str]
"""A rule's words, without `-A CHAIN`."""

NODE_PORTS = "KUBE-NODEPORTS"
SHARED = {"KUBE-SERVICES", NODE_PORTS, "KUBE-EXTERNAL-SERVICES", "KUBE-PROXY-FIREWALL"}
"""The chains in which Services may come in any order."""

# The account of packets to localhost has a rule of its own, which has no other effect.
_COUNTS_ONLY = "localhost_nps_accepted_pkts"


class Table(NamedTuple):
    """The chains of a table: their policies, and their rules in order."""

    policies: dict[str, str]
    rules: dict[str, list[Rule]]


def load(text: str) -> dict[str, Table]:
    """The tables by name. Raises ValueError for what iptables-save does not write."""
    tables: dict[str, Table] = {}
    table = Table({}, {})
    for number, line in enumerate(map(str.strip, text.splitlines()), 1):
        if not line or line[0] == "#" or line == "COMMIT":
            continue
        if line[0] == "*":
            table = tables.setdefault(line[1:], Table({}, {}))
        elif not tables or not _noted(table, line):
            raise ValueError(f"line {number}: not understood: {line}")
    return tables


def _noted(table: Table, line: str) -> bool:
    """Add a chain or a rule to its table; False for any other line."""
    if line[0] == ":":
        name, policy = line[1:].split()[:2]
        table.policies[name] = policy
        table.rules.setdefault(name, [])
        return True
    command, chain, *rule = shlex.split(re.sub(r"^\[\d+:\d+\]\s*", "", line))
    if command == "-A" and _COUNTS_ONLY not in rule:
        table.rules.setdefault(chain, []).append(_without_nfacct(rule))
    return command == "-A"


def _without_nfacct(rule: Rule) -> Rule:
    for place in range(len(rule)):
        if rule[place : place + 3] == ["-m", "nfacct", "--nfacct-name"]:
            return rule[:place] + rule[place + 4 :]
    return rule


def differences(ours: dict[str, Table], theirs: dict[str, Table]) -> list[str]:
    """Lines that say what differs, for people; none when both do the same."""
    found: list[str] = []
    for name in sorted(ours.keys() | theirs.keys()):
        if name in ours and name in theirs:
            found += _table_differences(name, ours[name], theirs[name])
        else:
            found.append(f"table {name} only in {'ours' if name in ours else 'theirs'}")
    return found


def _table_differences(table: str, ours: Table, theirs: Table) -> Iterator[str]:
    for chain in sorted(ours.rules.keys() | theirs.rules.keys()):
        for side, mine, other in (("ours", ours, theirs), ("theirs", theirs, ours)):
            if chain not in other.rules:
                yield f"chain {table}/{chain} only in {side}"
                yield from (f"  {_shown(rule)}" for rule in mine.rules[chain])
        if ours.policies.get(chain) != theirs.policies.get(chain):
            policies = f"{ours.policies.get(chain)} / {theirs.policies.get(chain)}"
            yield f"chain {table}/{chain} policy {policies}"
        if chain in ours.rules and chain in theirs.rules:
            before, after = (_ordered(chain, side.rules[chain]) for side in (ours, theirs))
            yield from changed(f"chain {table}/{chain}", before, after)


def changed(what: str, ours: list[str], theirs: list[str]) -> list[str]:
    """A heading and the lines that differ, `-` before ours and `+` before theirs."""
    lines = [*difflib.unified_diff(ours, theirs, lineterm="", n=1)][2:]
    return [f"{what} differs", *(f"  {line}" for line in lines)] if lines else []


def _ordered(chain: str, rules: list[Rule]) -> list[str]:
    """A chain's rules as text; those of a shared chain in an order that all of its kind have."""
    if chain not in SHARED:
        return [_shown(rule) for rule in rules]
    last = [rule for rule in rules if chain == "KUBE-SERVICES" and _of(rule, "-j") == NODE_PORTS]
    rest = [rule for rule in rules if rule not in last]
    misplaced = ["(the jump to KUBE-NODEPORTS is not last)"] * (rules[len(rest) :] != last)
    return [*map(_shown, _by_packet(chain, rest)), *sorted(map(_shown, last)), *misplaced]


def _by_packet(chain: str, rules: list[Rule]) -> Iterator[Rule]:
    """Grouped by the packets they could match; in a group that does one thing, sorted."""
    groups: dict[tuple[str, ...], list[Rule]] = {}
    for rule in rules:
        packet = (_of(rule, "-p"), _of(rule, "--dport"))
        where = () if chain == NODE_PORTS else (_of(rule, "-d"),)
        groups.setdefault(packet + where, []).append(rule)
    for _, group in sorted(groups.items()):
        yield from sorted(group) if len({_of(rule, "-j") for rule in group}) == 1 else group


def _of(rule: Rule, option: str) -> str:
    """An option's value, with `!` before it where it is negated; empty without the option."""
    if option not in rule:
        return ""
    place = rule.index(option)
    return "!" * (place > 0 and rule[place - 1] == "!") + rule[place + 1]


def _shown(rule: Rule) -> str:
    return " ".join(f'"{word}"' if " " in word or not word else word for word in rule)
