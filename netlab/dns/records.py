"""Services and EndpointSlices → DNS records, as "DNS-Based Service Discovery" 1.1.0 says.

    ClusterIP      web.default.svc.cluster.local            A/AAAA  each clusterIP, and its PTR
    headless       web.default.svc.cluster.local            A/AAAA  each ready endpoint
                   <hostname or 10-244-1-5>.web.default.…   A/AAAA  that endpoint, and its PTR
    named port     _http._tcp.web.default.svc.…             SRV     the service, or each endpoint
    ExternalName   db.default.svc.…                         CNAME   the outside name

Pure. Names are lower case and carry no final dot.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from msgspec import Struct, field

from netlab.objects import meta
from netlab.objects.addresses import canonical
from netlab.objects.types import EndpointSlice, Service, ServiceSpec

Json = dict[str, Any]


class HostRecord(Struct, frozen=True, order=True):
    """One address with its names; the first name is what the address resolves back to."""

    address: str
    names: tuple[str, ...]


class Srv(Struct, frozen=True, order=True):
    """The data of one SRV record; the priority is always 0."""

    target: str
    port: int
    weight: int


class ServiceRecords(Struct, frozen=True):
    """Everything one Service contributes to the zone."""

    hosts: tuple[HostRecord, ...] = ()
    srv: Mapping[str, tuple[Srv, ...]] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)

    def names(self) -> set[str]:
        """Every name that has a record."""
        return {name for host in self.hosts for name in host.names} | {*self.srv, *self.aliases}


NO_RECORDS = ServiceRecords()


class _Endpoint(Struct, frozen=True):
    """A ready endpoint of a headless Service, once per slice it is in."""

    address: str
    hostname: str
    ports: tuple[tuple[str, str, int], ...]  # (port name, protocol in lower case, number)


def service_records(
    service: Service, slices: Iterable[EndpointSlice], domain: str
) -> ServiceRecords:
    """The records of one Service; `slices` are its EndpointSlices, used when it is headless."""
    spec = meta.spec(service)
    name = service_name(meta.name(service), meta.namespace(service), domain)
    if spec.get("type") == "ExternalName":
        target = (spec.get("externalName") or "").rstrip(".").lower()
        return ServiceRecords(aliases={name: target}) if target else NO_RECORDS
    if spec.get("clusterIP") == "None":
        return _headless(name, sorted(set(_ready(slices, spec)), key=_by_address))
    return _with_addresses(name, spec)


def service_name(service: str, namespace: str, domain: str) -> str:
    """`web.default.svc.cluster.local`."""
    return f"{service}.{namespace}.svc.{domain}".lower()


def _with_addresses(name: str, spec: ServiceSpec) -> ServiceRecords:
    addresses = spec.get("clusterIPs") or [spec.get("clusterIP", "")]
    hosts = tuple(HostRecord(canonical(address), (name,)) for address in addresses if address)
    if not hosts:
        return NO_RECORDS
    ports = [
        (port["name"], (port.get("protocol") or "TCP").lower(), port["port"])
        for port in spec.get("ports") or []
        if port.get("name")
    ]
    srv = {_srv_name(port, proto, name): (Srv(name, number, 100),) for port, proto, number in ports}
    return ServiceRecords(hosts, srv)


def _headless(name: str, endpoints: list[_Endpoint]) -> ServiceRecords:
    hosts: dict[str, HostRecord] = {}
    srv: dict[str, set[tuple[str, int]]] = {}
    for endpoint in endpoints:
        own = f"{endpoint.hostname or dashed(endpoint.address)}.{name}".lower()
        hosts.setdefault(endpoint.address, HostRecord(endpoint.address, (own, name)))
        for port, proto, number in endpoint.ports:
            srv.setdefault(_srv_name(port, proto, name), set()).add((own, number))
    return ServiceRecords(tuple(hosts.values()), {owner: _weighed(t) for owner, t in srv.items()})


def _weighed(targets: set[tuple[str, int]]) -> tuple[Srv, ...]:
    weight = max(1, 100 // len(targets))
    return tuple(Srv(target, port, weight) for target, port in sorted(targets))


def _ready(slices: Iterable[EndpointSlice], spec: ServiceSpec) -> Iterator[_Endpoint]:
    """The endpoints a headless Service publishes: the ready ones, or all when it says so."""
    everyone = bool(spec.get("publishNotReadyAddresses"))
    for slice_ in slices:
        if slice_.get("addressType") == "FQDN":
            continue
        ports = _slice_ports(slice_)
        for endpoint in slice_.get("endpoints") or []:
            # Absent means unknown, which consumers must take for ready.
            ready = (endpoint.get("conditions") or {}).get("ready")
            if everyone or ready is None or ready:
                for address in endpoint.get("addresses") or []:
                    hostname = endpoint.get("hostname") or ""
                    yield _Endpoint(canonical(address), hostname, ports)


def _slice_ports(slice_: EndpointSlice) -> tuple[tuple[str, str, int], ...]:
    return tuple(
        (port["name"], (port.get("protocol") or "TCP").lower(), port["port"])
        for port in slice_.get("ports") or []
        if port.get("name") and port.get("port")
    )


def _srv_name(port: str, proto: str, name: str) -> str:
    return f"_{port}._{proto}.{name}".lower()


def _by_address(endpoint: _Endpoint) -> tuple[int, bytes, str]:
    address = ipaddress.ip_address(endpoint.address)
    return address.version, address.packed, endpoint.hostname


def dashed(address: str) -> str:
    """The address as one DNS label: `10-244-1-5`, `fd00--5`."""
    return address.replace(".", "-").replace(":", "-")


def undashed(label: str) -> str | None:
    """The address a label stands for, or None when it stands for none."""
    for candidate in (label.replace("-", "."), label.replace("-", ":")):
        try:
            return canonical(candidate)
        except ValueError:
            continue
    return None


def hosts_text(records: Iterable[ServiceRecords]) -> str:
    """The records' addresses as lines of a hosts file: `10.96.0.1 kubernetes.default.svc.…`."""
    lines = sorted({host for each in records for host in each.hosts})
    return "".join(f"{host.address} {' '.join(host.names)}\n" for host in lines)


def forwarded_names(records: ServiceRecords) -> set[str]:
    """The names whose queries dnsmasq must pass on, because a hosts file cannot hold the answer.

    SRV owners are named by their parent (`_tcp.web.default.svc.…`), which covers every port.
    """
    return {*records.aliases, *(owner.partition(".")[2] for owner in records.srv)}


def to_json(records: ServiceRecords) -> Json:
    """The form in which they travel to the process that answers."""
    return {
        "hosts": [[host.address, list(host.names)] for host in records.hosts],
        "srv": {
            owner: [[srv.target, srv.port, srv.weight] for srv in targets]
            for owner, targets in records.srv.items()
        },
        "aliases": dict(records.aliases),
    }


def from_json(data: Json) -> ServiceRecords:
    """The inverse of `to_json`."""
    return ServiceRecords(
        tuple(HostRecord(address, tuple(names)) for address, names in data["hosts"]),
        {owner: tuple(Srv(*srv) for srv in targets) for owner, targets in data["srv"].items()},
        data["aliases"],
    )
