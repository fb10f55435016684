"""Why Services fail, asked of a running lab: what `check`, `rules` and `describe` say of it."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

from msgspec.structs import replace

from netlab.client.sync import Client
from netlab.diagnosis.facts import Cause, Facts, Listeners, ListeningSocket
from netlab.errors import NetlabError
from netlab.objects import meta
from netlab.objects.kinds import KINDS
from netlab.objects.lab import Lab
from netlab.objects.nodes import now
from netlab.objects.sloppy import standardized
from netlab.objects.types import Container, Pod

NARROWEST = 40


def facts(client: Client, lab: Lab, directory: Path, *, node_ports: bool = False) -> Facts:
    """The lab as causes see it now. `node_ports`: also where its nodes answer nodePorts."""
    found = told(client)
    return replace(
        found,
        listeners=_seen(lab, directory) if os.geteuid() == 0 else _built_in,
        has_pool=bool(lab.load_balancer_pools),
        node_port_addresses=_node_port_addresses(now(lab, found.nodes)) if node_ports else {},
        domain=lab.dns.domain,
    )


def told(client: Client) -> Facts:
    """What any API server tells of its cluster."""
    return Facts(
        services=list(map(standardized, client.list("Service"))),
        pods=client.list("Pod"),
        slices=list(map(standardized, client.list("EndpointSlice"))),
        nodes=client.list("Node"),
        workloads=[obj for kind in KINDS if kind.makes_pods for obj in client.list(kind.kind)],
        events=client.list("Event", query={"fieldSelector": "type=Warning"}),
    )


def _seen(lab: Lab, directory: Path) -> Listeners:
    """Looks into the pods' namespaces, each once."""
    from netlab.kernel import paths, sockets
    from netlab.network import names, plan

    known: dict[Path, Collection[ListeningSocket] | None] = {}

    def look(pod: Pod) -> Collection[ListeningSocket] | None:
        node = str(meta.spec(pod).get("nodeName") or "")
        name = names.namespace(lab.name, meta.namespace(pod), meta.name(pod))
        if meta.spec(pod).get("hostNetwork"):
            name = plan.node_name(lab, node)
        place = paths.namespace(directory, name)
        if place not in known:
            try:
                found = sockets.listening(place)
                known[place] = [
                    ListeningSocket(one.protocol, one.port, one.address) for one in found
                ]
            except NetlabError:  # a pod on its way, or a kernel without sock_diag
                known[place] = _built_in(pod)
        return known[place]

    return look


def _built_in(pod: Pod) -> Collection[ListeningSocket] | None:
    """What the catalogue's programs listen on; None for a pod that runs a command of its own."""
    from netlab.workload.behaviour import behaviour

    containers = meta.spec(pod).get("containers") or []
    if any(_is_configured_elsewhere(container) for container in containers):
        return None
    kinds = [behaviour(container, _written_environment(container)) for container in containers]
    if any(one.kind not in ("server", "idle") and not one.listeners for one in kinds):
        return None
    return [ListeningSocket(each.protocol, each.port) for one in kinds for each in one.listeners]


def _written_environment(container: Container) -> dict[str, str]:
    return {one["name"]: str(one.get("value") or "") for one in container.get("env") or []}


def _is_configured_elsewhere(container: Container) -> bool:
    """Whether part of its environment, which may name its port, stands in other objects."""
    return bool(container.get("envFrom")) or any(
        one.get("valueFrom") for one in container.get("env") or []
    )


def _node_port_addresses(lab: Lab) -> dict[str, tuple[str, ...]]:
    from netlab.agents.node_proxier import proxy_config
    from netlab.proxy.addresses import Family
    from netlab.proxy.node_view import node_view

    families: list[Family] = ["ipv4", "ipv6"]
    found = {}
    for node in lab.nodes:
        views = [node_view(None, proxy_config(lab, node), family) for family in families]
        if all(one.node_port_ips is not None for one in views[: len(lab.ip_families)]):
            found[node.name] = tuple(ip for one in views for ip in one.node_port_ips or ())
    return found


def why(causes: Iterable[Cause], width: int | None) -> Iterator[str]:
    """`  why: selector app=wbe matches no pod`, folded at a terminal's width."""
    return folded(list(map(str, causes)), "  why: ", width)


def folded(texts: Sequence[str], first: str, width: int | None) -> Iterator[str]:
    """Each text on a line of its own behind `first`; longer ones go on below their beginning."""
    indent = " " * len(first)
    for text in texts:
        if width is None:
            yield first + text
            continue
        room = max(width, NARROWEST)
        yield from textwrap.wrap(
            text, room, initial_indent=first, subsequent_indent=indent,
            break_long_words=False, break_on_hyphens=False,
        )  # fmt: skip
