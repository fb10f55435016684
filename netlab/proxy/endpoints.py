"""EndpointSlices of one Service → its endpoints by port name and protocol, merged, once each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from netlab.objects import meta
from netlab.objects.types import EndpointConditions, EndpointHints, EndpointSlice, ForNode, ForZone
from netlab.proxy import addresses
from netlab.proxy.addresses import Family
from netlab.proxy.services import PROTOCOLS, Complaint, is_proxied, unfit, valid_port

_ADDRESS_TYPE: dict[Family, str] = {"ipv4": "IPv4", "ipv6": "IPv6"}


class EndpointInfo(NamedTuple):
    """One address and port that a service port may send packets to."""

    text: str
    ip: str
    port: int
    local: bool
    ready: bool
    serving: bool
    terminating: bool
    zones: tuple[str, ...]
    nodes: tuple[str, ...]


PortKey = tuple[str, str]
"""A port's name and its protocol in lower case; both must agree with the Service's."""


def endpoints(
    slices: Iterable[EndpointSlice], family: Family, node_name: str, complaints: list[Complaint]
) -> dict[PortKey, list[EndpointInfo]]:
    """Endpoints of all slices of one Service, in the order of their `ip:port` text."""
    merged: dict[PortKey, dict[str, EndpointInfo]] = {}
    for endpoint_slice in slices:
        if endpoint_slice.get("addressType", "IPv4") != _ADDRESS_TYPE[family]:
            continue
        if not is_proxied(meta.labels(endpoint_slice)):
            continue
        ports = _ports(endpoint_slice, complaints)
        hosts = _hosts(endpoint_slice, family, node_name, complaints)
        for key, number in ports:
            into = merged.setdefault(key, {})
            for ip, rest in hosts:
                text = f"{ip}:{number}" if family == "ipv4" else f"[{ip}]:{number}"
                # A pod that ends may have its address given to the next one before it is gone:
                # of the two, the one that stays is meant.
                if text not in into or not rest[3]:
                    into[text] = EndpointInfo(text, ip, number, *rest)
    return {key: [into[text] for text in sorted(into)] for key, into in merged.items()}


def ready_here(by_port: Mapping[PortKey, Iterable[EndpointInfo]]) -> int:
    """How many ready addresses a Service has on this node: what its health check reports."""
    return len({ep.ip for found in by_port.values() for ep in found if ep.local and ep.ready})


def _about(endpoint_slice: EndpointSlice, field: str, message: str) -> Complaint:
    return Complaint("EndpointSlice", meta.key(endpoint_slice), field, message)


def _ports(endpoint_slice: EndpointSlice, complaints: list[Complaint]) -> list[tuple[PortKey, int]]:
    found = []
    for index, port in enumerate(endpoint_slice.get("ports") or ()):
        number = port.get("port")
        protocol = PROTOCOLS.get(port.get("protocol") or "TCP")
        if not valid_port(number) or protocol is None:
            field, wrong = (
                ("protocol", port.get("protocol")) if valid_port(number) else ("port", number)
            )
            complaints.append(
                _about(endpoint_slice, f"ports[{index}].{field}", unfit(wrong, field))
            )
            continue
        found.append(((port.get("name") or "", protocol), number))
    return found


_Rest = tuple[bool, bool, bool, bool, tuple[str, ...], tuple[str, ...]]


def _hosts(
    endpoint_slice: EndpointSlice, family: Family, node_name: str, complaints: list[Complaint]
) -> list[tuple[str, _Rest]]:
    """Each endpoint's address; whether local, ready, serving, terminating; zone and node hints."""
    found = []
    for index, endpoint in enumerate(endpoint_slice.get("endpoints") or ()):
        # One address an endpoint is all that was ever defined; kube-proxy takes the first.
        claimed = next(iter(endpoint.get("addresses") or ()), None)
        ip = addresses.address(claimed, family)
        if ip is None:
            field = f"endpoints[{index}].addresses"
            complaints.append(_about(endpoint_slice, field, unfit(claimed, f"{family} address")))
            continue
        conditions = endpoint.get("conditions") or {}
        hints = endpoint.get("hints")
        local = bool(node_name) and endpoint.get("nodeName") == node_name
        found.append((ip, (local, *_conditions(conditions), *_hints(hints))))
    return found


def _conditions(conditions: EndpointConditions) -> tuple[bool, bool, bool]:
    """Ready unless denied, serving like ready unless said, terminating only if said."""
    ready = conditions.get("ready") is not False
    serving = conditions.get("serving")
    return ready, ready if serving is None else serving, bool(conditions.get("terminating"))


def _hints(hints: EndpointHints | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if not hints:
        return (), ()
    return _names(hints.get("forZones")), _names(hints.get("forNodes"))


def _names(hints: Iterable[ForZone | ForNode] | None) -> tuple[str, ...]:
    return tuple(hint["name"] for hint in hints or () if hint.get("name"))
