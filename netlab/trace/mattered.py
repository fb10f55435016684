"""Which fields of a packet its rules looked at, and which none did. Pure.

A field that some rule asked for may have decided: by another value the packet could have gone
another way. One that nobody asked for cannot.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from netlab.trace.node_rules import Rules

if TYPE_CHECKING:
    from netlab.trace.story import ChainVisit

FIELDS = (
    "source", "destination", "protocol", "port", "source port", "interface", "state", "TCP flags",
    "the draw", "affinity",
)  # fmt: skip
"""What rules ask for, in the order in which it is told; the last two are no fields of a packet."""

_FLOW = ("source", "destination", "protocol", "port", "source port")
_NEVER = ("TTL", "length", "content")
"""What no rule that is understood here asks for."""


class Mattered(Struct, frozen=True):
    """Fields that some rule asked for, and those that none did."""

    asked: tuple[str, ...]
    ignored: tuple[str, ...]


def mattered(
    visits: Iterable[ChainVisit], rules: Rules, unknown: Sequence[str], *, later: bool = False
) -> Mattered:
    """Of a packet's visits; with `unknown` conditions on its way, nothing is sure to be ignored.
    `later`: connection tracking knew it as one of a flow, which it does by all that names one.

    Of a rule that matched all conditions decided, of one that did not the one that failed. The
    destination decides the route.
    """
    asked = set(_FLOW) if later else {"destination"}
    for visit in visits:
        here = rules(visit.place)
        for rule in visit.met:
            asked |= here.fields(rule.text)
        # Conditions that differ in their value alone ask for the same.
        kinds = {miss.condition.rpartition(" ")[0]: miss.condition for miss in visit.misses}
        for condition in kinds.values():
            asked |= here.fields(condition)
    could = (*FIELDS[:-2], *_NEVER)
    return Mattered(
        tuple(field for field in FIELDS if field in asked),
        () if unknown else tuple(field for field in could if field not in asked),
    )
