"""The endpoints behind what an Ingress names: a Service, and one of its ports by number or name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from netlab.ingress.model import Backend, World
from netlab.objects import meta
from netlab.objects.addresses import join_host_port
from netlab.objects.types import (
    EndpointSlice,
    IngressServiceBackend,
    Service,
    ServicePort,
)

NOWHERE = "255.255.255.255"
"""An address that no connection can be made to, which is found out at once (502): the balancer of
ingress-nginx takes no name for an endpoint either, and is left with one that leads nowhere."""


class Unresolved(Exception):
    """There is no such Service, or none with such a port: `reason` and message of an Event."""

    def __init__(self, reason: str, message: str, backend: Backend) -> None:
        super().__init__(message)
        self.reason = reason
        self.backend = backend


def backend(
    named: IngressServiceBackend, namespace: str, world: World, *, by_cluster_ip: bool = False
) -> Backend:
    """The backend that an Ingress of a namespace means; `Unresolved` has one without endpoints."""
    name, port = named["name"], named.get("port") or {}
    wanted = str(port.get("name") or port.get("number") or "")
    empty = Backend(f"{namespace}.{name}.{wanted}", namespace, name, wanted)
    key = f"{namespace}/{name}"
    service = world.service(key)
    if service is None:
        text = f'Error obtaining Endpoints for Service "{key}": no such Service'
        raise Unresolved("ServiceNotFound", text, empty)
    if meta.spec(service).get("type") == "ExternalName":
        return _external(empty, service, wanted)
    found = _port(service, wanted)
    if found is None:
        listed = ", ".join(sorted(_ports(service))) or "none"
        text = f'Service "{key}" has no port "{wanted}" (it has {listed})'
        raise Unresolved("PortNotFound", text, empty)
    if by_cluster_ip:
        return _with(
            empty, [join_host_port(str(meta.spec(service).get("clusterIP")), found["port"])]
        )
    return _with(empty, endpoints(world.slices(key), found))


def _with(backend_: Backend, servers: Sequence[str]) -> Backend:
    return Backend(
        backend_.name, backend_.namespace, backend_.service, backend_.port, tuple(servers)
    )


def _external(empty: Backend, service: Service, wanted: str) -> Backend:
    """The name outside: a number is its port; a name, that of the Service's port, if it has one."""
    found = _port(service, wanted)
    number = str(found["port"]) if found else wanted if wanted.isdecimal() else "80"
    host = str(meta.spec(service).get("externalName") or "").rstrip(".")
    external = f"{host}:{number}"
    return Backend(empty.name, empty.namespace, empty.service, empty.port, external=external)


def _port(service: Service, wanted: str) -> ServicePort | None:
    """By number, by number or name of what it leads to, by name; the first that fits."""
    for port in meta.spec(service).get("ports") or ():
        if wanted in (str(port["port"]), str(port.get("targetPort", "")), port.get("name") or ""):
            return port
    return None


def _ports(service: Service) -> Iterator[str]:
    for port in meta.spec(service).get("ports") or ():
        yield f"{port['port']} ({port['name']})" if port.get("name") else str(port["port"])


def endpoints(
    slices: Sequence[EndpointSlice], port: ServicePort, protocol: str = "TCP"
) -> list[str]:
    """`address:port` of all that are ready, as getEndpointsFromSlices of ingress-nginx finds them.

    The name of an endpoint that is one (of `addressType: FQDN`) is never asked for: `NOWHERE`.
    """
    return sorted(
        {
            join_host_port(address if one.get("addressType") != "FQDN" else NOWHERE, number)
            for one in slices
            for number in _numbers(one, port, protocol)
            for endpoint in one.get("endpoints") or ()
            if (endpoint.get("conditions") or {}).get("ready") is not False
            for address in endpoint["addresses"]
        }
    )


def _numbers(one: EndpointSlice, port: ServicePort, protocol: str) -> Iterator[int]:
    """A slice's ports that are this one of the Service's: of its name, if it has one; else those
    that the Service's own number stands in for."""
    target = port.get("targetPort")
    number = target if isinstance(target, int) else 0
    if not one.get("ports") and number:
        yield number
    name = port.get("name") or ""
    for each in one.get("ports") or ():
        if each.get("protocol", "TCP") == protocol:
            is_it = not name or name == (each.get("name") or "")
            if found := (each.get("port") or 0 if is_it else 0) or number:
                yield found
