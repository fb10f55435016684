"""Objects as older clusters took them, in the words of those that are served today.

Ingress in networking.k8s.io/v1beta1 and extensions/v1beta1 went in Kubernetes 1.22; textbooks still
print it. An API server knows nothing of it; who reads files can see what is meant.
https://kubernetes.io/docs/reference/using-api/deprecation-guide/#ingress-v122
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field

from netlab.objects.meta import Object
from netlab.objects.problems import Path

_GONE = ("networking.k8s.io/v1beta1", "extensions/v1beta1")
_TODAY = "networking.k8s.io/v1"


class Translation(Struct):
    """An object as it would be written today. `origins` leads from its fields to those written;
    `said` tells what was understood, "" if nothing had to be."""

    obj: Object
    origins: dict[Path, Path] = field(default_factory=dict)
    said: str = ""


def translated(written: Object) -> Translation:
    """The same object, in a version that is served."""
    if written.get("apiVersion") not in _GONE or written.get("kind") not in (
        "Ingress",
        "IngressClass",
    ):
        return Translation(written)
    found = Translation({**written, "apiVersion": _TODAY})
    changes = ""
    if written["kind"] == "Ingress" and isinstance(written.get("spec"), dict):
        found.obj["spec"] = _spec(written["spec"], found)
        changes = (
            ", serviceName and servicePort as service: {name: …, port: {number: …}}, a path "
            "without pathType as ImplementationSpecific"
        )
    found.said = (
        f"{written['kind']} {_name(written)} is of {written['apiVersion']}, which Kubernetes "
        f"1.22 gave up: taken as {_TODAY}{changes}"
    )
    return found


def _name(obj: Object) -> str:
    metadata = obj.get("metadata")
    return str(metadata.get("name")) if isinstance(metadata, dict) else ""


def _spec(written: dict[str, Any], found: Translation) -> dict[str, Any]:
    spec = dict(written)
    if "backend" in spec and "defaultBackend" not in spec:
        path: Path = ("spec", "defaultBackend")
        found.origins[path] = ("spec", "backend")
        spec["defaultBackend"] = _backend(spec.pop("backend"), path, ("spec", "backend"), found)
    if isinstance(spec.get("rules"), list):
        spec["rules"] = [
            _rule(rule, ("spec", "rules", index), found) for index, rule in enumerate(spec["rules"])
        ]
    return spec


def _rule(written: Any, path: Path, found: Translation) -> Any:
    http = written.get("http") if isinstance(written, dict) else None
    if not isinstance(http, dict) or not isinstance(http.get("paths"), list):
        return written
    where: Path = (*path, "http", "paths")
    paths = [_path(each, (*where, index), found) for index, each in enumerate(http["paths"])]
    return {**written, "http": {**http, "paths": paths}}


def _path(written: Any, path: Path, found: Translation) -> Any:
    if not isinstance(written, dict):
        return written
    entry = {**written, "path": written.get("path") or "/"}
    if entry.get("pathType") is None:
        entry["pathType"] = "ImplementationSpecific"
    if "backend" in entry:
        where: Path = (*path, "backend")
        entry["backend"] = _backend(entry["backend"], where, where, found)
    return entry


def _backend(written: Any, path: Path, origin: Path, found: Translation) -> Any:
    """`serviceName: web, servicePort: http` as `service: {name: web, port: {name: http}}`."""
    if not isinstance(written, dict) or not {"serviceName", "servicePort"} & written.keys():
        return written
    backend = {name: each for name, each in written.items() if not name.startswith("service")}
    service: dict[str, Any] = {}
    found.origins[(*path, "service")] = origin
    if "serviceName" in written:
        service["name"] = written["serviceName"]
        found.origins[(*path, "service", "name")] = (*origin, "serviceName")
    if "servicePort" in written:
        port = written["servicePort"]
        by = "name" if isinstance(port, str) else "number"
        service["port"] = {by: port}
        found.origins[(*path, "service", "port")] = (*origin, "servicePort")
        found.origins[(*path, "service", "port", by)] = (*origin, "servicePort")
    return {**backend, "service": service}
