"""A node's rules of nftables mode, as traces ask them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence, Set
from functools import cached_property

from netlab.pathcheck.decode import split
from netlab.proxy.nftables import owners
from netlab.proxy.nftables.model import NftTable
from netlab.simulation import nft_phrases, nft_rule, nftables
from netlab.simulation.hooks import EntryHook, Route
from netlab.simulation.nft_match import Sets
from netlab.simulation.packet import Outcome, Packet
from netlab.trace import draws, nft_misses
from netlab.trace.draws import Draw
from netlab.trace.misses import Miss
from netlab.trace.node_rules import FIELDS, RuleAt
from netlab.trace.passages import MetRule


class NftRules:
    """Those of nftables mode: all tables, whosever they are."""

    def __init__(self, tables: Sequence[NftTable]) -> None:
        self._tables = tables

    def simulate(self, packet: Packet, *, entry: EntryHook, route: Route) -> list[Outcome]:
        """See `NodeRules`."""
        return nftables.simulate(self._tables, packet, entry=entry, route=route)

    def texts(self, table: str, chain: str) -> Sequence[str]:
        """See `NodeRules`."""
        found = self._with(table, chain)
        return found.chains[chain].rules if found is not None else ()

    def misses(self, table: str, chain: str, packet: Packet) -> Iterator[Miss]:
        """See `NodeRules`."""
        found = self._with(table, chain)
        if found is not None:
            yield from nft_misses.misses(found.chains[chain].rules, packet, Sets(found))

    def acts(self, text: str) -> bool:
        """See `NodeRules`."""
        return any(
            isinstance(each, _ALTERS)
            or (isinstance(each, nft_phrases.Verdict) and each.verdict not in _IDLE and not each.to)
            for each in nft_rule.parse_rule(text)
        )

    def owner(self, met: MetRule, came: str) -> str | None:
        """See `NodeRules`."""
        named = owners.service_port(met.chain) or owners.service_port(met.to)
        return named or self._looked_up(met, came)

    def _looked_up(self, met: MetRule, came: str) -> str | None:
        """As the element of a rule's map says that is for that destination."""
        found = self._element(met.table, met.chain, met.text, came)
        return owners.service_port(found[1]) if found is not None else None

    def _element(self, table_: str, chain: str, text: str, came: str) -> tuple[str, str] | None:
        found, table = _MAP.search(text), self._with(table_, chain)
        if found is None or table is None:
            return None
        address, port = split(came)
        for (name, key), value in table.elements.items():
            parts = key.split(" . ")
            if name == found[1] and parts[-1] == str(port) and parts[0] in (address, *_PROTOCOLS):
                return key, value
        return None

    @cached_property
    def _all(self) -> tuple[RuleAt, ...]:
        return tuple(
            RuleAt(table.name, name, number, text)
            for table in self._tables
            for name, chain in table.chains.items()
            for number, text in enumerate(chain.rules, 1)
        )

    def all(self) -> Sequence[RuleAt]:
        """See `NodeRules`."""
        return self._all

    def leads(self, rule: RuleAt) -> Mapping[str, str]:
        """See `NodeRules`."""
        found: dict[str, str] = {}
        for phrase in nft_rule.parse_rule(rule.text):
            if isinstance(phrase, nft_phrases.Verdict) and phrase.to:
                found[phrase.to] = ""
            elif isinstance(phrase, nft_phrases.VerdictMap):
                for key, value in self._elements(rule, phrase.elements):
                    verdict = nft_rule.verdict_of(value.rpartition(" : ")[2].removeprefix(": "))
                    if verdict.to:
                        found.setdefault(verdict.to, key)
        return found

    def sends_to(self, rule: RuleAt) -> Set[str]:
        """See `NodeRules`."""
        ends: set[str] = set()
        for phrase in nft_rule.parse_rule(rule.text):
            if isinstance(phrase, nft_phrases.Nat) and phrase.kind == "dnat":
                drawn = (value for _, value in self._elements(rule, phrase.elements))
                ends |= {_address(end) for end in (phrase.to, *drawn) if end}
        return ends

    def entrances(self) -> Iterator[tuple[RuleAt, str, str]]:
        """See `NodeRules`."""
        for rule in self._all:
            if owners.service_port(rule.chain) is not None:
                continue
            for phrase in nft_rule.parse_rule(rule.text):
                if isinstance(phrase, nft_phrases.VerdictMap):
                    for key, value in self._elements(rule, phrase.elements):
                        owner = owners.service_port(value)
                        if owner is not None:
                            yield rule, owner, key

    def key_of(self, rule: RuleAt, came: str) -> str:
        """See `NodeRules`."""
        found = self._element(rule.table, rule.chain, rule.text, came)
        return found[0] if found is not None else ""

    def fields(self, text: str) -> Set[str]:
        """See `NodeRules`."""
        asked: set[str] = set()
        for phrase in nft_rule.parse_rule(text):
            if isinstance(phrase, nft_phrases.Match | nft_phrases.VerdictMap | nft_phrases.Nat):
                if phrase.selector is not None:
                    asked |= {_field(each) for each in phrase.selector.fields}
                if phrase.elements.name.startswith("affinity-"):
                    asked.add("affinity")
        return asked - {""}

    def _elements(self, rule: RuleAt, elements: nft_phrases.Elements) -> Iterator[tuple[str, str]]:
        found = self._with(rule.table, rule.chain)
        if not elements.name or found is None:
            yield from elements.own.items()
            return
        for (name, key), value in found.elements.items():
            if name == elements.name:
                yield key, value

    def written(self, table: str, chain: str, number: int) -> str:
        """See `NodeRules`."""
        del table, chain, number
        return ""

    def draw(self, met: MetRule, destination: str) -> Draw | None:
        """See `NodeRules`."""
        return draws.in_nftables(met, destination)

    def knows(self, table: str) -> bool:
        """See `NodeRules`."""
        return any(one.name == table for one in self._tables)

    def _with(self, table: str, chain: str) -> NftTable | None:
        alike = (each for each in self._tables if each.name == table and chain in each.chains)
        return next(alike, None)


def _address(end: str) -> str:
    """Of `10.0.0.1:80`, `fd00::1 . 80`."""
    address, dot, _ = end.partition(" . ")
    return address if dot else split(end)[0]


def _field(field: str) -> str:
    """The word for what an nftables selector asks for; "" for what is no field of a packet."""
    return "the draw" if "numgen" in field else FIELDS.get(field.split()[-1], "")


_MAP = re.compile(r"vmap @(\S+)")
_PROTOCOLS = ("tcp", "udp", "sctp")
_ALTERS = (nft_phrases.SetMark, nft_phrases.ConnMark, nft_phrases.Nat, nft_phrases.NoTrack)
_IDLE = ("return", "continue")
