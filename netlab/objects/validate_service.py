"""What a Service may say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec.structs import replace

from netlab.objects import fields, sloppy
from netlab.objects.meta import Object
from netlab.objects.numbers import whole
from netlab.objects.problems import FieldProblem, Path, duplicate, forbidden, invalid, required
from netlab.objects.service_updates import EXTERNAL_TYPES, needs_health_check_port

NODE_PORTS = range(30000, 32768)
KUBELET_PORT = 10250
_AFFINITY_SECONDS_MAX = 86400
_OF_HEALTH_CHECKS = (
    "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
)


def service(obj: Object) -> Iterator[FieldProblem]:
    """A Service's spec, in the order of ValidateService; that its addresses and ports are free is
    the allocator's to say."""
    spec: dict[str, Any] = obj.get("spec") or {}
    type_ = spec.get("type", "ClusterIP")
    yield from _of_type(spec, type_)
    yield from _ports(spec)
    yield from fields.labels(("spec", "selector"), spec.get("selector") or {})
    yield from _affinity(spec)
    if type_ != "ExternalName":
        yield from _cluster_ips(spec)
    for index, text in enumerate(spec.get("externalIPs") or []):
        yield from fields.reachable_address(("spec", "externalIPs", index), text)
    yield from _node_ports(spec, type_)
    yield from _repeated(spec)
    yield from _outside(spec, type_)


def is_headless(spec: dict[str, Any]) -> bool:
    """Whether the Service asks for no address of its own."""
    return spec.get("clusterIP") == "None" or (spec.get("clusterIPs") or [None])[0] == "None"


def _of_type(spec: dict[str, Any], type_: str) -> Iterator[FieldProblem]:
    """What a Service of its type must say, and must not."""
    if not spec.get("ports") and type_ != "ExternalName" and not is_headless(spec):
        yield required(("spec", "ports"))
    if type_ == "LoadBalancer":
        for index, port in enumerate(spec.get("ports") or []):
            if port.get("port") == KUBELET_PORT:
                text = f"may not expose port {KUBELET_PORT} externally since it is used by kubelet"
                yield invalid(("spec", "ports", index), KUBELET_PORT, text)
    if type_ in EXTERNAL_TYPES and is_headless(spec):
        text = f"may not be set to 'None' for {type_} services"
        yield invalid(("spec", "clusterIPs", 0), "None", text)
    if type_ == "ExternalName":
        yield from _external_name(spec)


def _external_name(spec: dict[str, Any]) -> Iterator[FieldProblem]:
    for field in ("clusterIPs", "ipFamilies", "ipFamilyPolicy"):
        if spec.get(field) or (field == "clusterIPs" and spec.get("clusterIP")):
            yield forbidden(("spec", field), "may not be set for ExternalName services")
    path: Path = ("spec", "externalName")
    name = (spec.get("externalName") or "").removesuffix(".")
    if not name:
        yield required(path)
    else:
        yield from fields.dns_subdomain(path, name)


def _cluster_ips(spec: dict[str, Any]) -> Iterator[FieldProblem]:
    first = spec.get("clusterIP") or ""
    written = spec.get("clusterIPs") or []
    path: Path = ("spec", "clusterIPs")
    if written and first and written[0] != first:
        yield invalid(path, written, "first value must match `clusterIP`")
    families = spec.get("ipFamilies") or []
    for index, family in enumerate(families):
        if family in families[:index]:
            yield duplicate(("spec", "ipFamilies", index), family)
    if is_headless(spec):
        if len(written) > 1:
            yield invalid(path, written, "'None' must be the first and only value")
        return
    faults = [each for i, text in enumerate(written or [first]) for each in _cluster_ip(i, text)]
    yield from faults
    if len(written) > 2:
        yield invalid(path, written, "may only hold up to 2 values")
    families_of = {read.version for text in written if (read := sloppy.read(text)) is not None}
    if not faults and len(written) > 1 and len(families_of) == 1:
        yield invalid(path, written, "may specify no more than one IP for each IP family")


def _cluster_ip(index: int, text: str) -> Iterator[FieldProblem]:
    """An address, which the API server always names as one of `clusterIPs`."""
    if text:
        written = ("spec", "clusterIP") if index == 0 else None
        for problem in fields.lenient_address(("spec", "clusterIPs", index), text):
            yield replace(problem, written=written)


def _ports(spec: dict[str, Any]) -> Iterator[FieldProblem]:
    ports: list[dict[str, Any]] = spec.get("ports") or []
    seen: set[str] = set()
    for index, port in enumerate(ports):
        path: Path = ("spec", "ports", index)
        yield from _port_name(path, port.get("name") or "", len(ports) > 1, seen)
        yield from _port(path, port)
        if port.get("appProtocol"):
            yield from fields.qualified_name((*path, "appProtocol"), port["appProtocol"])


def _repeated(spec: dict[str, Any]) -> Iterator[FieldProblem]:
    """Ports that stand there twice: of nodes, and then the Service's own."""
    for field in ("nodePort", "port"):
        seen: set[tuple[str, int]] = set()
        for index, port in enumerate(spec.get("ports") or []):
            if not (number := port.get(field)):
                continue
            key = (port.get("protocol") or "TCP", number)
            if key in seen and field == "nodePort":
                yield duplicate(("spec", "ports", index, field), number)
            elif key in seen:
                yield duplicate(("spec", "ports", index), {"protocol": key[0], "port": number})
            seen.add(key)


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


def _port(path: Path, port: dict[str, Any]) -> Iterator[FieldProblem]:
    number = port.get("port")
    if number is None:
        return  # the schema has said so
    yield from fields.port_number((*path, "port"), number)
    if port.get("targetPort") != number:  # the default of it: said already
        yield from _target_port((*path, "targetPort"), port.get("targetPort"))


def _target_port(path: Path, target: int | str | None) -> Iterator[FieldProblem]:
    if isinstance(target, int):
        yield from fields.port_number(path, target)
    elif isinstance(target, str):
        number = whole(target)
        if number is not None:
            yield invalid(path, target, "must contain at least one letter (a-z)", f"write {number}")
        else:
            yield from fields.port_name(path, target)


def _node_ports(spec: dict[str, Any], type_: str) -> Iterator[FieldProblem]:
    for index, port in enumerate(spec.get("ports") or []):
        number, where = port.get("nodePort"), ("spec", "ports", index, "nodePort")
        if number and type_ not in EXTERNAL_TYPES:
            yield forbidden(
                where,
                f"may not be used when `type` is '{type_}'",
                "write type: NodePort, or leave it out",
            )
        elif number and number not in NODE_PORTS:
            yield invalid(
                where,
                number,
                "provided port is not in the valid range. The range of valid ports is "
                f"{NODE_PORTS.start}-{NODE_PORTS.stop - 1}",
            )


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
    for field in _LOAD_BALANCERS_OWN if type_ != "LoadBalancer" else ():
        if spec.get(field) not in (None, "", []):
            yield forbidden(("spec", field), "may only be used when `type` is 'LoadBalancer'")
    for index, text in enumerate(spec.get("loadBalancerSourceRanges") or []):
        plain = sloppy.standard_range(text.strip())
        yield from fields.cidr(("spec", "loadBalancerSourceRanges", index), plain)
    if spec.get("loadBalancerClass") and type_ == "LoadBalancer":
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
        if needs_health_check_port(spec):
            yield from fields.port_number(("spec", "healthCheckNodePort"), port)
        else:
            yield invalid(("spec", "healthCheckNodePort"), port, _OF_HEALTH_CHECKS)
