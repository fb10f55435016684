"""What EndpointSlices, Endpoints, ServiceCIDRs and IPAddresses may say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec.structs import replace

from netlab.objects import fields, meta, sloppy
from netlab.objects.meta import Object
from netlab.objects.problems import FieldProblem, Path, duplicate, invalid, required, too_many
from netlab.objects.ranges import family

Mapping = dict[str, Any]

IMMUTABLE = "field is immutable"
MAX_ENDPOINTS = 1000
MAX_HINTS = 8
MAX_ADDRESSES = 100
MAX_PORTS = 20000
MAX_TOPOLOGY = 16


def endpoint_slice(obj: Object) -> Iterator[FieldProblem]:
    """An EndpointSlice: ports with names of their own, addresses of one type."""
    yield from _slice_ports(obj.get("ports") or [])
    found = obj.get("endpoints") or []
    if len(found) > MAX_ENDPOINTS:
        yield too_many(("endpoints",), len(found), MAX_ENDPOINTS)
        return
    for index, endpoint in enumerate(found):
        yield from _endpoint(("endpoints", index), endpoint, obj.get("addressType") or "")


def _endpoint(path: Path, endpoint: Mapping, type_: str) -> Iterator[FieldProblem]:
    addresses = endpoint.get("addresses") or []
    where: Path = (*path, "addresses")
    if not addresses:
        yield required(where, "must contain at least 1 address")
    yield from fields.at_most(where, addresses, MAX_ADDRESSES)
    for index, text in enumerate(addresses):
        yield from _address(where, index, text, type_)
    if endpoint.get("nodeName"):
        yield from fields.dns_subdomain((*path, "nodeName"), endpoint["nodeName"])
    topology = endpoint.get("deprecatedTopology") or {}
    yield from fields.at_most((*path, "deprecatedTopology"), topology, MAX_TOPOLOGY)
    yield from fields.labels((*path, "deprecatedTopology"), topology)
    if endpoint.get("hostname"):
        yield from fields.dns_label((*path, "hostname"), endpoint["hostname"])
    yield from _hints((*path, "hints"), endpoint.get("hints") or {})


def _address(path: Path, index: int, text: str, type_: str) -> Iterator[FieldProblem]:
    """An endpoint's address of its slice's type; of IPv6 there are no old forms."""
    where: Path = (*path, index)
    if type_ == "FQDN":
        yield from fields.full_domain_name(where, text)
    elif type_ == "IPv6" and (faults := list(fields.strict_address(where, text))):
        yield from faults
    elif type_ in ("IPv4", "IPv6"):
        if sloppy.read(text) is not None and family(sloppy.standard(text)) != type_:
            detail = f"must be an {type_} address"
            yield replace(invalid(path, text, detail), written=where)
        yield from fields.reachable_address(where, text)


def _hints(path: Path, hints: Mapping) -> Iterator[FieldProblem]:
    rules = (("forZones", fields.label_value), ("forNodes", fields.dns_subdomain))
    for field, rule in rules:
        named = [hint.get("name") or "" for hint in hints.get(field) or []]
        if len(named) > MAX_HINTS:
            yield too_many((*path, field), len(named), MAX_HINTS)
            return
        for index, name in enumerate(named):
            where: Path = (*path, field, index, "name")
            if name in named[:index]:
                yield duplicate(where, name)
            yield from rule(where, name)


def _slice_ports(ports: list[Mapping]) -> Iterator[FieldProblem]:
    if len(ports) > MAX_PORTS:
        yield too_many(("ports",), len(ports), MAX_PORTS)
        return
    seen: set[str] = set()
    for index, port in enumerate(ports):
        name = port.get("name") or ""
        if name:
            yield from fields.dns_label(("ports", index, "name"), name)
        if name in seen:
            yield duplicate(("ports", index, "name"), name)
        seen.add(name)
        yield from _port(("ports", index), port)


def endpoints(obj: Object) -> Iterator[FieldProblem]:
    """Legacy Endpoints."""
    for index, subset in enumerate(obj.get("subsets") or []):
        path: Path = ("subsets", index)
        if not subset.get("addresses") and not subset.get("notReadyAddresses"):
            yield required(path, "must specify `addresses` or `notReadyAddresses`")
        for field in ("addresses", "notReadyAddresses"):
            for position, entry in enumerate(subset.get(field) or []):
                yield from _legacy_address((*path, field, position), entry)
        ports = subset.get("ports") or []
        for position, port in enumerate(ports):
            yield from _legacy_port((*path, "ports", position), port, len(ports) > 1)


def _legacy_address(path: Path, entry: Mapping) -> Iterator[FieldProblem]:
    address = entry.get("ip") or ""
    yield from fields.lenient_address((*path, "ip"), address)
    if entry.get("hostname"):
        yield from fields.dns_label((*path, "hostname"), entry["hostname"])
    if entry.get("nodeName"):
        yield from fields.dns_subdomain((*path, "nodeName"), entry["nodeName"])
    yield from fields.for_others((*path, "ip"), address)


def _legacy_port(path: Path, port: Mapping, is_one_of_some: bool) -> Iterator[FieldProblem]:
    if port.get("name"):
        yield from fields.dns_label((*path, "name"), port["name"])
    elif is_one_of_some:
        yield required((*path, "name"))
    yield from _port(path, port)


def _port(path: Path, port: Mapping) -> Iterator[FieldProblem]:
    if port.get("port") is not None:
        yield from fields.port_number((*path, "port"), port["port"])
    if port.get("appProtocol"):
        yield from fields.qualified_name((*path, "appProtocol"), port["appProtocol"])


def service_cidr(obj: Object) -> Iterator[FieldProblem]:
    """A ServiceCIDR: one range of each family at most."""
    path: Path = ("spec", "cidrs")
    spec = meta.spec(obj)
    cidrs = spec.get("cidrs") or []
    if not cidrs:
        yield required(path, "at least one CIDR required")
    elif len(cidrs) > 2:
        yield invalid(path, {"CIDRs": cidrs}, "may only hold up to 2 values")
    else:
        problems = [
            one for i, text in enumerate(cidrs) for one in fields.strict_cidr((*path, i), text)
        ]
        yield from problems
        if not problems and len(cidrs) == 2 and family(cidrs[0]) == family(cidrs[1]):
            yield invalid(path, cidrs, _ONE_OF_EACH)


_ONE_OF_EACH = (
    "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64"
)


def service_cidr_update(new: Object, old: Object) -> Iterator[FieldProblem]:
    """Its ranges stay; one of the other family may be added to the only one."""
    path: Path = ("spec", "cidrs")
    was, wanted = (meta.spec(obj).get("cidrs") or [] for obj in (old, new))
    if len(was) != len(wanted) and (len(was), len(wanted)) != (1, 2):
        yield invalid(path, wanted, IMMUTABLE)
        return
    for index, text in enumerate(was):
        if wanted[index] != text:
            yield invalid((*path, index), wanted[index], IMMUTABLE)


def ip_address(obj: Object) -> Iterator[FieldProblem]:
    """An IPAddress: what it belongs to."""
    path: Path = ("spec", "parentRef")
    parent = meta.spec(obj).get("parentRef")
    if parent is None:
        yield required(path)
        return
    if parent.get("group"):
        yield from fields.dns_subdomain((*path, "group"), parent["group"])
    for field in ("resource", "name", "namespace"):
        if parent.get(field):
            yield from fields.path_segment((*path, field), parent[field])
        elif field != "namespace":
            yield required((*path, field))


def ip_address_name(path: Path, text: str) -> Iterator[FieldProblem]:
    """Its name is the address, in the one form that an API server writes."""
    yield from fields.strict_address(path, text)
