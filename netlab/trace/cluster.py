"""A real cluster as its objects tell: the world that traces name addresses by; whether a node's
rules can be that cluster's. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from netlab.errors import InputError, Problem
from netlab.objects import meta
from netlab.objects.dump import KINDS, Dump
from netlab.objects.podphase import is_pod_terminal
from netlab.objects.types import Node, Pod, Service
from netlab.pathcheck.world import Place, World
from netlab.saves.save import Save
from netlab.saves.services import Named, services

WANTED = (*KINDS, "Pod")
HINT = "kubectl get nodes,svc,endpointslices,pods -A -o yaml, of the same cluster"

_EVERYWHERE = frozenset({"default/kubernetes", "kube-system/kube-dns"})
"""Services that most clusters have."""


def world_of_cluster(dump: Dump) -> World:
    """Its nodes and pods as places, its Services and EndpointSlices."""
    pods: list[Pod] = dump.of("Pod")
    nodes: list[Node] = dump.of("Node")
    places = [*_nodes(nodes), *_pods(pods)]
    listed: list[Service] = dump.of("Service")
    return World(
        places={place.name: place for place in places},
        services={meta.key(service): service for service in listed},
        slices=tuple(dump.of("EndpointSlice")),
        pods={meta.key(pod): pod for pod in pods},
        nodes=tuple(nodes),
    )


def _nodes(nodes: Sequence[Node]) -> Iterator[Place]:
    for node in nodes:
        listed = meta.status(node).get("addresses") or []
        addresses = tuple(one["address"] for one in listed if one.get("type", "").endswith("IP"))
        yield Place(meta.name(node), "node", Path(), addresses)


def _pods(pods: Sequence[Pod]) -> Iterator[Place]:
    for pod in pods:
        addresses = tuple(entry["ip"] for entry in meta.status(pod).get("podIPs") or [])
        if addresses and not is_pod_terminal(pod) and not meta.spec(pod).get("hostNetwork"):
            node = str(meta.spec(pod).get("nodeName") or "")
            yield Place(meta.key(pod), "pod", Path(), addresses, node=node)


def foreign(world: World, node: str) -> frozenset[str]:
    """Addresses that are not that node's own: pods', other nodes' where it is known which it is,
    ClusterIPs."""
    found = {
        address
        for place in world.places.values()
        if place.role == "pod" or (node in world.places and place.name != node)
        for address in place.addresses
    }
    for service in world.services.values():
        found |= {ip for ip in meta.spec(service).get("clusterIPs") or () if ip != "None"}
    return frozenset(found)


def check(dump: Dump, save: Save) -> list[str]:
    """What is to be said of objects beside rules that name Services; `InputError` where they are
    another cluster's."""
    named: dict[str, Named] = {}
    for rules in save.families.values():
        for key, one in services(rules).items():
            named.setdefault(key, one).addresses |= one.addresses
    listed: list[Service] = dump.of("Service")
    theirs = {meta.key(one): one for one in listed if _has_rules(one)}
    if not theirs.keys() & named.keys():
        raise InputError([_nothing_in_common(dump, theirs, save, named)])
    lacking = [key for key, one in named.items() if not _is_in(one, theirs.get(key))]
    telling = [key for key in named if key not in _EVERYWHERE] or list(named)
    others = [key for key in lacking if key in telling]
    if 2 * len(others) > len(telling):
        raise InputError([_another(others, len(telling), named, theirs)])
    return [
        f"{named[key].file}:{named[key].line}: names Service {key}, which the objects do not have"
        for key in lacking
    ]


def _has_rules(service: Service) -> bool:
    return (meta.spec(service).get("clusterIP") or "None") != "None"


def _is_in(named: Named, service: Service | None) -> bool:
    """Whether rules name a Service with one of its addresses, or with none."""
    if service is None:
        return False
    spec = meta.spec(service)
    known = {*(spec.get("clusterIPs") or ()), spec.get("clusterIP", "")}
    return not named.addresses or bool(named.addresses & known)


def _nothing_in_common(
    dump: Dump, theirs: dict[str, Service], save: Save, named: dict[str, Named]
) -> Problem:
    files = ", ".join(save.files)
    key = next(iter(theirs), "")
    if not key:
        return Problem(files, 0, "", "has rules, and the objects have no Service", HINT)
    file, line = dump.place("Service", key)
    others = f", nor has one of {len(theirs) - 1} more" if len(theirs) > 1 else ""
    more = "" if named else ": no rule there is kube-proxy's"
    said = f"Service {key} has no rule in {files}{others}{more}"
    return Problem(file, line, "", f"{said}; another cluster's?", HINT)


def _another(
    others: Sequence[str], count: int, named: dict[str, Named], theirs: dict[str, Service]
) -> Problem:
    first = named[others[0]]
    how = "at another address" if others[0] in theirs else "not at all"
    more = f", nor {len(others) - 1} more of {count}" if len(others) > 1 else ""
    said = f"names Service {others[0]}, which the objects have {how}{more}; another cluster's?"
    return Problem(first.file, first.line, "", said, HINT)
