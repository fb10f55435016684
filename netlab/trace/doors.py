"""Ingress as a trace meets it: which pods are controllers, which rule takes a request. Pure.

What the rules say is found from objects, as the controller itself finds its configuration.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct
from msgspec.structs import replace

from netlab.ingress.backends import Unresolved, backend
from netlab.ingress.compile import compile_
from netlab.ingress.flags import Unusable
from netlab.ingress.match import location_for, server_for
from netlab.ingress.model import CATCH_ALL, Location, Server
from netlab.ingress.model import World as Objects
from netlab.ingress.options import Options, options
from netlab.objects import meta
from netlab.objects.loadbalancing import ingress_ips
from netlab.objects.types import (
    ConfigMap,
    HTTPIngressPath,
    Ingress,
    IngressClass,
    IngressServiceBackend,
    Namespace,
    Pod,
    Service,
)
from netlab.pathcheck.world import World
from netlab.workload.behaviour import expand
from netlab.workload.catalogue import catalogue

_NGINX = "nginx"


class IngressObjects(Struct, frozen=True):
    """What Ingress controllers go by, beside Services and EndpointSlices."""

    ingresses: Sequence[Ingress] = ()
    classes: Sequence[IngressClass] = ()
    configmaps: Sequence[ConfigMap] = ()
    namespaces: Sequence[Namespace] = ()


class Door(Struct, frozen=True):
    """The rule that takes a request: the controller's server and location, of which Ingress
    (`namespace/name`, "" for nobody's), and the Service's endpoints that it may lead to; without a
    `service`, the `status` that nginx answers itself, or the URL it redirects to; `lacking` is what
    the Service that the Ingress names lacks, "" where that is not why."""

    host: str
    path: str
    match: str
    ingress: str = ""
    ingress_path: str = ""
    path_type: str = ""
    service: str = ""
    port: str = ""
    servers: tuple[str, ...] = ()
    status: int = 0
    redirect: str = ""
    canary: str = ""
    lacking: str = ""


def controllers(world: World) -> Iterator[str]:
    """The running pods that are Ingress controllers."""
    for key, place in world.places.items():
        if place.role == "pod" and _arguments(world.pods[key]) is not None:
            yield key


def _arguments(pod: Pod) -> Sequence[str] | None:
    spec = meta.spec(pod)
    known = {"metadata.namespace": meta.namespace(pod), "metadata.name": meta.name(pod)}
    for container in spec.get("containers") or ():
        image = container.get("image") or ""
        if catalogue().lookup(image).program == _NGINX:
            variables = dict(_variables(container.get("env") or (), known))
            return expand(
                [*(container.get("command") or ()), *(container.get("args") or ())], variables
            )
    return None


def _variables(env: Sequence[Any], known: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for each in env:
        field = ((each.get("valueFrom") or {}).get("fieldRef") or {}).get("fieldPath", "")
        yield each["name"], known.get(field, str(each.get("value") or ""))


def door(pod: Pod, host: str, path: str, objects: IngressObjects, world: World) -> Door | None:
    """Which rule of that controller takes a request; None if that cannot be said."""
    arguments = _arguments(pod)
    if arguments is None:
        return None
    image = meta.spec(pod)["containers"][0].get("image") or ""
    try:
        said = options(arguments, catalogue().image(image).tag)
    except Unusable:
        return None
    known = _known(said, objects, world)
    configuration = compile_(known, said).configuration
    server = server_for(configuration, urlsplit(f"//{host}").hostname or "")
    location = location_for(server, path) if server is not None else None
    if server is None or location is None:
        return None
    found = _door(server, location)
    return found if found.service else replace(found, lacking=_lacking(location, known))


def _lacking(location: Location, known: Objects) -> str:
    """Why an Ingress's path leads to nobody: no such Service, no such port, no endpoint."""
    space = location.ingress.partition("/")[0]
    mine = [one for one in known.ingresses if meta.key(one) == location.ingress]
    paths = (path for one in mine for path in _paths(one))
    for path in paths:
        named = path["backend"].get("service")
        if named is not None and (path.get("path") or "/") == location.ingress_path:
            return _of_backend(named, space, known)
    return ""


def _paths(ingress: Ingress) -> Iterator[HTTPIngressPath]:
    for rule in meta.spec(ingress).get("rules") or ():
        http = rule.get("http")
        yield from http["paths"] if http else ()


def _of_backend(named: IngressServiceBackend, space: str, known: Objects) -> str:
    key = f"{space}/{named['name']}"
    try:
        found = backend(named, space, known)
    except Unresolved as error:
        told = str(error)
        what = told.removeprefix(f'Error obtaining Endpoints for Service "{key}": ')
        return told if what == told else f"Service {key}: {what}"
    return "" if found.is_there else f"Service {key} has no endpoint"


def _known(said: Options, objects: IngressObjects, world: World) -> Objects:
    def in_sight(key: str) -> bool:
        return not said.namespace or key.startswith(f"{said.namespace}/")

    labels = {meta.name(one): meta.labels(one) for one in objects.namespaces}
    found = next((one for one in objects.configmaps if meta.key(one) == said.configmap), None)
    return Objects(
        ingresses=objects.ingresses,
        classes=objects.classes,
        service=lambda key: world.services.get(key) if in_sight(key) else None,
        slices=world.slices_of,
        certificate=lambda _: "not looked at",
        password_file=lambda _: {"auth": ""},
        data=(found.get("data") or {}) if found is not None else {},
        watches=lambda space: said.namespace_selector.matches(labels.get(space, {})),
    )


def _door(server: Server, location: Location) -> Door:
    backend, said = location.backend, location.annotations
    return Door(
        host="" if server.host == CATCH_ALL else server.host,
        path=location.path,
        match=location.match,
        ingress=location.ingress,
        ingress_path=location.ingress_path,
        path_type=location.path_type,
        service=f"{backend.namespace}/{backend.service}" if backend is not None else "",
        port=backend.port if backend is not None else "",
        servers=backend.servers if backend is not None else (),
        status=location.status if backend is None else 0,
        redirect=said.permanent_redirect or said.temporal_redirect,
        canary=location.canary.backend.shown if location.canary is not None else "",
    )


def entrances(
    host: str, port: int, objects: IngressObjects, world: World
) -> Iterator[tuple[str, int, str]]:
    """`(address, port, whose)` by which a host's Ingress may be asked for what its controller has
    on `port`: the controller's load balancer, a node's port, the address in its status."""
    mine = [one for one in objects.ingresses if _has(one, host)]
    if mine:
        yield from _doors_of_controllers(port, world)
    for ingress in mine:
        for one in ((meta.status(ingress).get("loadBalancer") or {}).get("ingress")) or ():
            if one.get("ip"):
                text = f"the address in the status of Ingress {meta.key(ingress)}"
                yield str(one["ip"]), port, text


def _has(ingress: Ingress, host: str) -> bool:
    hosts = (rule.get("host") or "" for rule in meta.spec(ingress).get("rules") or ())
    return any(
        written == host or (written.startswith("*.") and host.partition(".")[2] == written[2:])
        for written in hosts
    )


def _doors_of_controllers(wanted: int, world: World) -> Iterator[tuple[str, int, str]]:
    pods = [world.pods[key] for key in controllers(world)]
    nodes = [place for place in world.places.values() if place.role == "node" and place.external]
    for key, service in world.services.items():
        if not any(_selects(service, pod) for pod in pods):
            continue
        for address in ingress_ips(service):
            yield address, wanted, f"the load balancer's address of Service {key}"
        for port in meta.spec(service).get("ports") or ():
            if port.get("nodePort") and port["port"] == wanted and nodes:
                text = f"the nodePort of Service {key} on {nodes[0].name}"
                yield nodes[0].external[0], port["nodePort"], text


def _selects(service: Service, pod: Pod) -> bool:
    wanted = (meta.spec(service).get("selector") or {}).items()
    here = meta.namespace(service) == meta.namespace(pod)
    return bool(wanted) and here and wanted <= meta.labels(pod).items()
