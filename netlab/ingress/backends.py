"""The endpoints behind what an Ingress names: a Service, and one of its ports by number or name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from netlab.ingress.model import Backend, World
from netlab.objects import meta
from netlab.objects.types import (
    EndpointSlice,
    IngressServiceBackend,
    Service,
    ServicePort,
)


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
        return _with(empty, [_at(str(meta.spec(service).get("clusterIP")), found["port"])])
    return _with(empty, _endpoints(world.slices(key), found.get("name") or ""))


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


def _endpoints(slices: Sequence[EndpointSlice], port_name: str) -> list[str]:
    """`address:port` of those that are ready."""
    return sorted(
        {
            _at(endpoint["addresses"][0], port["port"])
            for one in slices
            for port in one.get("ports") or ()
            if (port.get("name") or "") == port_name
            and port.get("port")
            and port.get("protocol", "TCP") == "TCP"
            for endpoint in one.get("endpoints") or ()
            if (endpoint.get("conditions") or {}).get("ready") is not False
        }
    )


def _at(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
