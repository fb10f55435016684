"""What saves of a node's rules come to, by the family of packets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from msgspec import Struct, field

from netlab.errors import Problem
from netlab.proxy.addresses import Family
from netlab.proxy.config import ModeName
from netlab.proxy.iptables.model import Ruleset
from netlab.proxy.nftables.model import TABLE, NftTable
from netlab.saves.ipsets import IpSet
from netlab.simulation.ipset import IpSets

_CHANGED = re.compile(r"--(?:add|del)-set (\S+)")

Place = tuple[str, str]
"""A table and a chain in it."""


class Written(NamedTuple):
    """Where a chain stands and then its rules: their numbers in a file, 0 for none. `word` is
    between the two: `node.save:88`, or of a JSON text, which is one line, `node.json handle 14`.
    """

    file: str
    numbers: tuple[int, ...]
    word: str = ":"

    def rule(self, number: int) -> str:
        """Of a rule, counted from 1, or (0) of the chain's policy; "" if there is none."""
        known = 0 <= number < len(self.numbers) and self.numbers[number]
        return f"{self.file}{self.word}{self.numbers[number]}" if known else ""

    def line(self, number: int) -> int:
        """The line of a rule, or (0) of the policy; 0 where it has none of its own."""
        known = self.word == ":" and 0 <= number < len(self.numbers)
        return self.numbers[number] if known else 0


class Remark(Struct, frozen=True):
    """Something about a text that its reader should know: the file, the line, or 0, and what."""

    file: str
    line: int
    words: str

    def __str__(self) -> str:
        return f"{Problem(self.file, self.line, '', self.words)}"


class SavedRules(Struct):
    """All rules that a save has for packets of one family: of iptables, and nftables' own tables.
    An nftables table whose name two have is called `inet NAME` here, where that is what it is."""

    family: Family
    ruleset: Ruleset = field(default_factory=Ruleset)
    tables: list[NftTable] = field(default_factory=list)
    written: dict[Place, Written] = field(default_factory=dict)
    ipsets: Mapping[str, IpSet] = field(default_factory=dict)
    """Those that were saved as well, which rules may ask."""

    def known_sets(self) -> IpSets:
        """Those of `unchanged`, as packets ask them."""
        return IpSets(self.unchanged())

    def unchanged(self) -> dict[str, IpSet]:
        """Those of which a packet cannot change what is in them: no rule fills or empties them."""
        texts = (
            text
            for table in self.ruleset.tables.values()
            for chain in table.chains.values()
            for text in chain.rules
            if "-j SET" in text
        )
        changed = {name for text in texts for name in _CHANGED.findall(text)} if self.ipsets else {}
        return {name: one for name, one in self.ipsets.items() if name not in changed}

    def where(self, table: str, chain: str, number: int) -> str:
        """`node.save:88` of a rule, counted from 1, or (0) of a chain's policy; "" for one that is
        not there."""
        found = self.written.get((table, chain))
        return found.rule(number) if found is not None else ""

    def where_of(self, table: str, chain: str, text: str) -> str:
        """The same of the first rule of a chain that reads so."""
        found = self.ruleset.chain(table, chain)
        texts = found.rules if found is not None else ()
        for listed in self.tables:
            if listed.name == table and chain in listed.chains:
                texts = listed.chains[chain].rules
        return self.where(table, chain, texts.index(text) + 1) if text in texts else ""

    def kube_proxys(self) -> list[NftTable]:
        """kube-proxy's own table, of nftables mode; at most one."""
        return [table for table in self.tables if table.name == TABLE]

    @property
    def mode(self) -> ModeName:
        """That of the rules' texts; of both kinds kube-proxy's."""
        if self.kube_proxys():
            return "nftables"
        return "iptables" if self.ruleset.tables or not self.tables else "nftables"

    @property
    def proxy_mode(self) -> ModeName | None:
        """kube-proxy's, whoever lists its rules; None where it has none."""
        if self.kube_proxys():
            return "nftables"
        chains = {name for table in self.ruleset.tables.values() for name in table.chains}
        chains |= {name for table in self.tables for name in table.chains}
        return "iptables" if "KUBE-SERVICES" in chains else None


class Save(Struct):
    """A node's rules. `remarks` are what the programs that wrote them said, or got wrong."""

    files: tuple[str, ...]
    families: Mapping[Family, SavedRules]
    remarks: tuple[Remark, ...] = ()

    def of(self, address: str) -> SavedRules | None:
        """Those that packets to an address meet; None where none of that family were saved."""
        return self.families.get("ipv6" if ":" in address else "ipv4")
