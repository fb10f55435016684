"""The phrases that rules of nftables consist of, see `nft_rule`. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct, field

from netlab.simulation.translation import Translation


class Selector(Struct, frozen=True):
    """What of a packet is looked at: `ip daddr`, `th dport`, …, concatenated; of a number the bits
    of `mask` alone."""

    fields: tuple[str, ...]
    mask: int | None = None

    def __str__(self) -> str:
        mask = f" & {self.mask:#x}" if self.mask is not None else ""
        return " . ".join(self.fields) + mask

    @property
    def draw(self) -> int:
        """How many numbers chance chooses from; 0 when it has no part in it."""
        return int(self.fields[0].rpartition(" ")[2]) if "numgen" in self.fields[0] else 0


class Elements(Struct, frozen=True):
    """A set or a map: one of the table's by its `name`, or that written in the rule. A value
    alone, `tcp`, is a set of one."""

    name: str = ""
    own: Mapping[str, str] = field(default_factory=dict)


class Match(Struct, frozen=True):
    """Goes on if what is selected is (or `negated`, is not) an element."""

    text: str
    selector: Selector
    elements: Elements
    negated: bool = False


class Chance(Struct, frozen=True):
    """`meta random & 2147483647 < 715827883`, as iptables' statistic reads in nft's words: goes on
    so `likely`. A single packet is never `limit rate over` a rate, and has no routing header."""

    text: str
    likely: float


class VerdictMap(Struct, frozen=True):
    """What is selected has a verdict, or the rule does not match."""

    text: str
    selector: Selector
    elements: Elements


class SetMark(Struct, frozen=True):
    """`meta mark set`: each operation, `=`, `|`, `&` or `^`, on the mark with a number."""

    text: str
    operations: tuple[tuple[str, int], ...]


class ConnMark(Struct, frozen=True):
    """`ct mark set`, `meta mark set ct mark`: of the packet's mark and its connection's one
    `becomes` another: `mark` is `(mark & ~cleared) ^ (connmark & taken)`, `connmark` the other way
    round, or (`set`) `(connmark & ~cleared) ^ taken`."""

    text: str
    becomes: Literal["mark", "connmark", "set"]
    cleared: int
    taken: int


class Nat(Struct, frozen=True):
    """`dnat`, `snat`, `masquerade`, `redirect`: `to` an address and port (`10.0.0.1:80`,
    `10.0.0.1 . 80`, `:80`, ""), or what a map has for what is selected."""

    text: str
    kind: Translation
    to: str = ""
    selector: Selector | None = None
    elements: Elements = Elements()


class Remember(Struct, frozen=True):
    """`update @affinity-… { ip saddr }`: adds what is selected to a set."""

    text: str
    name: str


class NoTrack(Struct, frozen=True):
    """`notrack`."""

    text: str


class Verdict(Struct, frozen=True):
    """`accept`, `drop`, `reject`, `return`, `continue`; `jump`, `goto` with where `to`."""

    text: str
    verdict: str
    to: str = ""


class Idle(Struct, frozen=True):
    """What changes nothing of where a packet goes: `counter`, `log`, `comment "…"`."""

    text: str


class Unknown(Struct, frozen=True):
    """What of a rule nobody understands, as far as the next verdict."""

    text: str


Phrase = (
    Match | Chance | VerdictMap | SetMark | ConnMark | Nat | Remember | NoTrack | Verdict | Idle
    | Unknown
)  # fmt: skip


EFFECTS = (Verdict, VerdictMap, Nat, SetMark, ConnMark, NoTrack)
"""The phrases that do something to a packet."""
