"""What a container of a pod may say: its words, variables, ports, probes and hooks."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any

from netlab.objects import (
    downward,
    fields,
    names,
    validate_resources,
    validate_security_context,
    validate_volumes,
)
from netlab.objects.problems import (
    FieldProblem,
    Path,
    duplicate,
    forbidden,
    invalid,
    required,
)

Mapping = dict[str, Any]

_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_HOOKS = ("postStart", "preStop")
_PROBE_ACTIONS = ("exec", "grpc", "httpGet", "tcpSocket")
_HOOK_ACTIONS = ("exec", "httpGet", "sleep", "tcpSocket")
_SOURCES = ("configMapKeyRef", "fieldRef", "resourceFieldRef", "secretKeyRef")
_MAX_ITEMS = {"env": 1000, "envFrom": 256, "ports": 256}
_ONE_FIELD = "may not have more than one field specified at a time"


def container(
    path: Path, spec: Mapping, taken: set[str], volumes: Collection[str]
) -> Iterator[FieldProblem]:
    """One container; `taken` are the names of those before it, and gets its own."""
    yield from _name((*path, "name"), spec.get("name"), taken)
    for field, limit in _MAX_ITEMS.items():
        yield from fields.at_most((*path, field), spec.get(field) or [], limit)
    yield from _image((*path, "image"), spec.get("image") or "")
    yield from _ports((*path, "ports"), spec.get("ports") or [])
    yield from _environment((*path, "env"), spec.get("env") or [])
    yield from _whole_sources((*path, "envFrom"), spec.get("envFrom") or [])
    yield from _working_directory((*path, "workingDir"), spec.get("workingDir") or "")
    yield from validate_volumes.mounts(
        (*path, "volumeMounts"), spec.get("volumeMounts") or [], volumes
    )
    for field in _PROBES:
        if spec.get(field) is not None:
            yield from _probe((*path, field), spec[field])
    for field in _HOOKS:
        hook = (spec.get("lifecycle") or {}).get(field)
        if hook is not None:
            yield from _handler((*path, "lifecycle", field), hook, _HOOK_ACTIONS)
    yield from validate_resources.of_container((*path, "resources"), spec.get("resources") or {})
    yield from validate_security_context.of_container(
        (*path, "securityContext"), spec.get("securityContext") or {}
    )


def _name(path: Path, name: str | None, taken: set[str]) -> Iterator[FieldProblem]:
    if name is None:
        return  # the schema has said so
    if not name:
        yield required(path)
        return
    yield from fields.dns_label(path, name)
    if name in taken:
        yield duplicate(path, name)
    taken.add(name)


def _image(path: Path, image: str) -> Iterator[FieldProblem]:
    if not image:
        yield required(path)
    elif image != image.strip():
        yield invalid(path, image, "must not have leading or trailing whitespace")


def _working_directory(path: Path, text: str) -> Iterator[FieldProblem]:
    """A relative one would be an option of the shell's `cd` as well as a directory."""
    if text and not text.startswith("/"):
        yield invalid(path, text, "must be an absolute path")


def _ports(path: Path, ports: list[Mapping]) -> Iterator[FieldProblem]:
    yield from _unique(path, [port.get("name") for port in ports])
    for index, port in enumerate(ports):
        if port.get("name"):
            yield from fields.port_name((*path, index, "name"), port["name"])
        if port.get("containerPort") is not None:
            yield from fields.port_number((*path, index, "containerPort"), port["containerPort"])
        if port.get("hostPort"):
            yield from fields.port_number((*path, index, "hostPort"), port["hostPort"])
        if port.get("hostIP"):
            yield from fields.address((*path, index, "hostIP"), port["hostIP"])


def _unique(path: Path, found: Iterable[str | None]) -> Iterator[FieldProblem]:
    """Names in a list: none twice (absent ones do not count)."""
    seen: set[str] = set()
    for index, name in enumerate(found):
        if name and name in seen:
            yield duplicate((*path, index, "name"), name)
        if name:
            seen.add(name)


# Variables


def _environment(path: Path, env: list[Mapping]) -> Iterator[FieldProblem]:
    for index, variable in enumerate(env):
        name = variable.get("name")
        if name == "":
            yield required((*path, index, "name"))
        elif name is not None:
            yield from _variable_name((*path, index, "name"), name)
        if variable.get("valueFrom") is not None:
            yield from _value_from((*path, index, "valueFrom"), variable)


