"""Endpoints on nodes that are switched off, of which the cluster has not heard yet. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from netlab.diagnosis.facts import Cause, Facts, count
from netlab.objects import meta
from netlab.objects.nodes import is_off
from netlab.objects.types import Endpoint


def off(endpoints: Sequence[Endpoint], facts: Facts) -> Iterator[Cause]:
    """A cause for each node that is off, and still has some of these endpoints."""
    for node in facts.nodes:
        if is_off(node):
            name = meta.name(node)
            there = [one for one in endpoints if one.get("nodeName") == name]
            if there:
                yield Cause(
                    "NodeOff",
                    f"{_share(there, endpoints)} on node {name}, which is "
                    "switched off: what is sent there is lost",
                    nodes=(name,),
                )


def _share(those: Sequence[Endpoint], endpoints: Sequence[Endpoint]) -> str:
    """`its one endpoint is`, `1 of 2 endpoints is`."""
    verb = "is" if len(those) == 1 else "are"
    if len(those) == len(endpoints):
        return f"its {'one endpoint' if verb == 'is' else count(len(those), 'endpoint')} {verb}"
    return f"{len(those)} of {count(len(endpoints), 'endpoint')} {verb}"
