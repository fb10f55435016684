"""A node's rules in force, of either mode of kube-proxy: what is asked of them. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from functools import cache, cached_property
from typing import NamedTuple, Protocol

from msgspec.structs import replace

from netlab.pathcheck.decode import split
from netlab.proxy.iptables import owners as iptables_owners
from netlab.proxy.iptables.chains import is_of_service
from netlab.proxy.iptables.model import Chains
from netlab.proxy.iptables.rule import parse_rule
from netlab.proxy.nftables import owners as nftables_owners
from netlab.proxy.nftables.model import NftTable
from netlab.simulation import iptables, nft_rule, nftables
from netlab.simulation.hooks import EntryHook, Route
from netlab.simulation.nft_match import Sets
from netlab.simulation.packet import Outcome, Packet
from netlab.trace import draws, misses, nft_misses
from netlab.trace.draws import Draw
from netlab.trace.misses import Miss
from netlab.trace.passages import MetRule


class RuleAt(NamedTuple):
    """A rule and where it stands; `number` is from 1."""

    table: str
    chain: str
    number: int
    text: str


class NodeRules(Protocol):
    """The rules that packets of one family meet on a node."""

    def simulate(self, packet: Packet, *, entry: EntryHook, route: Route) -> list[Outcome]:
        """What they do with a packet, as the simulators say."""

    def texts(self, table: str, chain: str) -> Sequence[str]:
        """A chain's rules, in their order; none of a chain that is not there."""

    def misses(self, table: str, chain: str, packet: Packet) -> Iterator[Miss]:
        """Those of a chain's rules that this packet does not match, and why."""

    def acts(self, text: str) -> bool:
        """Whether that rule does something to a packet, beside sending it on to a chain."""

    def owner(self, met: MetRule, came: str) -> str | None:
        """The `namespace/name[:port]` of the Service that a rule is for; None for none. `came` is
        the packet's `address:port` as it came there."""

    def knows(self, table: str) -> bool:
        """Whether what a table does is foreseen; of iptables mode, nobody's of nftables is."""

    def all(self) -> Sequence[RuleAt]:
        """Every rule there is."""

    def leads(self, rule: RuleAt) -> Mapping[str, str]:
        """The chains that a rule sends packets to, each with the key of its map by which, or ""."""

    def sends_to(self, rule: RuleAt) -> Set[str]:
        """The addresses that a rule sends packets to."""

    def entrances(self) -> Iterator[tuple[RuleAt, str, str]]:
        """The rules in common chains that are for one Service, with its `namespace/name[:port]`,
        and the key of the rule's map by which, or ""."""

    def key_of(self, rule: RuleAt, came: str) -> str:
        """The key of a rule's map that is for that `address:port`; "" for none."""

    def fields(self, text: str) -> Set[str]:
        """What of a packet a rule's text, or one of its conditions, asks for: `source`, `port`, …;
        see `mattered.FIELDS`."""

    def written(self, table: str, chain: str, number: int) -> str:
        """Where a rule stands, `node.save:88`, of those that a save has; "" for one in force."""

    def draw(self, met: MetRule, destination: str) -> Draw | None:
        """If chance chose that rule, or in it: among how many. `destination` is the packet's
        `address:port` behind it."""


Rules = Callable[[str], NodeRules]
"""A node's rules, by its name."""


