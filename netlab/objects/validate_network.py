"""What EndpointSlices, Endpoints, ServiceCIDRs and IPAddresses may say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from netlab.objects import fields, meta, sloppy
from netlab.objects.addresses import canonical
from netlab.objects.meta import Object
from netlab.objects.problems import FieldProblem, Path, duplicate, invalid, required
from netlab.objects.ranges import family

Mapping = dict[str, Any]

IMMUTABLE = "field is immutable"
MAX_ENDPOINTS = 1000
MAX_HINTS = 8
MAX_ADDRESSES = 100


def endpoint_slice(obj: Object) -> Iterator[FieldProblem]:
    """An EndpointSlice: addresses of one type, ports with names of their own."""
    type_ = obj.get("addressType") or ""
    endpoints_ = obj.get("endpoints") or []
    yield from fields.at_most(("endpoints",), endpoints_, MAX_ENDPOINTS)
    for index, endpoint in enumerate(endpoints_):
        yield from _endpoint(("endpoints", index), endpoint, type_)
    yield from _slice_ports(obj.get("ports") or [])


def _endpoint(path: Path, endpoint: Mapping, type_: str) -> Iterator[FieldProblem]:
    addresses = endpoint.get("addresses") or []
    where: Path = (*path, "addresses")
    if not addresses:
        yield required(where, "must contain at least 1 address")
    elif len(addresses) > MAX_ADDRESSES:
        yield invalid(where, len(addresses), f"must have at most {MAX_ADDRESSES} items")
    for index, text in enumerate(addresses):
        if type_ == "FQDN":
            yield from fields.dns_subdomain((*where, index), text)
        elif sloppy.read(text) is None or (type_ and family(sloppy.standard(text)) != type_):
            yield invalid((*where, index), text, f"must be a valid {type_ or 'IP'} address")
        else:
            yield from fields.reachable_address((*where, index), text)
    yield from _names_of(path, endpoint)
    yield from _hints((*path, "hints"), endpoint.get("hints") or {})


def _hints(path: Path, hints: Mapping) -> Iterator[FieldProblem]:
    rules = (("forZones", fields.label_value), ("forNodes", fields.dns_subdomain))
    for field, rule in rules:
        names = [hint.get("name") or "" for hint in hints.get(field) or []]
        if len(names) > MAX_HINTS:
            yield invalid((*path, field), len(names), f"must have at most {MAX_HINTS} items")
        for index, name in enumerate(names):
            where: Path = (*path, field, index, "name")
            yield from rule(where, name)
            if name in names[:index]:
                yield duplicate(where, name)


def _names_of(path: Path, endpoint: Mapping) -> Iterator[FieldProblem]:
    """The host name, which DNS serves, and the node's."""
    if endpoint.get("hostname"):
        yield from fields.dns_label((*path, "hostname"), endpoint["hostname"])
    if endpoint.get("nodeName"):
        yield from fields.dns_subdomain((*path, "nodeName"), endpoint["nodeName"])


def _slice_ports(ports: list[Mapping]) -> Iterator[FieldProblem]:
    seen: set[str] = set()
    for index, port in enumerate(ports):
        name = port.get("name") or ""
        if name in seen:
            yield duplicate(("ports", index, "name"), name)
        seen.add(name)
        if name:
            yield from fields.dns_label(("ports", index, "name"), name)
        yield from _port(("ports", index), port)


def endpoints(obj: Object) -> Iterator[FieldProblem]:
    """Legacy Endpoints."""
    for index, subset in enumerate(obj.get("subsets") or []):
        path: Path = ("subsets", index)
        for field in ("addresses", "notReadyAddresses"):
            for position, entry in enumerate(subset.get(field) or []):
                where: Path = (*path, field, position)
                yield from fields.reachable_address((*where, "ip"), entry.get("ip") or "")
                yield from _names_of(where, entry)
        for position, port in enumerate(subset.get("ports") or []):
            if port.get("name"):
                yield from fields.dns_label((*path, "ports", position, "name"), port["name"])
            yield from _port((*path, "ports", position), port)


def _port(path: Path, port: Mapping) -> Iterator[FieldProblem]:
    if port.get("port") is not None:
        yield from fields.port_number((*path, "port"), port["port"])
    if port.get("appProtocol"):
        yield from fields.qualified_name((*path, "appProtocol"), port["appProtocol"])


def service_cidr(obj: Object) -> Iterator[FieldProblem]:
    """A ServiceCIDR: one range of each family at most."""
    path: Path = ("spec", "cidrs")
    cidrs = meta.spec(obj).get("cidrs") or []
    if not cidrs:
        yield required(path, "at least one CIDR required")
    elif len(cidrs) > 2:
        yield invalid(path, cidrs, "may only hold up to 2 values")
    else:
        problems = [one for i, text in enumerate(cidrs) for one in fields.cidr((*path, i), text)]
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
    parent = meta.spec(obj).get("parentRef") or {}
    if parent.get("group"):
        yield from fields.dns_subdomain((*path, "group"), parent["group"])
    for field in ("resource", "name"):
        if not parent.get(field):
            yield required((*path, field))
    for field in ("resource", "name", "namespace"):
        yield from fields.path_segment((*path, field), parent.get(field) or "")


def ip_address_name(path: Path, text: str) -> Iterator[FieldProblem]:
    """Its name is the address, in the one form that an API server writes."""
    problems = list(fields.address(path, text))
    yield from problems
    if not problems and text != canonical(text):
        yield invalid(path, text, f'must be in canonical form ("{canonical(text)}")')
