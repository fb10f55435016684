"""One Service's rules as a tree: every way in, in words and in rule syntax, with counters. Pure.

packets
        nat KUBE-SERVICES
      4 └─ to 10.96.14.7 tcp port 80 → KUBE-SVC-LOLE4ISW44XBNF3G
           │    -d 10.96.14.7/32 -p tcp … -j KUBE-SVC-LOLE4ISW44XBNF3G
      1    ├─ not from 10.244.0.0/16: mark for masquerade
"""

from __future__ import annotations

import contextlib
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct, field

from netlab.proxy.iptables.chains import is_of_service
from netlab.proxy.iptables.model import Chain, Ruleset
from netlab.proxy.iptables.owners import service_port
from netlab.proxy.iptables.rule import Condition, Rule, parse_rule
from netlab.proxy.names import service_of
from netlab.view.escape import escape_line

ENTRIES = (
    ("nat", "KUBE-SERVICES"),
    ("nat", "KUBE-NODEPORTS"),
    ("filter", "KUBE-SERVICES"),
    ("filter", "KUBE-EXTERNAL-SERVICES"),
    ("filter", "KUBE-NODEPORTS"),
    ("filter", "KUBE-PROXY-FIREWALL"),
)
"""Where packets for a Service can enter its own rules, in the order of the tables' work."""

HEADER = "packets"

NARROWEST = 40
"""Characters of text that a folded line has at least, however deep in the tree it stands."""

_NOBODY = re.compile(r"has no (?:local )?endpoints")

MARK_MASQUERADE = "KUBE-MARK-MASQ"


class Branch(Struct):
    """One rule and what lies behind it.

    `packets` is None where nobody counted. `share` is the part of its chain's packets that the
    rule gets, by the probabilities of the rules before it; None where chance does not decide.
    `target` is the chain or target that the rule jumps to; "" if there is none. `where` it stands,
    `node.save:88`, is told of a save's.
    """

    table: str
    chain: str
    text: str
    words: str
    packets: int | None
    share: float | None = None
    target: str = ""
    branches: list[Branch] = field(default_factory=list)
    where: str = ""

    def json(self) -> dict[str, Any]:
        """The branch and all below it as plain data."""
        return {
            "table": self.table,
            "chain": self.chain,
            "rule": self.text,
            "words": self.words,
            "packets": self.packets,
            "share": self.share,
            "line": self.where,
            "rules": [branch.json() for branch in self.branches],
        }


def tree(ruleset: Ruleset, service: str, places: Mapping[str, str] | None = None) -> list[Branch]:
    """The rules of `ns/name` by their ways in; empty when the node has none for it.

    `places` says who has an address: `{"10.244.1.3": "pod web-abc12"}`.
    """
    growth = _Growth(ruleset, places or {})
    return [
        growth.branch(table, found, index)
        for table, chain in ENTRIES
        if (found := ruleset.chain(table, chain)) is not None
        for index in _entries(found, service)
    ]


def _entries(chain: Chain, service: str) -> Iterator[int]:
    for index, text in enumerate(chain.rules):
        port = service_port(text)
        if port is not None and service_of(port) == service:
            yield index


class _Growth(Struct, frozen=True):
    """What branches are made from."""

    ruleset: Ruleset
    places: Mapping[str, str]

    def branch(self, table: str, chain: Chain, index: int, left: float | None = None) -> Branch:
        """A rule with the chain behind it; `left` of the chain's packets get as far as here."""
        text = chain.rules[index]
        rule = parse_rule(text)
        share = None if left is None else left * (probability(rule) or 1)
        packets = chain.counters[index][0] if chain.counters else None
        said = self.words(table, rule, share)
        branch = Branch(table, chain.name, text, said, packets, share, rule.target)
        behind = self.ruleset.chain(table, rule.target)
        if behind is not None and is_of_service(rule.target):
            branch.branches = list(self.chain(table, behind))
        return branch

    def chain(self, table: str, chain: Chain) -> Iterator[Branch]:
        """The rules of a chain; those that chance chooses between know their shares."""
        left = 1.0
        for index, text in enumerate(chain.rules):
            if _is_a_choice(parse_rule(text)):
                yield self.branch(table, chain, index, left)
                left *= 1 - (probability(parse_rule(text)) or 1)
            else:
                yield self.branch(table, chain, index)

    def words(self, table: str, rule: Rule, share: float | None) -> str:
        """The rule in words, with what its target stands for."""
        said = words(rule) if share is None else _choice(rule, share)
        if rule.target == "DNAT":
            place = self.places.get(_host(rule.option("--to-destination")))
            return f"{said} = {place}" if place else said
        return f"{said} ({goal})" if (goal := self.goal(table, rule.target)) else said

    def goal(self, table: str, target: str) -> str:
        """The endpoint that an endpoint's chain sends to, or ""."""
        chain = self.ruleset.chain(table, target) if target.startswith("KUBE-SEP-") else None
        rules = [parse_rule(text) for text in chain.rules] if chain else []
        return next((r.option("--to-destination") for r in rules if r.target == "DNAT"), "")


def probability(rule: Rule) -> float | None:
    """The rule's `--probability`, or None."""
    for condition in rule.conditions:
        if condition.option == "--probability":
            with contextlib.suppress(ValueError, IndexError):  # of a save that somebody damaged
                return float(condition.values[0])
    return None


