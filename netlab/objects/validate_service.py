"""What a Service may say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from netlab.objects import fields, sloppy
from netlab.objects.meta import Object
from netlab.objects.numbers import whole
from netlab.objects.problems import FieldProblem, Path, duplicate, forbidden, invalid, required
from netlab.objects.service_updates import EXTERNAL_TYPES, needs_health_check_port

NODE_PORTS = range(30000, 32768)
_AFFINITY_SECONDS_MAX = 86400
_OF_HEALTH_CHECKS = (
    "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
)


def service(obj: Object) -> Iterator[FieldProblem]:
    """A Service's spec; that its addresses and ports are free is the allocator's to say."""
    spec: dict[str, Any] = obj.get("spec") or {}
    type_ = spec.get("type", "ClusterIP")
    if type_ == "ExternalName":
        yield from _external_name(spec)
    else:
        yield from _cluster_ips(spec, type_)
    yield from _ports(spec, type_)
    yield from fields.labels(("spec", "selector"), spec.get("selector") or {})
    yield from _affinity(spec)
    yield from _outside(spec, type_)


def is_headless(spec: dict[str, Any]) -> bool:
    """Whether the Service asks for no address of its own."""
    return spec.get("clusterIP") == "None" or (spec.get("clusterIPs") or [None])[0] == "None"


def _external_name(spec: dict[str, Any]) -> Iterator[FieldProblem]:
    path: Path = ("spec", "externalName")
    name = (spec.get("externalName") or "").rstrip(".")
    if not name:
        yield required(path)
    else:
        yield from fields.dns_subdomain(path, name)
    if spec.get("clusterIP"):
        yield forbidden(("spec", "clusterIP"), "may not be set when `type` is 'ExternalName'")


def _cluster_ips(spec: dict[str, Any], type_: str) -> Iterator[FieldProblem]:
    first = spec.get("clusterIP") or ""
    written = spec.get("clusterIPs") or []
    if is_headless(spec):
        if type_ in EXTERNAL_TYPES:
            yield invalid(
                ("spec", "clusterIP"), "None", f"may not be set to 'None' for {type_} services"
            )
        return
    if written and first and written[0] != first:
        yield invalid(("spec", "clusterIPs"), written, "first value must match `clusterIP`")
    rows: list[tuple[Path, str]] = [(("spec", "clusterIP"), first)]
    rows += [(("spec", "clusterIPs", index), text) for index, text in enumerate(written) if index]
    for path, text in rows:
        if text:
            yield from fields.lenient_address(path, text)
    families = spec.get("ipFamilies") or []
    for index, family in enumerate(families):
        if family in families[:index]:
            yield duplicate(("spec", "ipFamilies", index), family)


def _ports(spec: dict[str, Any], type_: str) -> Iterator[FieldProblem]:
    ports: list[dict[str, Any]] = spec.get("ports") or []
    if not ports and type_ != "ExternalName" and not is_headless(spec):
        yield required(("spec", "ports"))
    seen_names: set[str] = set()
    seen_ports: set[tuple[str, int]] = set()
    seen_node_ports: set[tuple[str, int]] = set()
    for index, port in enumerate(ports):
        path: Path = ("spec", "ports", index)
        yield from _port_name(path, port.get("name") or "", len(ports) > 1, seen_names)
        yield from _port(path, port, seen_ports)
        yield from _node_port(path, port, type_, seen_node_ports)
        if port.get("appProtocol"):
            yield from fields.qualified_name((*path, "appProtocol"), port["appProtocol"])


def _port_name(path: Path, name: str, needed: bool, seen: set[str]) -> Iterator[FieldProblem]:
    where: Path = (*path, "name")
    if not name:
        if needed:
            yield required(
                where, "", "a Service with several ports names each of them, e.g. name: http"
            )
        return
    yield from fields.dns_label(where, name)
    if name in seen:
        yield duplicate(where, name)
    seen.add(name)


def _port(path: Path, port: dict[str, Any], seen: set[tuple[str, int]]) -> Iterator[FieldProblem]:
    number = port.get("port")
    if number is None:
        return  # the schema has said so
    yield from fields.port_number((*path, "port"), number)
    if port.get("targetPort") != number:  # the default of it: said already
        yield from _target_port((*path, "targetPort"), port.get("targetPort"))
    key = (port.get("protocol") or "TCP", number)
    if key in seen:
        yield duplicate(path, {"protocol": key[0], "port": number})
    seen.add(key)


def _target_port(path: Path, target: int | str | None) -> Iterator[FieldProblem]:
    if isinstance(target, int):
        yield from fields.port_number(path, target)
    elif isinstance(target, str):
        number = whole(target)
        if number is not None:
            yield invalid(path, target, "must contain at least one letter (a-z)", f"write {number}")
        else:
            yield from fields.port_name(path, target)


def _node_port(
    path: Path, port: dict[str, Any], type_: str, seen: set[tuple[str, int]]
) -> Iterator[FieldProblem]:
    number = port.get("nodePort")
    where: Path = (*path, "nodePort")
    if not number:
        return
    if type_ not in EXTERNAL_TYPES:
        yield forbidden(
            where,
            f"may not be used when `type` is '{type_}'",
            "write type: NodePort, or leave it out",
        )
    elif number not in NODE_PORTS:
        yield invalid(
            where,
            number,
            "provided port is not in the valid range. The range of valid ports is "
            f"{NODE_PORTS.start}-{NODE_PORTS.stop - 1}",
        )
    key = (port.get("protocol") or "TCP", number)
    if key in seen:
        yield duplicate(where, number)
    seen.add(key)


def _affinity(spec: dict[str, Any]) -> Iterator[FieldProblem]:
    config = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
    seconds = config.get("timeoutSeconds")
    path: Path = ("spec", "sessionAffinityConfig")
    if spec.get("sessionAffinity") != "ClientIP":
        if config:
            yield forbidden(path, "must not be set when session affinity is None")
    elif seconds is not None and not 0 < seconds <= _AFFINITY_SECONDS_MAX:
        yield invalid(
            (*path, "clientIP", "timeoutSeconds"),
            seconds,
            f"must be greater than 0 and less than {_AFFINITY_SECONDS_MAX}",
        )


_LOAD_BALANCERS_OWN = (
    "loadBalancerSourceRanges",
    "allocateLoadBalancerNodePorts",
    "loadBalancerClass",
)


def _outside(spec: dict[str, Any], type_: str) -> Iterator[FieldProblem]:
    """What concerns traffic from outside the cluster."""
    for index, text in enumerate(spec.get("externalIPs") or []):
        yield from fields.reachable_address(("spec", "externalIPs", index), text)
    for index, text in enumerate(spec.get("loadBalancerSourceRanges") or []):
        plain = sloppy.standard_range(text.strip())
        yield from fields.cidr(("spec", "loadBalancerSourceRanges", index), plain)
    if type_ != "LoadBalancer":
        for field in _LOAD_BALANCERS_OWN:
            if spec.get(field):
                yield forbidden(("spec", field), "may only be used when `type` is 'LoadBalancer'")
    if spec.get("loadBalancerClass"):
        yield from fields.qualified_name(("spec", "loadBalancerClass"), spec["loadBalancerClass"])
    policy = spec.get("externalTrafficPolicy")
    if policy and type_ not in EXTERNAL_TYPES and not spec.get("externalIPs"):
        yield invalid(
            ("spec", "externalTrafficPolicy"),
            policy,
            "may only be set for externally-accessible services",
            "write type: NodePort or LoadBalancer, or leave it out",
        )
    if port := spec.get("healthCheckNodePort"):
        yield from fields.port_number(("spec", "healthCheckNodePort"), port)
        if not needs_health_check_port(spec):
            yield invalid(("spec", "healthCheckNodePort"), port, _OF_HEALTH_CHECKS)
