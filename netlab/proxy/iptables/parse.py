"""iptables-save text → Ruleset; every other text is refused, naming the line."""

from __future__ import annotations

import re

from netlab.errors import InputError, Problem
from netlab.proxy.iptables.model import Chain, Counters, Ruleset, Table

_CHAIN = re.compile(r":(\S+) (\S+)(?: \[(\d+):(\d+)\])?$")
_RULE = re.compile(r"(?:\[(\d+):(\d+)\] )?-A (\S+)(?: (.*))?$")
_HINT = "expected the output of iptables-save or ip6tables-save"


class _Draft:
    """A chain while its rules are still coming."""

    __slots__ = ("counted", "counters", "name", "policy", "policy_counters", "rules")

    def __init__(self, name: str, policy: str, policy_counters: Counters) -> None:
        self.name, self.policy, self.policy_counters = name, policy, policy_counters
        self.rules: list[str] = []
        self.counters: list[Counters] = []
        self.counted = False

    def done(self) -> Chain:
        counters = tuple(self.counters) if self.counted else ()
        return Chain(self.name, tuple(self.rules), self.policy, counters, self.policy_counters)


class _SaveParser:
    def __init__(self, file: str) -> None:
        self.file = file
        self.ruleset = Ruleset()
        self.table = ""
        self.drafts: dict[str, _Draft] = {}

    def line(self, number: int, text: str) -> None:
        if text.startswith("*"):
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
        self.table, self.drafts = table, {}

    def commit(self, number: int) -> None:
        if not self.table:
            self.refuse(number, "COMMIT without a table")
        chains = {name: draft.done() for name, draft in self.drafts.items()}
        self.ruleset.tables[self.table] = Table(self.table, chains)
        self.table = ""

    def chain(self, number: int, text: str) -> None:
        match = _CHAIN.match(text)
        if not match:
            return self.refuse(number, f"{text[:60]!r} is no chain")
        name, policy, packets, size = match.groups()
        self.drafts[name] = _Draft(name, policy, (int(packets or 0), int(size or 0)))
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
        draft.counters.append((int(packets or 0), int(size or 0)))
        draft.counted = draft.counted or packets is not None
        return None


def parse(text: str, *, file: str = "-") -> Ruleset:
    """Read iptables-save text, with or without counters.

    Raises InputError naming `file` and the line that is none of its. A chain's counters are
    empty when the text has none.
    """
    parser = _SaveParser(file)
    number = 0
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if stripped and not stripped.startswith("#"):
            parser.line(number, stripped)
    if parser.table:
        parser.refuse(number, f"table {parser.table!r} does not end with COMMIT")
    return parser.ruleset