def _is_a_choice(rule: Rule) -> bool:
    """True for a jump to an endpoint that depends on chance alone."""
    asked = {condition.option for condition in rule.conditions}
    return rule.target.startswith("KUBE-SEP-") and asked <= {"--comment", "--mode", "--probability"}


def _choice(rule: Rule, share: float) -> str:
    """`1/2 of the rest, 33% overall → KUBE-SEP-…`."""
    chance = probability(rule)
    if chance is None:
        part = "all" if share > 0.999999 else "the rest"
    else:
        part = share_words(chance) + ("" if abs(share - chance) < 1e-9 else " of the rest")
    overall = "" if part == "all" else f", {_per_cent(share)} overall"
    return f"{part}{overall} → {rule.target}"


def _per_cent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.1 else f"{share:.1%}"


def _host(destination: str) -> str:
    return destination.rpartition(":")[0].strip("[]")


# -- lines ---------------------------------------------------------------------------------


class Look(Struct, frozen=True):
    """How to show a tree: `syntax` with each rule's own text, which `dim` may colour; lines no
    longer than `width` characters, where that is given."""

    syntax: bool = True
    dim: Callable[[str], str] = str
    width: int | None = None


PLAIN = Look()
"""The whole tree in one colour, lines as long as they are."""


def render(branches: Sequence[Branch], look: Look = PLAIN) -> Iterator[str]:
    """The tree as lines, packets on the left where somebody counted.

    A chain shown before is only named again.
    """
    counts = [_count(branch.packets) for branch in _all(branches)]
    count = max(len(HEADER), *map(len, counts)) if any(counts) else 0
    drawing = _Drawing(look, count, set())
    place = ""
    if count:
        yield f"{HEADER:>{count}}"
    for branch in branches:
        if (here := f"{branch.table} {branch.chain}") != place:
            place = here
            yield f"{'':{count}} {place}"
        siblings = [b for b in branches if (b.table, b.chain) == (branch.table, branch.chain)]
        yield from drawing.lines(branch, "", is_last=branch is siblings[-1])


class _Drawing(Struct, frozen=True):
    look: Look
    count: int
    shown: set[tuple[str, str]]

    def lines(self, branch: Branch, indent: str, *, is_last: bool) -> Iterator[str]:
        elbow, below = ("└─ ", "   ") if is_last else ("├─ ", "│  ")
        again = self._again(branch)
        words = branch.words + (" (as above)" if again else "")
        bar = "│" if branch.branches and not again else " "
        yield from self._folded(
            words, f"{_count(branch.packets):>{self.count}} {indent}{elbow}", indent + below + bar
        )
        if self.look.syntax:
            start = indent + below + bar + "    "
            text = f"{branch.where}: {branch.text}" if branch.where else branch.text
            yield from self._folded(text, f"{'':{self.count}} {start}", start, self.look.dim)
        if not again:
            for child in branch.branches:
                last = child is branch.branches[-1]
                yield from self.lines(child, indent + below, is_last=last)

    def _again(self, branch: Branch) -> bool:
        """True if the chain behind the branch was shown before; it counts as shown from now."""
        if not branch.branches or not branch.target:
            return False
        place = branch.table, branch.target
        if place in self.shown:
            return True
        self.shown.add(place)
        return False

    def _folded(
        self, text: str, first: str, others: str, paint: Callable[[str], str] = str
    ) -> Iterator[str]:
        """The text behind `first`; folded, if it must be, with `others` before further lines."""
        text = escape_line(text)
        parts = [text]
        if self.look.width is not None:
            room = max(self.look.width - len(first), NARROWEST)
            parts = textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False)
        others = f"{'':{self.count}} {others}" + ("" if others.endswith("    ") else "  ")
        for number, part in enumerate(parts):
            yield (others if number else first) + paint(part)


def _all(branches: Iterable[Branch]) -> Iterator[Branch]:
    for branch in branches:
        yield branch
        yield from _all(branch.branches)


def _count(packets: int | None) -> str:
    return "" if packets is None else str(packets)


# -- words ---------------------------------------------------------------------------------


def words(rule: Rule) -> str:
    """A rule as one would say it: `to 10.96.14.7 tcp port 80 → KUBE-SVC-…`."""
    conditions = " ".join(part for part in _conditions(rule.conditions) if part)
    action = _action(rule) + _nobody(rule)
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
        case "MARK":
            return f"set the mark ({' '.join(map(str, rule.options))})"
        case "MASQUERADE":
            return "masquerade"
        case str(target) if target == MARK_MASQUERADE:
            return "mark for masquerade"
        case str(target):
            return f"→ {target}"


def _nobody(rule: Rule) -> str:
    """`, it has no endpoints`: what the comment of a rule that turns packets away says."""
    found = _NOBODY.search(rule.comment) if rule.target in ("REJECT", "DROP") else None
    return f", it {found[0]}" if found else ""


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
                yield f"in {share_words(float(value))} of cases"
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


def share_words(chance: float) -> str:
    """`1/3` where it is one, else per cent."""
    if chance > 0:
        whole = round(1 / chance)
        if abs(1 / whole - chance) < 1e-6:
            return f"1/{whole}"
    return f"{chance:.1%}"
