"""What Ingresses and IngressClasses may say.

Source: pkg/apis/networking/validation/validation.go of Kubernetes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from netlab.objects import fields, names, sloppy
from netlab.objects.kinds.ingress import CLASS_ANNOTATION
from netlab.objects.meta import Object
from netlab.objects.problems import (
    FieldProblem,
    Name,
    Path,
    forbidden,
    invalid,
    not_supported,
    quote,
    required,
    too_long,
)

Mapping = dict[str, Any]

WILDCARD_RULE = (
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which "
    "must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric "
    "character (e.g. '*.example.com', regex used for validation is "
    r"'\*\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)

CONTROLLER_MAX = 250

_HTTP_PATH = re.compile(r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+")
HTTP_PATH_RULE = f"Invalid path (regex used for validation is '{_HTTP_PATH.pattern}')"

_SEQUENCES = ("//", "/./", "/../", "%2f", "%2F")
_ENDS = ("/..", "/.")


def ingress(obj: Object) -> Iterator[FieldProblem]:
    """An Ingress: hosts, paths, backends, certificates, class."""
    spec: Mapping = obj.get("spec") or {}
    if not spec.get("rules") and spec.get("defaultBackend") is None:
        yield invalid(
            ("spec",), spec.get("rules"), "either `defaultBackend` or `rules` must be specified"
        )
    if spec.get("defaultBackend") is not None:
        yield from _backend(("spec", "defaultBackend"), spec["defaultBackend"])
    for index, rule in enumerate(spec.get("rules") or []):
        yield from _rule(("spec", "rules", index), rule)
    for index, entry in enumerate(spec.get("tls") or []):
        yield from _tls(("spec", "tls", index), entry)
    if spec.get("ingressClassName") is not None:
        yield from fields.dns_subdomain(("spec", "ingressClassName"), spec["ingressClassName"])


def ingress_create(obj: Object, stored: Object | None) -> Iterator[FieldProblem]:
    """Of a new one: that its class is the one of the annotation of old."""
    name = (obj.get("spec") or {}).get("ingressClassName")
    annotation = ((obj.get("metadata") or {}).get("annotations") or {}).get(CLASS_ANNOTATION)
    if stored is None and None not in (name, annotation) and annotation != name:
        yield FieldProblem(
            ("annotations", Name(CLASS_ANNOTATION)),
            f"Invalid value: {quote(annotation)}: "
            "must match `ingressClassName` when both are specified",
            written=("metadata", "annotations", CLASS_ANNOTATION),
        )


def _rule(path: Path, rule: Mapping) -> Iterator[FieldProblem]:
    if rule.get("host"):
        yield from _host((*path, "host"), rule["host"])
    if rule.get("http") is not None:
        paths = rule["http"].get("paths") or []
        if not paths:
            yield required((*path, "http", "paths"))
        for position, entry in enumerate(paths):
            yield from _http_path((*path, "http", "paths", position), entry)


def _host(path: Path, host: str) -> Iterator[FieldProblem]:
    if sloppy.read(host) is not None:
        yield invalid(path, host, "must be a DNS name, not an IP address")
    yield from _maybe_wildcard(path, host)


def _maybe_wildcard(path: Path, host: str) -> Iterator[FieldProblem]:
    if "*" in host:
        yield from (invalid(path, host, detail) for detail in _wildcard_faults(host))
    else:
        yield from fields.dns_subdomain(path, host)


def _wildcard_faults(host: str) -> Iterator[str]:
    if len(host) > names.DNS_SUBDOMAIN_MAX:
        yield names.longest(names.DNS_SUBDOMAIN_MAX)
    if not host.startswith("*.") or not names.is_dns_subdomain(host[2:]):
        yield WILDCARD_RULE


def _http_path(path: Path, entry: Mapping) -> Iterator[FieldProblem]:
    kind, text = entry.get("pathType"), entry.get("path") or ""
    if kind is None:
        yield required((*path, "pathType"), "pathType must be specified")
        return
    if kind in ("Exact", "Prefix"):
        yield from _normal((*path, "path"), text)
    elif kind == "ImplementationSpecific":
        if text and not text.startswith("/"):
            yield invalid((*path, "path"), text, "must be an absolute path")
    else:
        known = ("Exact", "ImplementationSpecific", "Prefix")
        yield not_supported((*path, "pathType"), kind, known)
    yield from _backend((*path, "backend"), entry.get("backend") or {})


def _normal(path: Path, text: str) -> Iterator[FieldProblem]:
    """A path that is written as nobody would write it twice."""
    if not text.startswith("/"):
        yield invalid(path, text, "must be an absolute path")
    for sequence in _SEQUENCES:
        if sequence in text:
            yield invalid(path, text, f"must not contain '{sequence}'")
    for end in _ENDS:
        if text.endswith(end):
            yield invalid(path, text, f"cannot end with '{end}'")


def _backend(path: Path, backend: Mapping) -> Iterator[FieldProblem]:
    service, resource = backend.get("service"), backend.get("resource")
    if service is not None and resource is not None:
        yield invalid(path, "", "cannot set both resource and service backends")
    elif resource is not None:
        yield from _reference((*path, "resource"), resource)
    elif service is not None:
        yield from _service(path, service)
    else:
        yield invalid(path, "", "resource or service backend is required")


def _service(path: Path, service: Mapping) -> Iterator[FieldProblem]:
    where: Path = (*path, "service")
    if not service.get("name"):
        yield required((*where, "name"))
    else:
        yield from fields.dns_1035_label((*where, "name"), service["name"])
    port = service.get("port") or {}
    if port.get("name") and port.get("number"):
        yield invalid(path, "", "cannot set both port name & port number")
    elif port.get("name"):
        yield from fields.port_name((*where, "port", "name"), port["name"])
    elif port.get("number"):
        yield from fields.port_number((*where, "port", "number"), port["number"])
    else:
        yield required(path, "port name or number is required")


def _reference(path: Path, reference: Mapping) -> Iterator[FieldProblem]:
    if reference.get("apiGroup") is not None:
        yield from fields.dns_subdomain((*path, "apiGroup"), reference["apiGroup"])
    for field in ("kind", "name"):
        if not reference.get(field):
            yield required((*path, field))
        else:
            yield from fields.path_segment((*path, field), reference[field])


def _tls(path: Path, entry: Mapping) -> Iterator[FieldProblem]:
    for position, host in enumerate(entry.get("hosts") or []):
        yield from _maybe_wildcard((*path, "hosts", position), host)
    if entry.get("secretName"):
        yield from fields.dns_subdomain((*path, "secretName"), entry["secretName"])


def ingress_class(obj: Object) -> Iterator[FieldProblem]:
    """An IngressClass: who controls its Ingresses, and what he is told."""
    spec: Mapping = obj.get("spec") or {}
    controller, path = spec.get("controller") or "", ("spec", "controller")
    if len(controller) > CONTROLLER_MAX:
        yield too_long(path, CONTROLLER_MAX)
    yield from _prefixed_path(path, controller)
    if spec.get("parameters") is not None:
        yield from _parameters(("spec", "parameters"), spec["parameters"])


def _prefixed_path(path: Path, text: str) -> Iterator[FieldProblem]:
    domain, slash, rest = text.partition("/")
    if not text:
        yield required(path)
    elif not slash or not domain or not rest:
        yield invalid(path, text, 'must be a domain-prefixed path (such as "acme.io/foo")')
    else:
        yield from fields.dns_subdomain(path, domain)
        if not _HTTP_PATH.fullmatch(rest):
            yield invalid(path, rest, HTTP_PATH_RULE)


def _parameters(path: Path, parameters: Mapping) -> Iterator[FieldProblem]:
    yield from _reference(path, parameters)
    scope, namespace = parameters.get("scope"), parameters.get("namespace")
    scopes: Sequence[str] = ("Cluster", "Namespace")
    if scope is None:
        yield required((*path, "scope"))
    elif scope not in scopes:
        yield not_supported((*path, "scope"), scope, scopes)
    elif scope == "Cluster" and namespace is not None:
        yield forbidden((*path, "namespace"), "`parameters.scope` is set to 'Cluster'")
    elif scope == "Namespace" and namespace is None:
        yield required((*path, "namespace"), "`parameters.scope` is set to 'Namespace'")
    elif scope == "Namespace":
        yield from fields.dns_label((*path, "namespace"), namespace or "")
