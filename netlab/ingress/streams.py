"""Ports of a controller that lead to Services by TCP or UDP, as two ConfigMaps have them. Pure.

    9000: "default/web:80"             key: the port; value: Service, its port by number or name
    5432: "db/postgres:sql:PROXY"      it takes the PROXY protocol; `::PROXY` sends it, TCP only

Source: getStreamServices in ingress-nginx' internal/ingress/controller/controller.go;
docs/user-guide/exposing-tcp-udp-services.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

from msgspec.structs import replace

from netlab.ingress.backends import endpoints
from netlab.ingress.model import IngressProblem, Stream, World
from netlab.ingress.options import Options
from netlab.objects import meta
from netlab.objects.types import Service, ServicePort

Protocol = Literal["TCP", "UDP"]

_RESERVED = (442, 8181, 10245, 10246, 10247)
NO_MODULE = "nginx has no stream module here (sudo scripts/setup --with nginx installs it)"


def streams(world: World, options: Options) -> tuple[tuple[Stream, ...], list[IngressProblem]]:
    """Those that lead somewhere, by their ports, and what is wrong with the ConfigMaps."""
    found: list[Stream] = []
    problems: list[IngressProblem] = []
    both: tuple[tuple[Protocol, str, Mapping[str, str] | None], ...] = (
        ("TCP", options.tcp_services, world.tcp_services),
        ("UDP", options.udp_services, world.udp_services),
    )
    for protocol, configmap, data in both:
        for port, reference in sorted((data or {}).items()):
            try:
                stream = _stream(port, reference, protocol, world, options)
                if any((one.port, one.protocol) == (stream.port, protocol) for one in found):
                    raise ValueError(f"{protocol} port {stream.port} is there twice")
                if world.stream_module is None:
                    raise ValueError(NO_MODULE)
                found.append(stream)
            except ValueError as error:
                problems.append(IngressProblem(configmap, "StreamIgnored", str(error), "ConfigMap"))
    return tuple(sorted(found, key=lambda one: (one.protocol, one.port))), problems


def _stream(
    port: str, reference: str, protocol: Protocol, world: World, options: Options
) -> Stream:
    number = int(port) if port.isdecimal() and port.isascii() else 0
    if not 0 < number < 65536:
        raise ValueError(f'"{port}" is not a valid {protocol} port number')
    own = (options.http_port, options.https_port, options.health_port, *_RESERVED)
    if number in own:
        what = f"Port {number} cannot be used for {protocol} stream services"
        raise ValueError(f"{what}. It is reserved for the Ingress controller.")
    key, wanted, takes, sends = _parts(reference)
    if not wanted:
        raise ValueError(f'Invalid Service reference "{reference}" for {protocol} port {number}')
    service = world.service(key)
    if service is None:
        raise ValueError(f'Error getting Service "{key}": no such Service')
    stream = Stream(
        number,
        protocol,
        f"{protocol.lower()}-{key.replace('/', '-')}-{wanted}",
        takes_proxy=takes and protocol == "TCP",
        sends_proxy=sends and protocol == "TCP",
    )
    return _led(stream, service, wanted, world)


def _parts(reference: str) -> tuple[str, str, bool, bool]:
    key, _, rest = reference.partition(":")
    wanted, *proxying = rest.split(":")
    said = [each.upper() == "PROXY" for each in proxying]
    space, slash, name = key.partition("/")
    if not (space and slash and name) or "/" in name:
        return key, "", False, False
    return key, wanted, bool(said[:1] == [True]), len(said) == 2 and said[1]


def _led(stream: Stream, service: Service, wanted: str, world: World) -> Stream:
    port = next(iter(_ports(service, wanted, stream.protocol)), None)
    key = meta.key(service)
    text = f'Service "{key}" does not have any active Endpoint for {stream.protocol} port {wanted}'
    if port is None:
        raise ValueError(text)
    if meta.spec(service).get("type") == "ExternalName":
        host = str(meta.spec(service).get("externalName") or "").rstrip(".")
        return replace(stream, external=host, external_port=_number(port))
    servers = tuple(endpoints(world.slices(key), port, stream.protocol))
    if not servers:
        raise ValueError(text)
    return replace(stream, servers=servers)


def _ports(service: Service, wanted: str, protocol: Protocol) -> Iterator[ServicePort]:
    for port in meta.spec(service).get("ports") or ():
        is_it = str(port["port"]) == wanted if wanted.isdecimal() else port.get("name") == wanted
        if is_it and port.get("protocol", "TCP") == protocol:
            yield port


def _number(port: ServicePort) -> int:
    target = port.get("targetPort")
    return target if isinstance(target, int) else port["port"]
