"""iptables-save text → Ruleset; every other text is refused, naming the line."""

from __future__ import annotations

import re

from netlab.errors import InputError, Problem
from netlab.proxy.iptables.model import HOOKS, Chain, Counters, Ruleset, Table

_COUNTERS = r"\[([0-9]{1,20}):([0-9]{1,20})\]"
_CHAIN = re.compile(rf":(\S+) (\S+)(?: {_COUNTERS})?$")
_RULE = re.compile(rf"(?:{_COUNTERS} )?-A (\S+)(?: (.*))?$")
_JUMP = re.compile(r"(?:^| )-[jg] (\S+)")
_HINT = "expected the output of iptables-save or ip6tables-save"

_POLICIES = ("ACCEPT", "DROP", "-")
"""Of a built-in chain; the last leaves it as it is, which in a new table is ACCEPT."""

_TARGET = re.compile(r"[A-Z0-9]+\Z")
"""What a target of the kernel's may be called, and every one is. A chain may be called so, too."""

_VERDICTS = frozenset({"ACCEPT", "DROP", "RETURN", "QUEUE"})


Lines = dict[tuple[str, str], tuple[int, ...]]
"""On which line each chain is declared, and after that each of its rules, by table and chain."""


class _Draft:
    """A chain while its rules are still coming."""

    __slots__ = ("counted", "counters", "lines", "name", "policy", "policy_counters", "rules")

    def __init__(self, number: int, name: str, policy: str, policy_counters: Counters) -> None:
        self.name, self.policy, self.policy_counters = name, policy, policy_counters
        self.rules: list[str] = []
        self.lines = [number]
        self.counters: list[Counters] = []
        self.counted = False

    def done(self) -> Chain:
        counters = tuple(self.counters) if self.counted else ()
        return Chain(self.name, tuple(self.rules), self.policy, counters, self.policy_counters)


class _SaveParser:
    def __init__(self, file: str, complete: bool) -> None:
        self.file = file
        self.complete = complete
        self.ruleset = Ruleset()
        self.table = ""
        self.drafts: dict[str, _Draft] = {}
        self.lines: Lines = {}

    def line(self, number: int, text: str) -> None:
        if text[0] in "[-" and self.table:  # nearly all
            self.rule(number, text)
        elif text.startswith("*"):
            self.begin(number, text[1:])
        elif text == "COMMIT":
            self.commit(number)
        elif not self.table:
            self.refuse(number, f"{text[:60]!r} stands outside of a table")
        elif text.startswith(":"):
            self.chain(number, text)
        else:
            self.rule(number, text)

    def refuse(self, number: int, message: str) -> None:
        raise InputError([Problem(self.file, number, "", message, _HINT)])

    def begin(self, number: int, table: str) -> None:
        if self.table or not table:
            self.refuse(number, f"table {table!r} begins before table {self.table!r} ended")
        if table not in HOOKS:
            self.refuse(number, f"there is no table {table[:60]!r}")
        if table in self.ruleset.tables:
            self.refuse(number, f"table {table!r} was there before")
        self.table, self.drafts = table, {}

    def commit(self, number: int) -> None:
        if not self.table:
            self.refuse(number, "COMMIT without a table")
        for draft in self.drafts.values() if self.complete else ():
            for line, rule in zip(draft.lines[1:], draft.rules, strict=True):
                self.jump(line, rule)
        chains = {name: draft.done() for name, draft in self.drafts.items()}
        self.ruleset.tables[self.table] = Table(self.table, chains)
        for name, draft in self.drafts.items():
            self.lines[self.table, name] = tuple(draft.lines)
        self.table = ""

    def chain(self, number: int, text: str) -> None:
        match = _CHAIN.match(text)
        if not match:
            return self.refuse(number, f"{text[:60]!r} is no chain")
        name, policy, packets, size = match.groups()
        if name in self.drafts or name in _VERDICTS:
            self.refuse(number, f"no other chain can be called {name}")
        if name in HOOKS[self.table] and policy not in _POLICIES:
            self.refuse(number, f"{policy!r} is no policy: ACCEPT or DROP")
        if name not in HOOKS[self.table] and policy != "-":
            self.refuse(number, f"chain {name} is not built in, and can have no policy")
        self.drafts[name] = _Draft(number, name, policy, (int(packets or 0), int(size or 0)))
        return None

    def rule(self, number: int, text: str) -> None:
        match = _RULE.match(text)
        if not match:
            return self.refuse(number, f"{text[:60]!r} is no rule")
        packets, size, name, rule = match.groups()
        draft = self.drafts.get(name)
        if draft is None:
            return self.refuse(number, f"chain {name} was not declared")
        draft.rules.append(rule or "")
        draft.lines.append(number)
        if packets is None:
            draft.counters.append(_UNCOUNTED)
        else:
            draft.counters.append((int(packets), int(size)))
            draft.counted = True
        return None

    def jump(self, number: int, rule: str) -> None:
        """A rule may jump to a chain of the table, or a target of the kernel's."""
        target = target_of(rule)
        if target and target not in self.drafts and not _TARGET.match(target):
            self.refuse(number, f"there is no chain {target} in table {self.table}")


_UNCOUNTED = (0, 0)
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')


def target_of(rule: str) -> str:
    """The chain, or the target of the kernel's, that a rule names; "" for one that only counts."""
    found = _JUMP.search(_QUOTED.sub('""', rule) if '"' in rule else rule)
    return found[1] if found else ""


def parse(text: str, *, file: str = "-", complete: bool = False) -> Ruleset:
    """Read iptables-save text, with or without counters.

    Raises InputError naming `file` and the line that is none of its; for a text that is to be
    `complete`, also the one that jumps to a chain that is not there. A chain's counters are empty
    when the text has none.
    """
    return parse_with_lines(text, file=file, complete=complete)[0]


def parse_with_lines(
    text: str, *, file: str = "-", complete: bool = False
) -> tuple[Ruleset, Lines]:
    """The same, and where each rule stands."""
    parser = _SaveParser(file, complete)
    number = 0
    for number, line in enumerate(text.rstrip("\n").split("\n"), 1):
        stripped = line.strip()
        if stripped and not stripped.startswith("#"):
            parser.line(number, stripped)
    if parser.table:
        parser.refuse(number, f"table {parser.table!r} does not end with COMMIT")
    return parser.ruleset, parser.lines
