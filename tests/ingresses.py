"""What tests of Ingresses share: a world written down in YAML, and what becomes of it."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from netlab.ingress.compile import Compiled, compile_
from netlab.ingress.model import Certificate, World
from netlab.ingress.options import options
from netlab.ingress.page import Page
from netlab.ingress.place import Place
from netlab.ingress.render import render
from netlab.objects import meta, strategies

CASES = sorted((Path(__file__).parent / "golden" / "ingress").iterdir())

STREAM_MODULE = "/usr/lib/nginx/modules/ngx_stream_module.so"

PLACE = Place("nginx.log", ("10.96.0.10",))

ALWAYS = """
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: nginx}
spec: {controller: k8s.io/ingress-nginx}
---
{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {ports: [{name: http, port: 80, targetPort: 8080}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: http, port: 8080}]
endpoints: [{addresses: [10.244.1.3]}, {addresses: [10.244.1.2]}, {addresses: [10.244.1.4], conditions: {ready: false}}]
---
{apiVersion: v1, kind: Service, metadata: {name: api}, spec: {ports: [{port: 8080}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: api-1, labels: {kubernetes.io/service-name: api}}
addressType: IPv4
ports: [{name: "", port: 8080}]
endpoints: [{addresses: [10.244.2.2]}]
---
{apiVersion: v1, kind: Service, metadata: {name: empty}, spec: {ports: [{port: 80}]}}
"""  # noqa: E501


def objects(text: str) -> list[dict]:
    """The objects of a text, as an API server would have them; the first is the oldest."""
    found = [each for each in yaml.safe_load_all(text) if each]
    for number, each in enumerate(found):
        metadata = each["metadata"]
        if each["kind"] != "IngressClass":
            metadata.setdefault("namespace", "default")
        metadata.setdefault("creationTimestamp", f"2026-01-01T00:{number:02}:00Z")
        metadata.setdefault("uid", f"{each['kind']} {meta.key(each)}")
        strategies.apply_defaults(each)
    return found


def world(written: Sequence[dict]) -> World:
    """All that a controller knows of these. A certificate's names are in an annotation, `names`."""
    by_kind: dict[str, dict[str, dict]] = {}
    for each in written:
        by_kind.setdefault(each["kind"], {})[meta.key(each)] = each

    def slices(key: str) -> list[dict]:
        found = by_kind.get("EndpointSlice", {}).values()
        return [
            each
            for each in found
            if f"{meta.namespace(each)}/{meta.labels(each)['kubernetes.io/service-name']}" == key
        ]

    def data(key: str) -> Mapping[str, str] | str:
        secret = by_kind.get("Secret", {}).get(key)
        if secret is None:
            return "no such Secret"
        found = {k: base64.b64decode(v).decode() for k, v in (secret.get("data") or {}).items()}
        return {**found, **(secret.get("stringData") or {})}

    def certificate(key: str) -> Certificate | str:
        found = data(key)
        if isinstance(found, str):
            return found
        if "tls.crt" not in found:
            return "key 'tls.crt' missing from Secret"
        names = meta.annotations(by_kind["Secret"][key]).get("names", "")
        return Certificate(f"(certificate of {key})\n", tuple(names.split()))

    maps = by_kind.get("ConfigMap", {})
    settings = maps.get("ingress-nginx/ingress-nginx-controller", {})
    return World(
        ingresses=list(by_kind.get("Ingress", {}).values()),
        classes=list(by_kind.get("IngressClass", {}).values()),
        service=by_kind.get("Service", {}).get,
        slices=slices,
        certificate=certificate,
        password_file=data,
        data=settings.get("data") or {},
        tcp_services=maps.get("ingress-nginx/tcp", {}).get("data"),
        udp_services=maps.get("ingress-nginx/udp", {}).get("data"),
        stream_module=STREAM_MODULE,
    )


def compiled(text: str, arguments: Sequence[str] = (), tag: str = "v1.15.1") -> Compiled:
    """What a controller makes of the objects in a text."""
    return compile_(world(objects(f"{ALWAYS}\n---\n{text}")), options(_all(arguments), tag))


def rendered(found: Compiled, arguments: Sequence[str] = (), place: Place = PLACE) -> Page:
    """The configuration of nginx for that."""
    return render(found.configuration, options(_all(arguments), "v1.15.1"), place)


def _all(arguments: Sequence[str]) -> list[str]:
    return ["/nginx-ingress-controller", "--configmap=ingress-nginx/ingress-nginx-controller"] + [
        *arguments
    ]


def case(directory: Path, place: Place = PLACE) -> tuple[Compiled, Page]:
    """What becomes of a golden case: its `objects.yaml`, with its `arguments`, if it has any."""
    listed = directory / "arguments"
    arguments = listed.read_text().split() if listed.exists() else []
    found = compiled((directory / "objects.yaml").read_text(), arguments)
    return found, rendered(found, arguments, place)
