"""What `netlab status` shows: the lab in one screen, and how to reach into it. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from netlab.objects import meta
from netlab.objects.lab import Lab, Node
from netlab.view.table import align

_TITLES = ("NODE", "STATUS", "ROLE", "INTERNAL-IP", "EXTERNAL-IP", "PODS", "POD-CIDR")


def overview(lab: Lab, state: Mapping[str, Any]) -> Iterator[str]:
    """The lines; `state` is what `lab.status` returns."""
    word = "running" if state["running"] else "its controller does not run (sudo netlab up FILE)"
    yield f"lab {lab.name}: {word}"
    yield ""
    yield align([[*_TITLES], *_nodes(lab, state)])
    yield ""
    yield align([[name, value] for name, value in _facts(lab)])
    if state["waitingFor"]:
        yield ""
        yield "not settled:"
        yield from (f"- {line}" for line in state["waitingFor"])
    yield ""
    if running := [node for node in lab.nodes if _condition(node, state) != "off"]:
        yield f"onto a node:    sudo netlab shell {running[-1].name}"
    yield "into a pod:     netlab exec -it POD -- sh"
    if lab.external.clients:
        yield f"from outside:   sudo netlab shell {lab.external.clients[0].name}"


def _nodes(lab: Lab, state: Mapping[str, Any]) -> Iterator[list[str]]:
    pods = Counter(meta.spec(pod).get("nodeName") for pod in state["pods"])
    for node in lab.nodes:
        yield [
            node.name,
            _condition(node, state),
            node.role,
            ",".join(node.internal_ips),
            ",".join(node.external_ips),
            str(pods[node.name]),
            ",".join(node.pod_cidrs),
        ]


def _condition(node: Node, state: Mapping[str, Any]) -> str:
    return str((state.get("nodes") or {}).get(node.name, "Unknown"))


def _facts(lab: Lab) -> Iterator[tuple[str, str]]:
    yield "pods", ",".join(lab.pod_cidrs)
    yield "services", ",".join(lab.service_cidrs)
    yield (
        "rules",
        f"{lab.proxy_mode} mode"
        + (f", iptables: {lab.iptables}" if lab.proxy_mode == "iptables" else ""),
    )
    caches = (
        f", cached on each node at {', '.join(lab.dns.node_local)}" if lab.dns.node_local else ""
    )
    yield "names", f"{lab.dns.domain}{caches}"
    yield "outside", ",".join(lab.external.cidrs)
    for client in lab.external.clients:
        yield f"  {client.name}", ",".join(client.ips)
    if lab.external.names:
        yield "  names", ",".join(lab.external.names)
    if lab.external.upstream:
        yield "  asked for others", ",".join(lab.external.upstream)
    if lab.load_balancer_pools:
        yield "load balancers", ",".join(map(str, lab.load_balancer_pools))
