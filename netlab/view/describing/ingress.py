"""Ingresses and their classes as `kubectl describe` shows them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from netlab.objects import meta
from netlab.objects.endpointslices import LABEL_SERVICE_NAME
from netlab.objects.kinds.ingress import INGRESS, INGRESS_CLASS
from netlab.objects.kinds.networking import ENDPOINT_SLICE, SERVICE
from netlab.objects.types import (
    Ingress,
    IngressBackend,
    IngressClass,
    Service,
    ServiceBackendPort,
)
from netlab.view.describing import described
from netlab.view.describing.described import Belonging, Description, Lines, Related
from netlab.view.describing.networking import endpoints


def ingress(obj: Ingress, related: Related) -> Lines:
    """An Ingress: its rules, and the endpoints that each leads to."""
    spec = meta.spec(obj)
    default = spec.get("defaultBackend")
    otherwise = _backend(default, related) if default else "<default>"
    yield f"Name:\t{meta.name(obj)}"
    yield from described.label_lines(obj)
    yield f"Namespace:\t{meta.namespace(obj)}"
    yield f"Address:\t{_load_balancers(obj)}"
    yield f"Ingress Class:\t{spec.get('ingressClassName') or '<none>'}"
    yield f"Default backend:\t{otherwise}"
    yield from _tls(spec.get("tls") or [])
    yield from ("Rules:", "  Host\tPath\tBackends", "  ----\t----\t--------")
    yield from _rules(spec.get("rules") or [], otherwise, related)
    yield from described.annotation_lines(obj)
    yield from described.events(related)


def _load_balancers(obj: Ingress) -> str:
    entries = (meta.status(obj).get("loadBalancer") or {}).get("ingress") or []
    return ",".join(sorted({str(one.get("ip") or one.get("hostname")) for one in entries}))


def _tls(entries: Sequence[Mapping[str, Any]]) -> Lines:
    if entries:
        yield "TLS:"
    for entry in entries:
        hosts, secret = ",".join(entry.get("hosts") or []), entry.get("secretName")
        yield f"  {secret} terminates {hosts}" if secret else f"  SNI routes {hosts}"


def _rules(rules: Sequence[Mapping[str, Any]], otherwise: str, related: Related) -> Lines:
    ruling = [rule for rule in rules if rule.get("http")]
    for rule in ruling:
        yield f"  {rule.get('host') or '*'}\t"
        for path in rule["http"].get("paths") or []:
            yield f"    \t{path.get('path') or ''} \t{_backend(path['backend'], related)}"
    if not ruling:
        yield f"  *\t*\t{otherwise}"


def _backend(backend: IngressBackend, related: Related) -> str:
    """`web:80 (10.244.1.2:8080)`, or the object that is no Service."""
    if other := backend.get("resource"):
        group = other.get("apiGroup") or "<nil>"
        return f"APIGroup: {group}, Kind: {other.get('kind')}, Name: {other.get('name')}"
    wanted = backend.get("service", {})
    name, port = wanted.get("name", ""), wanted.get("port", {})
    return f"{name}:{port.get('name') or port.get('number', 0)} ({_behind(name, port, related)})"


def _behind(name: str, port: ServiceBackendPort, related: Related) -> str:
    found = [one for one in described.of_kind(SERVICE, related) if meta.name(one) == name]
    if not found:
        return f'<error: services "{name}" not found>'
    slices = described.of_kind(ENDPOINT_SLICE, related)
    own = [one for one in slices if meta.labels(one).get(LABEL_SERVICE_NAME) == name]
    return endpoints(own, _port_name(found[0], port))


def _port_name(service: Service, port: ServiceBackendPort) -> str:
    """The name of the Service's port that a backend means by name or number."""
    for one in meta.spec(service).get("ports") or []:
        if port.get("number") == one["port"] or port.get("name", "") == one.get("name"):
            return one.get("name") or ""
    return ""


def ingress_class(obj: IngressClass, related: Related) -> Lines:
    """An IngressClass."""
    spec = meta.spec(obj)
    yield from described.head(obj)
    yield f"Controller:\t{spec.get('controller', '')}"
    if parameters := spec.get("parameters"):
        yield "Parameters:"
        if group := parameters.get("apiGroup"):
            yield f"  APIGroup:\t{group}"
        yield f"  Kind:\t{parameters['kind']}"
        yield f"  Name:\t{parameters['name']}"
    yield from described.events(related)


def _services_and_slices(ingress: Ingress) -> tuple[Belonging, ...]:
    return tuple(Belonging(kind, meta.namespace(ingress)) for kind in (SERVICE, ENDPOINT_SLICE))


DESCRIPTIONS = {
    INGRESS: Description(ingress, _services_and_slices),
    INGRESS_CLASS: Description(ingress_class),
}