def _variable_name(path: Path, name: str) -> Iterator[FieldProblem]:
    if not names.is_env_name(name):
        yield invalid(path, name, names.ENV_NAME_RULE)


def _value_from(path: Path, variable: Mapping) -> Iterator[FieldProblem]:
    source: Mapping = variable["valueFrom"]
    chosen = [field for field in _SOURCES if source.get(field) is not None]
    if not chosen:
        one_of = "`fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`"
        yield invalid(path, "", f"must specify one of: {one_of}")
    elif variable.get("value"):
        yield invalid(path, "", "may not be specified when `value` is not empty")
    elif len(chosen) > 1:
        yield invalid(path, "", _ONE_FIELD)
    for field in chosen:
        where: Path = (*path, field)
        if field == "fieldRef":
            yield from downward.field_reference(where, source[field], downward.IN_VARIABLES)
        elif field == "resourceFieldRef":
            yield from downward.resource_reference(where, source[field])
        else:
            yield from _key_reference(where, source[field])


def _key_reference(path: Path, reference: Mapping) -> Iterator[FieldProblem]:
    yield from fields.object_name((*path, "name"), reference.get("name") or "")
    if reference.get("key") == "":
        yield required((*path, "key"))
    elif reference.get("key") is not None:
        yield from fields.config_key((*path, "key"), reference["key"])


def _whole_sources(path: Path, sources: list[Mapping]) -> Iterator[FieldProblem]:
    """`envFrom`."""
    for index, source in enumerate(sources):
        where: Path = (*path, index)
        if source.get("prefix"):
            yield from _variable_name((*where, "prefix"), source["prefix"])
        chosen = [name for name in ("configMapRef", "secretRef") if source.get(name) is not None]
        if not chosen:
            yield invalid(where, "", "must specify one of: `configMapRef` or `secretRef`")
        elif len(chosen) > 1:
            yield invalid(where, "", _ONE_FIELD)
        for field in chosen:
            yield from fields.object_name((*where, field, "name"), source[field].get("name") or "")


# Probes and hooks


def _probe(path: Path, probe: Mapping) -> Iterator[FieldProblem]:
    yield from _handler(path, probe, _PROBE_ACTIONS)
    for field in (
        "initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold",
        "failureThreshold",
    ):  # fmt: skip
        yield from fields.non_negative((*path, field), probe.get(field))
    grace = probe.get("terminationGracePeriodSeconds")
    kind, successes = path[-1], probe.get("successThreshold")
    if kind != "readinessProbe" and successes not in (None, 1) and successes > 0:
        yield invalid((*path, "successThreshold"), successes, "must be 1")
    if kind == "readinessProbe" and grace is not None:
        where = (*path, "terminationGracePeriodSeconds")
        yield invalid(where, grace, "must not be set for readinessProbes")
    elif grace is not None and grace <= 0:
        yield invalid((*path, "terminationGracePeriodSeconds"), grace, "must be greater than 0")


def _handler(path: Path, handler: Mapping, known: Collection[str]) -> Iterator[FieldProblem]:
    actions = [action for action in known if handler.get(action) is not None]
    if not actions:
        yield required(path, "must specify a handler type")
    for action in actions[1:]:
        yield forbidden((*path, action), "may not specify more than 1 handler type")
    if "exec" in actions and not handler["exec"].get("command"):
        yield required((*path, "exec", "command"))
    for action in ("httpGet", "tcpSocket"):
        if action in actions:
            yield from _port((*path, action, "port"), handler[action].get("port"))
    if "httpGet" in actions:
        yield from _headers((*path, "httpGet", "httpHeaders"), handler["httpGet"])
    if "sleep" in actions:
        yield from fields.non_negative((*path, "sleep", "seconds"), handler["sleep"].get("seconds"))


def _port(path: Path, port: int | str | None) -> Iterator[FieldProblem]:
    if isinstance(port, int):
        yield from fields.port_number(path, port)
    elif isinstance(port, str):
        yield from fields.port_name(path, port)


def _headers(path: Path, action: Mapping) -> Iterator[FieldProblem]:
    for index, header in enumerate(action.get("httpHeaders") or []):
        name, value = header.get("name"), header.get("value") or ""
        if name is not None and not names.is_http_header(name):
            yield invalid((*path, index, "name"), name, names.HTTP_HEADER_RULE)
        if "\r" in value or "\n" in value:
            yield invalid((*path, index, "value"), value, "must be one line")
