"""What somebody changed on nodes by hand a moment ago, and netlab has put back since. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product

from netlab.diagnosis.facts import Facts
from netlab.objects import meta
from netlab.objects.times import parse_time

_REASONS = ("RulesChanged", "NetworkChanged")
_SECONDS = 300
"""Who wonders about what was before that has asked before."""


def put_back(facts: Facts, nodes: Iterable[str], now: float) -> Iterator[str]:
    """A line for each kind of change on one of these nodes, by the Events that tell of it; `now` in
    seconds since 1970."""
    there = [node for name in dict.fromkeys(nodes) if (node := facts.node(name)) is not None]
    for node, reason in product(there, _REASONS):
        for event in facts.events_of(node, reason)[-1:]:
            ago = now - (parse_time(event.get("lastTimestamp")) or 0.0)
            if 0 <= ago <= _SECONDS:
                said = " ".join(str(event.get("message") or "").split())
                yield f"lately ({ago:.0f} s ago) on node {meta.name(node)}: {said}"
