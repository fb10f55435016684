"""One Service's rules as a tree: every way in, in words and in rule syntax, with counters. Pure.

nat KUBE-SERVICES
├─ to 10.96.14.7 tcp port 80 → KUBE-SVC-LOLE4ISW44XBNF3G                      4 packets
│    -d 10.96.14.7/32 -p tcp … -j KUBE-SVC-LOLE4ISW44XBNF3G
│  ├─ not from 10.244.0.0/16: mark for masquerade                             1 packet
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from netlab.proxy.chains import is_of_service
from netlab.proxy.model import Chain, Ruleset
from netlab.proxy.owners import service_of, service_port
from netlab.proxy.rule import Condition, Rule, parse_rule

ENTRIES = (
    ("nat", "KUBE-SERVICES"),
    ("nat", "KUBE-NODEPORTS"),
    ("filter", "KUBE-SERVICES"),
    ("filter", "KUBE-EXTERNAL-SERVICES"),
    ("filter", "KUBE-NODEPORTS"),
    ("filter", "KUBE-PROXY-FIREWALL"),
)
"""Where packets for a Service can enter its own rules, in the order of the tables' work."""

MARK_MASQUERADE = "KUBE-MARK-MASQ"


@dataclass
class Branch:
    """One rule and what lies behind it. `packets` is None where nobody counted."""

    table: str
    chain: str
    text: str
    words: str
    packets: int | None
    branches: list[Branch] = field(default_factory=list)

    def json(self) -> dict[str, Any]:
        """The branch and all below it as plain data."""
        return {
            "table": self.table,
            "chain": self.chain,
            "rule": self.text,
            "words": self.words,
            "packets": self.packets,
            "rules": [branch.json() for branch in self.branches],
        }


def tree(ruleset: Ruleset, service: str) -> list[Branch]:
    """The rules of `ns/name` by their ways in; empty when the node has none for it."""
    return [
        branch
        for table, chain in ENTRIES
        if (found := ruleset.chain(table, chain)) is not None
        for branch in _entries(ruleset, table, found, service)
    ]


def render(branches: Sequence[Branch], *, syntax: bool = True) -> Iterator[str]:
    """The tree as lines; without `syntax` in words alone."""
    place = ""
    for branch in branches:
        if (here := f"{branch.table} {branch.chain}") != place:
            place = here
            yield place
        siblings = [b for b in branches if (b.table, b.chain) == (branch.table, branch.chain)]
        yield from _lines(branch, "", branch is siblings[-1], syntax)


def _lines(branch: Branch, indent: str, is_last: bool, syntax: bool) -> Iterator[str]:
    elbow, below = ("└─ ", "   ") if is_last else ("├─ ", "│  ")
    head = f"{indent}{elbow}{branch.words}"
    yield f"{head:<74} {_count(branch.packets)}".rstrip()
    if syntax:
        bar = "│" if branch.branches else " "
        yield f"{indent}{below}{bar}    {branch.text}"
    for child in branch.branches:
        yield from _lines(child, indent + below, child is branch.branches[-1], syntax)


def _count(packets: int | None) -> str:
    if packets is None:
        return ""
    return f"{packets} packet" if packets == 1 else f"{packets} packets"


def _entries(ruleset: Ruleset, table: str, chain: Chain, service: str) -> Iterator[Branch]:
    for index, text in enumerate(chain.rules):
        port = service_port(text)
        if port is not None and service_of(port) == service:
            yield _branch(ruleset, table, chain, index)


def _branch(ruleset: Ruleset, table: str, chain: Chain, index: int) -> Branch:
    text = chain.rules[index]
    rule = parse_rule(text)
    packets = chain.counters[index][0] if chain.counters else None
    branch = Branch(table, chain.name, text, words(rule), packets)
    behind = ruleset.chain(table, rule.target)
    if behind is not None and is_of_service(rule.target):
        branch.branches = [
            _branch(ruleset, table, behind, number) for number in range(len(behind.rules))
        ]
    return branch


# -- words ---------------------------------------------------------------------------------


def words(rule: Rule) -> str:
    """A rule as one would say it: `to 10.96.14.7 tcp port 80 → KUBE-SVC-…`."""
    conditions = " ".join(part for part in _conditions(rule.conditions) if part)
    action = _action(rule)
    if not conditions:
        return action
    joint = " " if action.startswith("→") else ": "
    return f"{conditions}{joint}{action}" if action else conditions


def _action(rule: Rule) -> str:
    match rule.target:
        case "DNAT":
            return f"send to {rule.option('--to-destination')} (DNAT)"
        case "REJECT":
            return f"refuse ({rule.option('--reject-with') or 'icmp-port-unreachable'})"
        case "DROP" | "ACCEPT" | "RETURN":
            return rule.target.lower()
        case "":
            return "count, and go on"
        case str(target) if target == MARK_MASQUERADE:
            return "mark for masquerade"
        case str(target):
            return f"→ {target}"


def _conditions(conditions: Iterable[Condition]) -> Iterator[str]:
    for condition in conditions:
        value = " ".join(condition.values)
        denied = "not " if condition.negated else ""
        match condition.option:
            case "-s":
                yield f"{denied}from {_address(value)}"
            case "-d":
                yield f"{denied}to {_address(value)}"
            case "-p":
                yield f"{denied}{value}"
            case "--dport":
                yield f"{denied}port {value}"
            case "-i" | "-o":
                yield f"{denied}{'in' if condition.option == '-i' else 'out'} by {value}"
            case "--probability":
                yield f"in {_share(float(value))} of cases"
            case "--src-type" | "--dst-type":
                end = "from" if condition.option == "--src-type" else "to"
                yield f"{denied}{end} an address of this node" if value == "LOCAL" else value
            case "--ctstate":
                yield f"{denied}state {value}"
            case "--rcheck":
                yield "if this client was here before"
            case "--set":
                yield "remember the client and"
            case "--seconds":
                yield f"within {value} s"
            case "--comment" | "--mode" | "--name" | "--reap" | "--mask" | "--rsource":
                continue
            case _:
                yield str(condition)


def _address(text: str) -> str:
    return text.removesuffix("/32").removesuffix("/128")


def _share(probability: float) -> str:
    """`1/3` where it is one, else per cent."""
    if probability > 0:
        whole = round(1 / probability)
        if abs(1 / whole - probability) < 1e-6:
            return f"1/{whole}"
    return f"{probability:.1%}"
