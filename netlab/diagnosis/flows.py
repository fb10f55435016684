"""UDP flows that a node still sends where nobody is: entries of connection tracking. Pure.

UDP has no end of a connection. Who sends on and on from one port keeps his entry, and with it the
choice that was made at its first packet.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator

from msgspec import Struct

from netlab.diagnosis.facts import Cause, listed
from netlab.diagnosis.remedies import on_node
from netlab.objects.addresses import join_host_port


class Flow(Struct, frozen=True):
    """An entry: `source` asks `destination`, and `answering` is who is expected to answer. All are
    (address, port)."""

    source: tuple[str, int]
    destination: tuple[str, int]
    answering: tuple[str, int]


def parsed(text: str) -> list[Flow]:
    """The flows of UDP that `conntrack -L` tells of."""
    return [flow for line in text.splitlines() if (flow := _flow(line)) is not None]


def _flow(line: str) -> Flow | None:
    found = [re.findall(rf"\b{key}=(\S+)", line) for key in ("src", "sport", "dst", "dport")]
    if not line.startswith("udp ") or any(len(each) != 2 for each in found):
        return None
    (source, answering), (sport, answering_port), (to, _), (dport, _) = found
    return Flow((source, int(sport)), (to, int(dport)), (answering, int(answering_port)))


def stale(
    flows: Iterable[Flow], endpoints: Collection[tuple[str, int]], sender: str, node: str
) -> Iterator[Cause]:
    """Flows of that sender to a Service that lead to none of its endpoints."""
    lost = [flow for flow in flows if flow.answering not in endpoints]
    if not lost or not endpoints:
        return
    first = lost[0]
    ports = listed([str(flow.source[1]) for flow in lost])
    went = sorted({flow.answering for flow in lost})
    if went == [first.destination]:
        leads = "is sent to no endpoint: it began when no rule was there to choose one"
    else:
        leads = (
            f"is sent to {listed([join_host_port(*each) for each in went])}, no endpoint any more"
        )
    text = (
        f"stale UDP conntrack on node {node}: what {sender} sends from its port {ports} {leads}, "
        "and each packet keeps that entry alive"
    )
    yield Cause("StaleConntrack", text, nodes=(node,), remedy=_forget(first, node))


def _forget(flow: Flow, node: str) -> str:
    family = " -f ipv6" if ":" in flow.source[0] else ""
    (source, sport), (to, dport) = flow.source, flow.destination
    return on_node(
        node,
        f"conntrack -D{family} -p udp -s {source} -d {to} --sport {sport} --dport {dport}",
    )
