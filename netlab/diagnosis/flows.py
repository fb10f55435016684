"""UDP flows that a node still sends where nobody is: entries of connection tracking. Pure.

UDP has no end of a connection. Who sends on and on from one port keeps his entry, and with it the
choice that was made at its first packet.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from netlab.conntrack import Flow
from netlab.diagnosis.facts import Cause, listed
from netlab.diagnosis.remedies import on_node
from netlab.objects.addresses import join_host_port


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
