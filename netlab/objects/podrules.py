"""What a pod's spec may say, in a Pod or in a template."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from netlab.objects import fields, names
from netlab.objects.meta import Object
from netlab.objects.problems import (
    FieldProblem,
    Path,
    duplicate,
    forbidden,
    invalid,
    required,
)
from netlab.objects.servicerules import PORT_NAME_RULE

Mapping = dict[str, Any]

QUANTITY = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?\d+)?")
_QUANTITY_RULE = (
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
)
_CONTAINER_FIELDS = ("initContainers", "containers", "ephemeralContainers")
_HOW = ("required", "preferred")
_MAX_NAMESERVERS = 3
_PROBE_ACTIONS = ("exec", "grpc", "httpGet", "tcpSocket")


def pod(obj: Object) -> Iterator[FieldProblem]:
    """A Pod."""
    yield from pod_spec(("spec",), obj.get("spec") or {})


def pod_spec(path: Path, spec: Mapping) -> Iterator[FieldProblem]:
    """A pod's spec at `path`."""
    volumes = {volume.get("name") for volume in spec.get("volumes") or []}
    if not spec.get("containers"):
        yield required((*path, "containers"))
    taken: set[str] = set()
    for field in _CONTAINER_FIELDS:
        for index, container in enumerate(spec.get(field) or []):
            yield from _container((*path, field, index), container, taken, volumes)
    yield from _unique(
        (*path, "volumes"), [volume.get("name") for volume in spec.get("volumes") or []]
    )
    yield from _placement(path, spec)
    yield from _names_and_dns(path, spec)
    yield from _seconds(path, spec)


def _container(
    path: Path, container: Mapping, taken: set[str], volumes: set[str | None]
) -> Iterator[FieldProblem]:
    name = container.get("name")
    if name is not None:
        yield from fields.dns_label((*path, "name"), name)
        if name in taken:
            yield duplicate((*path, "name"), name)
        taken.add(name)
    yield from _image((*path, "image"), container.get("image") or "")
    yield from _container_ports((*path, "ports"), container.get("ports") or [])
    yield from _environment((*path, "env"), container.get("env") or [])
    for index, mount in enumerate(container.get("volumeMounts") or []):
        if mount.get("name") is not None and mount["name"] not in volumes:
            yield FieldProblem(
                (*path, "volumeMounts", index, "name"),
                f'Not found: "{mount["name"]}"',
                "name a volume of spec.volumes",
            )
    for field in ("livenessProbe", "readinessProbe", "startupProbe"):
        yield from _probe((*path, field), container.get(field))
    yield from _resources((*path, "resources"), container.get("resources") or {})


def _image(path: Path, image: str) -> Iterator[FieldProblem]:
    if not image:
        yield required(path)
    elif image != image.strip():
        yield invalid(path, image, "must not have leading or trailing whitespace")


def _container_ports(path: Path, ports: list[Mapping]) -> Iterator[FieldProblem]:
    yield from _unique(path, [port.get("name") for port in ports])
    for index, port in enumerate(ports):
        name = port.get("name")
        if name and not names.is_port_name(name):
            yield invalid((*path, index, "name"), name, PORT_NAME_RULE)
        if port.get("containerPort") is not None:
            yield from fields.port_number((*path, index, "containerPort"), port["containerPort"])
        if port.get("hostPort"):
            yield from fields.port_number((*path, index, "hostPort"), port["hostPort"])


def _environment(path: Path, env: list[Mapping]) -> Iterator[FieldProblem]:
    for index, variable in enumerate(env):
        name = variable.get("name")
        if name is not None and not names.is_env_name(name):
            yield invalid(
                (*path, index, "name"),
                name,
                "a valid environment variable name must consist of alphabetic characters, digits, "
                "'_', '-', or '.', and must not start with a digit",
            )
        if variable.get("value") and variable.get("valueFrom"):
            yield invalid(
                (*path, index, "valueFrom"), "", "may not be specified when `value` is not empty"
            )


def _probe(path: Path, probe: Mapping | None) -> Iterator[FieldProblem]:
    if probe is None:
        return
    actions = [action for action in _PROBE_ACTIONS if probe.get(action)]
    if not actions:
        yield required(path, "must specify a handler type")
    for action in actions[1:]:
        yield forbidden((*path, action), "may not specify more than 1 handler type")
    for action in ("httpGet", "tcpSocket"):
        port = (probe.get(action) or {}).get("port")
        if isinstance(port, int):
            yield from fields.port_number((*path, action, "port"), port)
    for field in ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "failureThreshold"):
        yield from fields.non_negative((*path, field), probe.get(field))


