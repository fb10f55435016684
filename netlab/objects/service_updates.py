"""What an update of a Service leaves unsaid: allocated values stay, those of another type go."""

from __future__ import annotations

from typing import Any

from netlab.objects import meta
from netlab.objects.meta import Object

Spec = dict[str, Any]

EXTERNAL_TYPES = ("NodePort", "LoadBalancer")
"""Types of Services that are reached from without the cluster."""


def needs_cluster_ip(spec: Spec) -> bool:
    """Every type but ExternalName (a headless one needs the answer "None")."""
    return spec.get("type") != "ExternalName"


def needs_node_ports(spec: Spec) -> bool:
    """NodePort, and LoadBalancer unless it says that it does without."""
    if spec.get("type") == "LoadBalancer":
        return spec.get("allocateLoadBalancerNodePorts") is not False
    return spec.get("type") == "NodePort"


def needs_health_check_port(spec: Spec) -> bool:
    """LoadBalancer with externalTrafficPolicy Local: its node answers whether it has endpoints."""
    return spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


def inherit(new: Object, old: Object | None) -> None:
    """Settle, in place, the fields that the server owns; `old` is None on create."""
    spec, before = new.setdefault("spec", {}), meta.spec(old) if old else {}
    if not spec.get("healthCheckNodePort"):
        spec.pop("healthCheckNodePort", None)  # 0 asks for none in particular
    if old is not None:
        _keep_allocated(spec, before)
        _drop_unneeded(spec, before)
    _gather_cluster_ips(spec, before)


def _keep_allocated(spec: Spec, old: Spec) -> None:
    """A PUT that leaves out an address or a nodePort keeps the one there is."""
    if needs_cluster_ip(spec) and needs_cluster_ip(old):
        if not spec.get("clusterIP") and "clusterIP" in old:
            spec["clusterIP"] = old["clusterIP"]
        if not spec.get("clusterIPs") and spec.get("clusterIP") == old.get("clusterIP"):
            spec["clusterIPs"] = list(old.get("clusterIPs") or [])
    if needs_node_ports(spec) and needs_node_ports(old):
        _keep_node_ports(spec, old)
    if needs_health_check_port(spec) and needs_health_check_port(old):
        spec.setdefault("healthCheckNodePort", old.get("healthCheckNodePort"))


def _keep_node_ports(spec: Spec, old: Spec) -> None:
    """By the ports' names, as Kubernetes: a port whose number changes keeps its nodePort."""
    before = {port.get("name"): port.get("nodePort") for port in old.get("ports") or []}
    taken = _node_ports(spec)
    for port in spec.get("ports") or []:
        node_port = before.get(port.get("name"))
        if not port.get("nodePort") and node_port and node_port not in taken:
            port["nodePort"] = node_port


def _drop_unneeded(spec: Spec, old: Spec) -> None:
    """A change of type or affinity drops what belonged to the old one and was left as it was."""
    if not needs_cluster_ip(spec) and needs_cluster_ip(old):
        _drop_unchanged(spec, old, "clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy")
    if not needs_node_ports(spec) and needs_node_ports(old) and _same_node_ports(spec, old):
        for port in spec.get("ports") or []:
            port.pop("nodePort", None)
    if not needs_health_check_port(spec) and needs_health_check_port(old):
        _drop_unchanged(spec, old, "healthCheckNodePort")
    if spec.get("type") != "LoadBalancer" and old.get("type") == "LoadBalancer":
        _drop_unchanged(spec, old, "allocateLoadBalancerNodePorts", "loadBalancerClass")
    if spec.get("sessionAffinity") != "ClientIP":
        _drop_unchanged(spec, old, "sessionAffinityConfig")
    if spec.get("type") not in EXTERNAL_TYPES and not spec.get("externalIPs"):
        _drop_unchanged(spec, old, "externalTrafficPolicy")


def _drop_unchanged(spec: Spec, old: Spec, *fields: str) -> None:
    for field in fields:
        if spec.get(field) == old.get(field):
            spec.pop(field, None)


def _same_node_ports(spec: Spec, old: Spec) -> bool:
    return _node_ports(spec) <= _node_ports(old)


def _node_ports(spec: Spec) -> set[int]:
    return {port["nodePort"] for port in spec.get("ports") or [] if port.get("nodePort")}


def _gather_cluster_ips(spec: Spec, old: Spec) -> None:
    """Make `clusterIPs` and `clusterIP` agree where a client wrote only one of them."""
    several = [address for address in spec.pop("clusterIPs", None) or [] if address]
    if several:
        spec["clusterIPs"] = several
    single = spec.get("clusterIP")
    if several and several != old.get("clusterIPs"):
        spec.setdefault("clusterIP", several[0])
    elif single != old.get("clusterIP"):
        spec.pop("clusterIPs", None)
        if single:
            spec["clusterIPs"] = [single]
