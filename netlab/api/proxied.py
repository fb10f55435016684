"""Where a `proxy` request leads: the address and port that `[scheme:]name[:port]` stands for.

As the ResourceLocations of pkg/registry/core; reads the registry and asks nobody.
"""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from netlab.api.call import Call
from netlab.errors import ApiError, BadRequest
from netlab.objects import meta
from netlab.objects.addresses import join_host_port
from netlab.objects.meta import Object
from netlab.objects.numbers import whole

KUBELET_PORT = 10250

_PORTS = {"http": 80, "https": 443}


class Location(Struct, frozen=True):
    """A server: `host` is an address."""

    scheme: str
    host: str
    port: int
    is_kubelet: bool = False

    @property
    def authority(self) -> str:
        """`10.244.1.2:8080`, `[fd00::2]:80`."""
        return join_host_port(self.host, self.port)


class NoEndpoints(ApiError):
    """A Service leads nowhere."""

    code, reason = 503, "ServiceUnavailable"


class _Named(Struct, frozen=True):
    """`[scheme:]name[:port]`, taken apart."""

    scheme: str
    name: str
    port: str


def location(call: Call) -> Location:
    """Where a request for a pod, a service or a node leads; it has to exist."""
    kind, named = call.target.kind.kind, _named(call.target.name, call.target.kind.singular)
    found = _LOCATIONS[kind](call, named)
    _refuse_odd(found.host)
    return found


def _named(text: str, kind: str) -> _Named:
    parts = text.split(":")
    if len(parts) == 3 and parts[0] in ("", "http", "https") and parts[1]:
        return _Named(parts[0] or "http", parts[1], parts[2])
    if len(parts) < 3 and parts[0]:
        return _Named("http", parts[0], parts[1] if len(parts) == 2 else "")
    raise BadRequest(f'invalid {kind} request "{text}"')


def _refuse_odd(host: str) -> None:
    """Only what packets of the lab's network can reach: no loopback, no link's own addresses."""
    address = ipaddress.ip_address(host)
    odd = ("is_loopback", "is_link_local", "is_multicast", "is_unspecified")
    if any(getattr(address, each) for each in odd) or host == "255.255.255.255":
        raise BadRequest("address not allowed")


def _of_pod(call: Call, named: _Named) -> Location:
    pod = call.registry.get("Pod", call.target.namespace or "", named.name)
    address = meta.status(pod).get("podIP")
    if not address:
        raise BadRequest("address not allowed")
    port = named.port or next(_container_ports(pod), "") or str(_PORTS[named.scheme])
    return Location(named.scheme, str(address), _number(port))


def _container_ports(pod: Object) -> Iterator[str]:
    for container in meta.spec(pod).get("containers") or []:
        for port in container.get("ports") or []:
            yield str(port["containerPort"])


def _number(port: str) -> int:
    number = whole(port)
    if number is None or not 0 < number < 65536:
        raise NoEndpoints(
            f"error trying to reach service: dial tcp: lookup tcp/{port}: unknown port"
            if number is None
            else f"error trying to reach service: dial tcp: address {port}: invalid port"
        )
    return number


def _of_service(call: Call, named: _Named) -> Location:
    space, wanted = call.target.namespace or "", named.port
    if (number := whole(named.port)) is not None:
        service = call.registry.get("Service", space, named.name)
        wanted = _port_name(service, number)
    endpoints = call.registry.get("Endpoints", space, named.name)
    subsets = list(endpoints.get("subsets") or [])
    for subset in random.sample(subsets, len(subsets)):
        addresses = subset.get("addresses") or []
        for port in subset.get("ports") or []:
            if (port.get("name") or "") != wanted:
                continue
            for address in random.sample(addresses, len(addresses)):
                if _is_of_pod(call, address):
                    return Location(named.scheme, str(address["ip"]), int(port["port"]))
    raise NoEndpoints(f'no endpoints available for service "{named.name}"')


def _port_name(service: Object, number: int) -> str:
    for port in meta.spec(service).get("ports") or []:
        if port["port"] == number:
            return str(port.get("name") or "")
    raise NoEndpoints(f'no service port {number} found for service "{meta.name(service)}"')


def _is_of_pod(call: Call, address: dict[str, Any]) -> bool:
    """Whether an endpoint's address is the pod's that it names: anybody may write one."""
    target, space = address.get("targetRef") or {}, call.target.namespace or ""
    if target.get("namespace") != space:
        return False
    pod = call.registry.store.get("Pod", space, str(target.get("name")))
    ips = meta.status(pod or {}).get("podIPs") or []
    return any(entry.get("ip") == address.get("ip") for entry in ips)


def _of_node(call: Call, named: _Named) -> Location:
    node = call.registry.get("Node", "", named.name)
    addresses = meta.status(node).get("addresses") or []
    inner = [str(one["address"]) for one in addresses if one.get("type") == "InternalIP"]
    if not inner:
        raise BadRequest("address not allowed")
    if named.port in ("", str(KUBELET_PORT)):
        return Location("https", inner[0], KUBELET_PORT, is_kubelet=True)
    return Location(named.scheme, inner[0], _number(named.port))


_LOCATIONS = {"Pod": _of_pod, "Service": _of_service, "Node": _of_node}