def _resources(path: Path, resources: Mapping) -> Iterator[FieldProblem]:
    for field in ("limits", "requests"):
        for name, quantity in (resources.get(field) or {}).items():
            if not QUANTITY.fullmatch(str(quantity)):
                yield invalid((*path, field, name), quantity, _QUANTITY_RULE)


def _placement(path: Path, spec: Mapping) -> Iterator[FieldProblem]:
    yield from fields.labels((*path, "nodeSelector"), spec.get("nodeSelector") or {})
    if spec.get("nodeName"):
        yield from fields.dns_subdomain((*path, "nodeName"), spec["nodeName"])
    for index, toleration in enumerate(spec.get("tolerations") or []):
        yield from _toleration((*path, "tolerations", index), toleration)
    for index, rule in enumerate(spec.get("topologySpreadConstraints") or []):
        yield from _spread((*path, "topologySpreadConstraints", index), rule)
    for field in ("podAffinity", "podAntiAffinity"):
        rules = (spec.get("affinity") or {}).get(field) or {}
        yield from _neighbours((*path, "affinity", field), rules)


def _spread(path: Path, rule: Mapping) -> Iterator[FieldProblem]:
    if rule.get("maxSkew", 1) < 1:
        yield invalid((*path, "maxSkew"), rule["maxSkew"], "must be greater than zero")
    if rule.get("topologyKey") == "":
        yield required((*path, "topologyKey"), "can not be empty")
    if rule.get("minDomains") is not None and rule.get("whenUnsatisfiable") == "ScheduleAnyway":
        yield invalid(
            (*path, "minDomains"),
            rule["minDomains"],
            "can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ScheduleAnyway",
        )


def _neighbours(path: Path, rules: Mapping) -> Iterator[FieldProblem]:
    """podAffinity or podAntiAffinity."""
    required_, preferred = (f"{how}DuringSchedulingIgnoredDuringExecution" for how in _HOW)
    terms = [((*path, required_, i), term) for i, term in enumerate(rules.get(required_) or [])]
    for index, one in enumerate(rules.get(preferred) or []):
        where: Path = (*path, preferred, index)
        terms.append(((*where, "podAffinityTerm"), one.get("podAffinityTerm") or {}))
        if not 1 <= (one.get("weight") or 0) <= 100:
            yield invalid((*where, "weight"), one.get("weight"), "must be in the range 1-100")
    for where, term in terms:
        if term.get("topologyKey") == "":
            yield required((*where, "topologyKey"), "can not be empty")


def _toleration(path: Path, toleration: Mapping) -> Iterator[FieldProblem]:
    operator = toleration.get("operator") or "Equal"
    if toleration.get("key"):
        yield from fields.qualified_name((*path, "key"), toleration["key"])
    elif operator != "Exists":
        yield invalid(
            (*path, "operator"), operator, "operator must be Exists when `key` is empty, which "
            "means \"match all values and all keys\"",
        )  # fmt: skip
    if operator == "Exists" and toleration.get("value"):
        yield invalid(
            (*path, "operator"), operator, "value must be empty when `operator` is 'Exists'"
        )


def _names_and_dns(path: Path, spec: Mapping) -> Iterator[FieldProblem]:
    for field in ("hostname", "subdomain"):
        if spec.get(field):
            yield from fields.dns_label((*path, field), spec[field])
    config = spec.get("dnsConfig") or {}
    servers = config.get("nameservers") or []
    where: Path = (*path, "dnsConfig", "nameservers")
    if spec.get("dnsPolicy") == "None" and not servers:
        yield required(where, "must provide at least one DNS nameserver when `dnsPolicy` is None")
    if len(servers) > _MAX_NAMESERVERS:
        yield invalid(where, servers, f"must not have more than {_MAX_NAMESERVERS} nameservers")
    for index, server in enumerate(servers):
        yield from fields.address((*where, index), server)
    for index, alias in enumerate(spec.get("hostAliases") or []):
        yield from fields.address((*path, "hostAliases", index, "ip"), alias.get("ip") or "")


def _seconds(path: Path, spec: Mapping) -> Iterator[FieldProblem]:
    field = "terminationGracePeriodSeconds"
    yield from fields.non_negative((*path, field), spec.get(field))
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and deadline < 1:
        yield invalid(
            (*path, "activeDeadlineSeconds"),
            deadline,
            "must be between 1 and 2147483647, inclusive",
        )


def _unique(path: Path, found: Iterable[str | None]) -> Iterator[FieldProblem]:
    """Names in a list: none twice (absent ones do not count)."""
    seen: set[str] = set()
    for index, name in enumerate(found):
        if name and name in seen:
            yield duplicate((*path, index, "name"), name)
        if name:
            seen.add(name)
