"""A lab as a picture: its networks, nodes with their pods, Services and who backs them. Pure.

    outside → nodes, each with its pods in columns ← Services

Where there are many pods, those of a workload on a node are one box.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from netlab.graph.model import Arrow, Box, BoxKind, Group, Picture
from netlab.objects import meta
from netlab.objects.endpointslices import service_key
from netlab.objects.lab import Lab
from netlab.objects.loadbalancing import ingress_ips
from netlab.objects.podphase import is_pod_terminal
from netlab.objects.types import EndpointSlice, Pod, Service

MANY = 24
"""So many pods are drawn one by one."""

_COLUMN = 8
"""Boxes that stand one below the other in a node."""

_FEW = 3
"""So many addresses of one box are listed."""

NODES, OUTSIDE = "network nodes", "network outside"


class Objects(Struct, frozen=True):
    """What a picture is made of; pods that are on no node yet stand for themselves."""

    pods: Sequence[Pod] = ()
    services: Sequence[Service] = ()
    slices: Sequence[EndpointSlice] = ()


class _Pods(Struct):
    """Pods that are one box."""

    key: str
    name: str
    node: str
    pods: list[Pod]

    def box(self) -> Box:
        addresses = sorted({ip for pod in self.pods for ip in _ips(pod)}, key=_in_order)
        more = [f"… {len(addresses) - _FEW} more"] if len(addresses) > _FEW else []
        many = f"{len(self.pods)} pods" if len(self.pods) > 1 else ""
        said = ", ".join([*addresses[:_FEW], *more])
        lines = (self.name, many, said, _state(self.pods))
        kind: BoxKind = "pod" if any(map(meta.is_ready, self.pods)) else "bad"
        return Box(self.key, tuple(filter(None, lines)), kind)


def topology(lab: Lab, objects: Objects, *, folded: bool | None = None) -> Picture:
    """The picture of a lab; `folded` says whether replicas are one box (None: where many are)."""
    pods = [pod for pod in objects.pods if not is_pod_terminal(pod)]
    fold = len(pods) > MANY if folded is None else folded
    found = list(_together(pods, fold=fold))
    backs = tuple(_backed(objects, _owners(lab, found)))
    services = [one for one in objects.services if is_drawn(one)]
    drawn = {f"service {meta.key(one)}" for one in services}
    outside = _outside(lab)
    return Picture(
        title=f"lab {lab.name}: {lab.proxy_mode} mode, pods {', '.join(lab.pod_cidrs)}, "
        f"Services {', '.join(lab.service_cidrs)}",
        groups=(outside, *_nodes(lab, found)),
        boxes=(*_services(services, objects), *_homeless(lab, found)),
        arrows=(
            *_wires(lab),
            *_placed(lab, found),
            *(arrow for arrow in backs if arrow.head in drawn),
        ),
        columns=tuple(column for node in lab.nodes for column in _columns(node.name, found)),
        last=tuple(sorted(drawn)),
    )


def _outside(lab: Lab) -> Group:
    clients = (
        Box(f"client {one.name}", (one.name, *one.ips), "outside") for one in lab.external.clients
    )
    internet = Box("internet", ("internet", *lab.external.gateway_ips), "outside")
    return Group("outside", "outside the cluster", "outside", (*clients, internet))


def _nodes(lab: Lab, found: Sequence[_Pods]) -> Iterator[Group]:
    networks = (
        Box(OUTSIDE, ("external network", *lab.external.cidrs), "network"),
        Box(NODES, ("node network", *lab.node_network), "network"),
    )
    yield Group("networks", "networks", "plain", networks)
    for node in lab.nodes:
        lines = [node.name, f"eth0 {', '.join(node.internal_ips)}"]
        lines += [f"eth1 {', '.join(node.external_ips)}"] if node.external_ips else []
        pods = tuple(each.box() for each in found if each.node == node.name)
        bridge = Group(f"bridge {node.name}", f"cni0 {', '.join(node.pod_cidrs)}", "pods", pods)
        box = Box(f"node {node.name}", tuple(lines), "node")
        inner = (bridge,) if pods else ()
        yield Group(node.name, f"{node.name} ({node.role})", "node", (box,), inner)


def _homeless(lab: Lab, found: Sequence[_Pods]) -> Iterator[Box]:
    names = {node.name for node in lab.nodes}
    yield from (each.box() for each in found if each.node not in names)


def _services(services: Sequence[Service], objects: Objects) -> Iterator[Box]:
    """Whom nobody answers for stands out."""
    ready: dict[str, bool] = {}
    for slice_ in objects.slices:
        key = service_key(slice_) or ""
        which = [_is_ready(each) for each in slice_.get("endpoints") or []]
        ready[key] = ready.get(key, False) or any(which)
    for service in services:
        box = service_box(service)
        if not ready.get(meta.key(service)):
            box = replace(box, lines=(*box.lines, "no endpoint is ready"), kind="bad")
        yield box


def service_box(service: Service) -> Box:
    """A Service, with its addresses and ports."""
    spec = meta.spec(service)
    ports = ", ".join(_port(each) for each in spec.get("ports") or [])
    address = spec.get("clusterIP") or ""
    shown = "headless" if address == "None" else address
    addresses = [shown, *ingress_ips(service), *(spec.get("externalIPs") or ())]
    lines = (_name(service), ", ".join(filter(None, addresses)), ports)
    return Box(f"service {meta.key(service)}", tuple(filter(None, lines)), "service")


def _port(port: Mapping[str, object]) -> str:
    at_nodes = f", nodes' {port['nodePort']}" if port.get("nodePort") else ""
    return f"{port.get('port')}/{port.get('protocol') or 'TCP'}{at_nodes}"


def is_drawn(service: Service) -> bool:
    """What DNS alone knows has no way that could be drawn."""
    return meta.spec(service).get("type") != "ExternalName"


def _wires(lab: Lab) -> Iterator[Arrow]:
    for client in lab.external.clients:
        yield Arrow(f"client {client.name}", OUTSIDE, kind="wire")
    yield Arrow("internet", OUTSIDE, kind="wire")
    for node in lab.nodes:
        yield Arrow(NODES, f"node {node.name}", "eth0", "wire")
        if node.external_ips:
            yield Arrow(OUTSIDE, f"node {node.name}", "eth1", "wire")


def _placed(lab: Lab, found: Sequence[_Pods]) -> Iterator[Arrow]:
    """From each node to its first column; the others follow from that."""
    for node in lab.nodes:
        for each in [one for one in found if one.node == node.name][:_COLUMN]:
            yield Arrow(f"node {node.name}", each.key, kind="wire")


def _columns(node: str, found: Sequence[_Pods]) -> Iterator[tuple[str, ...]]:
    keys = [each.key for each in found if each.node == node]
    yield from (tuple(keys[n : n + _COLUMN]) for n in range(0, len(keys), _COLUMN))
    yield ()


def _owners(lab: Lab, found: Sequence[_Pods]) -> dict[str, str]:
    """The box of each address that an endpoint may have."""
    at_nodes = {
        ip: f"node {node.name}"
        for node in lab.nodes
        for ip in (*node.internal_ips, *node.external_ips)
    }
    pods = {ip: each.key for each in found for pod in each.pods for ip in _addresses(pod)}
    return at_nodes | pods


def _backed(objects: Objects, owners: Mapping[str, str]) -> Iterator[Arrow]:
    """Who backs whom: each box and Service once, however many endpoints that are."""
    pairs: dict[tuple[str, str], list[bool]] = {}
    for slice_ in objects.slices:
        for endpoint in slice_.get("endpoints") or []:
            for address in endpoint.get("addresses") or []:
                if address in owners:
                    ready = _is_ready(endpoint)
                    pair = owners[address], f"service {service_key(slice_)}"
                    pairs.setdefault(pair, []).append(ready)
    for (owner, service), which in pairs.items():
        label = "" if all(which) else f"{sum(which)} of {len(which)} ready"
        yield Arrow(owner, service, label, "backs")


def _is_ready(endpoint: Mapping[str, Any]) -> bool:
    return (endpoint.get("conditions") or {}).get("ready") is not False


def _together(pods: Sequence[Pod], *, fold: bool) -> Iterator[_Pods]:
    """Pods by the box they are in."""
    found: dict[tuple[str, str, str], _Pods] = {}
    for pod in sorted(pods, key=meta.key):
        node = str(meta.spec(pod).get("nodeName") or "")
        owner = _owner(pod) if fold else ""
        what = (node, owner, "" if owner else meta.key(pod))
        if what not in found:
            name = f"{_prefix(pod)}{owner}" if owner else _name(pod)
            found[what] = _Pods(f"pods {' '.join(what)}", name, node, [])
        found[what].pods.append(pod)
    yield from found.values()


def _owner(pod: Pod) -> str:
    """What made it, by a name that rollouts keep; "" for nobody."""
    for owner in pod["metadata"].get("ownerReferences") or []:
        if owner.get("controller"):
            hashed = (pod["metadata"].get("labels") or {}).get("pod-template-hash")
            return str(owner["name"]).removesuffix(f"-{hashed}") if hashed else str(owner["name"])
    return ""


def _name(obj: Pod | Service) -> str:
    return f"{_prefix(obj)}{meta.name(obj)}"


def _prefix(obj: Pod | Service) -> str:
    space = meta.namespace(obj)
    return "" if space == "default" else f"{space}/"


def _ips(pod: Pod) -> list[str]:
    """What is said of its addresses."""
    return ["the node's network"] if meta.spec(pod).get("hostNetwork") else _addresses(pod)


def _addresses(pod: Pod) -> list[str]:
    """Its own: of one in its node's network, that node's are."""
    return [entry["ip"] for entry in meta.status(pod).get("podIPs") or []]


def _in_order(address: str) -> list[str]:
    """10.244.1.9 comes before 10.244.1.10."""
    return [f"{part:>4}" for part in address.split(".")]


def _state(pods: Sequence[Pod]) -> str:
    """What keeps them from being asked, if something does."""
    ready = sum(meta.is_ready(pod) for pod in pods)
    if ready == len(pods):
        return ""
    return "not ready" if len(pods) == 1 else f"{ready} of {len(pods)} ready"
