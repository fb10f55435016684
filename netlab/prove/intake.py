"""What a node says its rules are, as `saves` reads it, as rules of both families for proofs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct, field

from netlab.errors import InputError, Problem
from netlab.prove import of_iptables, of_nftables
from netlab.prove.diagram import Place
from netlab.prove.of_iptables import IptablesRules
from netlab.prove.of_nftables import NftablesRules
from netlab.prove.space import Space
from netlab.prove.steps import Rules
from netlab.proxy.addresses import Family
from netlab.proxy.iptables.model import Ruleset
from netlab.proxy.nftables.model import NftTable
from netlab.saves.read import EXPECTED
from netlab.saves.read import read as read_texts
from netlab.saves.save import Remark, SavedRules


class Save(Struct, frozen=True):
    """One node's rules by family; `saved` are those that a text had, with their lines, and
    `remarks` what is to be known of it."""

    name: str
    iptables: Mapping[Family, Ruleset] = field(default_factory=dict)
    nftables: Mapping[Family, Sequence[NftTable]] = field(default_factory=dict)
    saved: Mapping[Family, SavedRules] = field(default_factory=dict)
    remarks: tuple[Remark, ...] = ()

    @property
    def families(self) -> list[Family]:
        """Those it has rules of."""
        return list(dict.fromkeys((*self.iptables, *self.nftables)))

    def links(self) -> set[str]:
        """The links that its rules name."""
        named: set[str] = set()
        for ruleset in self.iptables.values():
            named |= of_iptables.links(ruleset)
        for tables in self.nftables.values():
            named |= of_nftables.links(tables)
        return named

    def rules(self, space: Space) -> list[Rules]:
        """Those of the space's family."""
        family = space.family
        found: list[Rules] = []
        if family in self.iptables:
            saved = self.saved.get(family)
            sets = saved.unchanged() if saved is not None else {}
            found.append(IptablesRules(self.iptables[family], space, sets))
        if family in self.nftables:
            found.append(NftablesRules(self.nftables[family], space))
        return found

    def where(self, place: Place, family: Family) -> str:
        """Where a rule stands, `node.save:88`; "" for one that no text had."""
        known = self.saved.get(family)
        return known.where(place.table, place.chain, place.number) if known is not None else ""


def read(texts: Iterable[tuple[str, str]]) -> Save:
    """The rules of one node in `(file, text)` pairs. `InputError` for others, naming the line; what
    jumps to a chain that is not there is no other: proofs tell of it."""
    found = read_texts(texts, complete=False)
    if not found.families:
        said = "has no rules that IPv4 or IPv6 meets"
        raise InputError([Problem(found.files[0], 1, "", said, f"expected: {EXPECTED}")])
    iptables = {family: one.ruleset for family, one in found.families.items() if one.ruleset.tables}
    nftables = {family: one.tables for family, one in found.families.items() if one.tables}
    return Save(found.files[0], iptables, nftables, found.families, found.remarks)


def of_rules(name: str, rules: Mapping[Family, Ruleset | Sequence[NftTable]]) -> Save:
    """Rules that were never a text."""
    iptables = {family: one for family, one in rules.items() if isinstance(one, Ruleset)}
    nftables = {family: one for family, one in rules.items() if not isinstance(one, Ruleset)}
    return Save(name, iptables, nftables)


def space_of(
    saves: Iterable[Save],
    family: Family,
    local: Iterable[str] = (),
    more_links: Iterable[str] = (),
) -> Space:
    """The header space that all of these rules are about."""
    version = ":" if family == "ipv6" else "."
    links = set(more_links)
    for save in saves:
        links |= save.links()
    return Space(family, links, [one for one in local if version in one])
