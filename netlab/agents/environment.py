"""Pure: the environment variables of a container.

Service variables come first, then the container's own `env`, which may refer to them with
`$(NAME)`, as Kubernetes does it:
https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Literal, Protocol

from netlab.errors import NetlabError
from netlab.objects import meta
from netlab.objects.addresses import join_host_port
from netlab.objects.podcontainers import every_container
from netlab.objects.types import (
    ConfigMap,
    ConfigMapEnvSource,
    ConfigMapKeySelector,
    Container,
    EnvFromSource,
    EnvVarSource,
    Pod,
    ResourceFieldSelector,
    Secret,
    SecretEnvSource,
    SecretKeySelector,
    Service,
    ServicePort,
)
from netlab.workload.behaviour import expand_text

Reference = ConfigMapEnvSource | SecretEnvSource | ConfigMapKeySelector | SecretKeySelector
SourceKind = Literal["ConfigMap", "Secret"]


class Lookup(Protocol):
    """Finds the ConfigMap or Secret a variable refers to; None when there is none."""

    def __call__(self, kind: SourceKind, namespace: str, name: str) -> ConfigMap | Secret | None:
        """One object from the cache."""


def service_variables(
    services: Iterable[Service], namespace: str, *, links: bool = True
) -> dict[str, str]:
    """`WEB_SERVICE_HOST`, `WEB_PORT_80_TCP_ADDR`… for each Service with an address.

    Those of the pod's own namespace if it wants `links` to them, and `kubernetes` from `default`.
    """
    variables: dict[str, str] = {}
    chosen = [
        service
        for service in services
        if (links and meta.namespace(service) == namespace)
        or (meta.namespace(service), meta.name(service)) == ("default", "kubernetes")
    ]
    for service in sorted(chosen, key=meta.name):
        address = meta.spec(service).get("clusterIP")
        ports = meta.spec(service).get("ports") or []
        if address and address != "None" and ports:
            variables |= _of_service(meta.name(service), address, ports)
    return variables


def _of_service(name: str, address: str, ports: list[ServicePort]) -> dict[str, str]:
    prefix = name.upper().replace("-", "_").replace(".", "_")
    first = ports[0]
    variables = {
        f"{prefix}_SERVICE_HOST": address,
        f"{prefix}_SERVICE_PORT": str(first["port"]),
    }
    for port in ports:
        if port.get("name"):
            word = port["name"].upper().replace("-", "_")
            variables[f"{prefix}_SERVICE_PORT_{word}"] = str(port["port"])
    variables[f"{prefix}_PORT"] = _url(first, address)
    for port in ports:
        protocol = port.get("protocol") or "TCP"
        link = f"{prefix}_PORT_{port['port']}_{protocol}"
        variables |= {
            link: _url(port, address),
            f"{link}_PROTO": protocol.lower(),
            f"{link}_PORT": str(port["port"]),
            f"{link}_ADDR": address,
        }
    return variables


def _url(port: ServicePort, address: str) -> str:
    protocol = (port.get("protocol") or "TCP").lower()
    return f"{protocol}://{join_host_port(address, port['port'])}"


def container_variables(
    pod: Pod,
    container: Container,
    base: Mapping[str, str],
    lookup: Lookup,
    allocatable: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, str]:
    """The container's whole environment; `NetlabError` names a ConfigMap or Secret it lacks.

    `allocatable` is what the node has for pods: the limit of who has none.
    """
    variables = dict(base)
    for source in container.get("envFrom") or []:
        variables |= _from_source(source, meta.namespace(pod), lookup)
    for entry in container.get("env") or []:
        if entry.get("valueFrom"):
            value = _value_from(pod, container, entry["valueFrom"], lookup, allocatable)
        else:
            value = expand_text(entry.get("value") or "", variables)
        if value is not None:
            variables[entry["name"]] = value
    for name, value in variables.items():
        if "\0" in value:  # of a ConfigMap, a Secret or an annotation, which may hold one
            raise NetlabError(f"the value of {name} has a NUL character, which no variable can")
    return variables


def _from_source(source: EnvFromSource, namespace: str, lookup: Lookup) -> dict[str, str]:
    configured = source.get("configMapRef")
    kind: SourceKind = "ConfigMap" if configured else "Secret"
    data = _data(kind, namespace, configured or source.get("secretRef") or {}, lookup)
    prefix = source.get("prefix") or ""
    return {f"{prefix}{name}": value for name, value in data.items()}


def _value_from(
    pod: Pod,
    container: Container,
    source: EnvVarSource,
    lookup: Lookup,
    allocatable: Mapping[str, str],
) -> str | None:
    if "fieldRef" in source:
        return field_value(pod, source["fieldRef"]["fieldPath"])
    if "resourceFieldRef" in source:
        resource = source["resourceFieldRef"]
        named = _container_of(pod, resource.get("containerName")) or container
        return resource_value(named, resource, allocatable)
    configured = source.get("configMapKeyRef")
    kind: SourceKind = "ConfigMap" if configured else "Secret"
    reference = configured or source["secretKeyRef"]
    data = _data(kind, meta.namespace(pod), reference, lookup)
    name = reference["key"]
    if name in data:
        return data[name]
    if reference.get("optional"):
        return None
    raise NetlabError(f"couldn't find key {name} in {kind} {reference.get('name')}")


def _data(kind: SourceKind, namespace: str, reference: Reference, lookup: Lookup) -> dict[str, str]:
    found = lookup(kind, namespace, reference.get("name") or "")
    if found is None:
        if reference.get("optional"):
            return {}
        raise NetlabError(f'{kind.lower()} "{reference.get("name")}" not found')
    if kind == "ConfigMap":
        return dict(found.get("data") or {})
    return {
        name: base64.b64decode(value).decode(errors="replace")
        for name, value in (found.get("data") or {}).items()
    }


def _container_of(pod: Pod, name: str | None) -> Container | None:
    every = every_container(pod) if name else ()
    return next((each for each in every if each["name"] == name), None)


def resource_value(
    container: Container, reference: ResourceFieldSelector, allocatable: Mapping[str, str]
) -> str:
    """`limits.cpu`, `requests.memory`… in whole units of the divisor, rounded up.

    No limit is all that the node has (`allocatable`), no request is 0.
    Source: pkg/api/v1/resource, ExtractContainerResourceValue.
    """
    from netlab.objects import quantity  # its fractions are slow to import, and few pods ask

    section, _, name = reference["resource"].partition(".")
    resources: Mapping[str, Any] = container.get("resources") or {}
    amount = quantity.parse((resources.get(section) or {}).get(name) or "0")
    if not amount and section == "limits":
        amount = quantity.parse(allocatable.get(name) or "0")
    divisor = quantity.parse(reference.get("divisor") or "1") or 1
    return str(math.ceil(amount / divisor))


def field_value(pod: Pod, path: str) -> str:
    """The downward API: `metadata.name`, `status.podIP`, `metadata.labels['app']`…"""
    subscript = re.fullmatch(r"metadata\.(labels|annotations)\['([^']*)'\]", path)
    if subscript:
        values = meta.labels(pod) if subscript[1] == "labels" else meta.annotations(pod)
        return values.get(subscript[2], "")
    if path == "status.podIPs":
        return ",".join(entry["ip"] for entry in meta.status(pod).get("podIPs") or [])
    if path == "status.hostIPs":
        return ",".join(entry["ip"] for entry in meta.status(pod).get("hostIPs") or [])
    value: Any = pod
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return "" if value is None else str(value)
