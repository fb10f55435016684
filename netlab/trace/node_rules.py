"""A node's rules in force, of either mode of kube-proxy: what is asked of them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from typing import NamedTuple, Protocol

from netlab.simulation.hooks import EntryHook, Route
from netlab.simulation.packet import Outcome, Packet
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


FIELDS = {
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
"""What of a packet an option of iptables, or the last word of a selector of nftables, asks for."""