class IptablesRules:
    """Those of iptables mode, and the lists of `-m recent` that know an address, by the address;
    `others` reads tables that are nftables' own, whose rules are told and not foreseen."""

    def __init__(
        self,
        ruleset: Chains,
        recent: Mapping[str, frozenset[str]],
        others: Callable[[], Sequence[NftTable]] = tuple,
    ) -> None:
        self._ruleset = ruleset
        self._recent = recent
        self._others = cache(others)

    def simulate(self, packet: Packet, *, entry: EntryHook, route: Route) -> list[Outcome]:
        """See `NodeRules`."""
        return iptables.simulate(self._ruleset, self._known(packet), entry=entry, route=route)

    def texts(self, table: str, chain: str) -> Sequence[str]:
        """See `NodeRules`."""
        if not self.knows(table):
            alike = (one.chains[chain] for one in self._others() if one.name == table)
            return next((one.rules for one in alike), ())
        found = self._ruleset.chain(table, chain)
        return found.rules if found is not None else ()

    def misses(self, table: str, chain: str, packet: Packet) -> Iterator[Miss]:
        """See `NodeRules`."""
        texts = self.texts(table, chain) if self.knows(table) else ()
        return misses.misses(texts, self._known(packet))

    def knows(self, table: str) -> bool:
        """See `NodeRules`."""
        return table in _TABLES

    def acts(self, text: str) -> bool:
        """See `NodeRules`."""
        return parse_rule(text).target not in ("", "RETURN")

    def owner(self, met: MetRule, came: str) -> str | None:
        """See `NodeRules`."""
        del came
        return iptables_owners.in_chain(self._ruleset.chain(met.table, met.chain), met.text)

    @cached_property
    def _all(self) -> tuple[RuleAt, ...]:
        return tuple(
            RuleAt(table.name, chain.name, number, text)
            for table in self._ruleset.tables.values()
            for chain in table.chains.values()
            for number, text in enumerate(chain.rules, 1)
        )

    def all(self) -> Sequence[RuleAt]:
        """See `NodeRules`."""
        return self._all

    def leads(self, rule: RuleAt) -> Mapping[str, str]:
        """See `NodeRules`."""
        target = parse_rule(rule.text).target
        return {target: ""} if self._ruleset.chain(rule.table, target) is not None else {}

    def sends_to(self, rule: RuleAt) -> Set[str]:
        """See `NodeRules`."""
        to = parse_rule(rule.text).option("--to-destination")
        return {split(to)[0]} if to else frozenset()

    def entrances(self) -> Iterator[tuple[RuleAt, str, str]]:
        """See `NodeRules`."""
        for rule in self._all:
            owner = iptables_owners.service_port(rule.text)
            if owner is not None and not is_of_service(rule.chain):
                yield rule, owner, ""

    def key_of(self, rule: RuleAt, came: str) -> str:
        """See `NodeRules`."""
        del rule, came  # there are no maps
        return ""

    def fields(self, text: str) -> Set[str]:
        """See `NodeRules`."""
        asked = (_FIELDS.get(one.option) for one in parse_rule(text).conditions)
        return frozenset(filter(None, asked))

    def written(self, table: str, chain: str, number: int) -> str:
        """See `NodeRules`."""
        del table, chain, number
        return ""

    def draw(self, met: MetRule, destination: str) -> Draw | None:
        """See `NodeRules`."""
        del destination
        return draws.in_iptables(self.texts(met.table, met.chain), met.number)

    def _known(self, packet: Packet) -> Packet:
        return replace(packet, recent=self._recent.get(packet.source, frozenset()))


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
            isinstance(each, nft_rule.SetMark | nft_rule.Nat | nft_rule.NoTrack)
            or (isinstance(each, nft_rule.Verdict) and each.verdict not in _IDLE and not each.to)
            for each in nft_rule.parse_rule(text)
        )

    def owner(self, met: MetRule, came: str) -> str | None:
        """See `NodeRules`."""
        named = nftables_owners.service_port(met.chain) or nftables_owners.service_port(met.to)
        return named or self._looked_up(met, came)

    def _looked_up(self, met: MetRule, came: str) -> str | None:
        """As the element of a rule's map says that is for that destination."""
        found = self._element(met.table, met.chain, met.text, came)
        return nftables_owners.service_port(found[1]) if found is not None else None

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
            if isinstance(phrase, nft_rule.Verdict) and phrase.to:
                found[phrase.to] = ""
            elif isinstance(phrase, nft_rule.VerdictMap):
                for key, value in self._elements(rule, phrase.elements):
                    verdict = nft_rule.verdict_of(value.rpartition(" : ")[2].removeprefix(": "))
                    if verdict.to:
                        found.setdefault(verdict.to, key)
        return found

    def sends_to(self, rule: RuleAt) -> Set[str]:
        """See `NodeRules`."""
        ends: set[str] = set()
        for phrase in nft_rule.parse_rule(rule.text):
            if isinstance(phrase, nft_rule.Nat) and phrase.kind == "dnat":
                drawn = (value for _, value in self._elements(rule, phrase.elements))
                ends |= {_address(end) for end in (phrase.to, *drawn) if end}
        return ends

    def entrances(self) -> Iterator[tuple[RuleAt, str, str]]:
        """See `NodeRules`."""
        for rule in self._all:
            if nftables_owners.service_port(rule.chain) is not None:
                continue
            for phrase in nft_rule.parse_rule(rule.text):
                if isinstance(phrase, nft_rule.VerdictMap):
                    for key, value in self._elements(rule, phrase.elements):
                        owner = nftables_owners.service_port(value)
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
            if isinstance(phrase, nft_rule.Match | nft_rule.VerdictMap | nft_rule.Nat):
                if phrase.selector is not None:
                    asked |= {_field(each) for each in phrase.selector.fields}
                if phrase.elements.name.startswith("affinity-"):
                    asked.add("affinity")
        return asked - {""}

    def _elements(self, rule: RuleAt, elements: nft_rule.Elements) -> Iterator[tuple[str, str]]:
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
    return "the draw" if "numgen" in field else _FIELDS.get(field.split()[-1], "")


_FIELDS = {
    "-s": "source", "-d": "destination", "-p": "protocol", "--dport": "port", "--dports": "port",
    "--sport": "source port", "--sports": "source port", "--ports": "port", "-i": "interface",
    "-o": "interface", "--ctstate": "state", "--state": "state", "--src-type": "source",
    "--dst-type": "destination", "--probability": "the draw", "--every": "the draw",
    "--tcp-flags": "TCP flags", "--syn": "TCP flags", "--rcheck": "affinity",
    "--update": "affinity", "saddr": "source", "daddr": "destination", "l4proto": "protocol",
    "protocol": "protocol", "nexthdr": "protocol", "dport": "port", "sport": "source port",
    "iifname": "interface", "oifname": "interface", "iif": "interface", "oif": "interface",
    "state": "state",
}  # fmt: skip
_TABLES = ("raw", "mangle", "nat", "filter", "security")
_MAP = re.compile(r"vmap @(\S+)")
_PROTOCOLS = ("tcp", "udp", "sctp")
_IDLE = ("return", "continue")
