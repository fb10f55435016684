"""What a pod's spec may say, in a Pod or in a template."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from netlab.objects import (
    fields,
    names,
    validate_container,
    validate_ephemeral,
    validate_security_context,
    validate_volumes,
    visiting,
)
from netlab.objects.meta import Object
from netlab.objects.problems import (
    FieldProblem,
    Path,
    duplicate,
    forbidden,
    invalid,
    not_supported,
    required,
)

Mapping = dict[str, Any]

CONTAINER_FIELDS = ("initContainers", "containers", "ephemeralContainers")
_HOW = ("required", "preferred")
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_MAX_CONTAINERS = 128
"""Of all kinds together."""
_MAX_NAMESERVERS = 3
_MAX_SEARCHES = 32
_MAX_SEARCH_CHARACTERS = 2048
_NAMES_OF_OTHERS = ("nodeName", "priorityClassName", "runtimeClassName", "serviceAccountName")


def pod(obj: Object) -> Iterator[FieldProblem]:
    """A Pod."""
    spec = obj.get("spec") or {}
    yield from pod_spec(("spec",), spec)
    yield from validate_ephemeral.containers(("spec", "ephemeralContainers"), spec)
    yield from validate_volumes.ephemeral_names((obj.get("metadata") or {}).get("name"), spec)


def pod_spec(path: Path, spec: Mapping) -> Iterator[FieldProblem]:
    """A pod's spec at `path`, field by field in the order of ValidatePodSpec."""
    yield from visiting.by_fields(path, visiting.POD_SPEC, _of_spec(path, spec))


def _of_spec(path: Path, spec: Mapping) -> Iterator[FieldProblem]:
    containers, taken = _each_container(path, spec)
    yield from validate_volumes.volumes((*path, "volumes"), spec.get("volumes") or [], taken)
    if not spec.get("containers"):
        yield required((*path, "containers"))
    yield from _containers(path, spec)
    yield from containers
    yield from _lasting_or_not(path, spec)
    yield from validate_security_context.of_pod(
        (*path, "securityContext"), spec.get("securityContext") or {}
    )
    if spec.get("hostPID") and spec.get("shareProcessNamespace"):
        both = "ShareProcessNamespace and HostPID cannot both be enabled"
        yield invalid((*path, "securityContext", "shareProcessNamespace"), True, both)
    yield from _placement(path, spec)
    yield from _names(path, spec)
    yield from _dns(path, spec)
    yield from _seconds(path, spec)
    yield from fields.texts_without_nul(path, spec)


def _each_container(path: Path, spec: Mapping) -> tuple[list[FieldProblem], set[str]]:
    """What is wrong with the containers by themselves, and the names of volumes that they mount."""
    known = {volume.get("name") for volume in spec.get("volumes") or []} - {None}
    taken: set[str] = set()
    found = [
        problem
        for field in ("containers", "initContainers", "ephemeralContainers")
        for index, container in enumerate(spec.get(field) or [])
        for problem in validate_container.container((*path, field, index), container, taken, known)
    ]
    return found, taken


def _containers(path: Path, spec: Mapping) -> Iterator[FieldProblem]:
    every = [one for field in CONTAINER_FIELDS for one in spec.get(field) or []]
    yield from fields.at_most((*path, "containers"), every, _MAX_CONTAINERS)
    yield from _host_ports((*path, "containers"), spec.get("containers") or [])
    yield from _of_host_network(path, spec)
    for index, one in enumerate(spec.get("initContainers") or []):  # these come one after the other
        yield from _host_ports((*path, "initContainers"), [one], index)


def _lasting_or_not(path: Path, spec: Mapping) -> Iterator[FieldProblem]:
    """What only containers that run on may have."""
    for index, one in enumerate(spec.get("containers") or []):
        if one.get("restartPolicy") is not None:
            where: Path = (*path, "containers", index, "restartPolicy")
            yield forbidden(where, "may not be set for non-init containers")
    for index, one in enumerate(spec.get("initContainers") or []):
        where, policy = (*path, "initContainers", index), one.get("restartPolicy")
        if policy is not None and policy != "Always":
            yield not_supported((*where, "restartPolicy"), policy, ["Always"])
        if policy is None:
            for field in ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe"):
                if one.get(field) is not None:
                    yield forbidden((*where, field), _NO_SIDECAR)


_NO_SIDECAR = "may not be set for init containers without restartPolicy=Always"


def _of_host_network(path: Path, spec: Mapping) -> Iterator[FieldProblem]:
    """Where the pod's ports are the node's."""
    for field in ("containers", "initContainers") if spec.get("hostNetwork") else ():
        for number, one in enumerate(spec.get(field) or []):
            for index, port in enumerate(one.get("ports") or []):
                host = port.get("hostPort")
                if host and host != port.get("containerPort"):
                    where = (*path, field, number, "ports", index, "hostPort")
                    yield invalid(where, host, "must match `containerPort`")


def _host_ports(path: Path, containers: list[Mapping], first: int = 0) -> Iterator[FieldProblem]:
    """None may be asked for twice."""
    seen: set[str] = set()
    for number, container in enumerate(containers, first):
        for index, port in enumerate(container.get("ports") or []):
            if not port.get("hostPort"):
                continue
            claim = f"{port.get('protocol') or 'TCP'}/{port.get('hostIP') or ''}/{port['hostPort']}"
            if claim in seen:
                yield duplicate((*path, number, "ports", index, "hostPort"), claim)
            seen.add(claim)


def _placement(path: Path, spec: Mapping) -> Iterator[FieldProblem]:
    yield from fields.labels((*path, "nodeSelector"), spec.get("nodeSelector") or {})
    for index, toleration in enumerate(spec.get("tolerations") or []):
        yield from _toleration((*path, "tolerations", index), toleration)
    for index, rule in enumerate(spec.get("topologySpreadConstraints") or []):
        yield from _spread((*path, "topologySpreadConstraints", index), rule)
    wanted = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    if (terms := wanted.get(_REQUIRED)) is not None and not terms.get("nodeSelectorTerms"):
        where: Path = (*path, "affinity", "nodeAffinity", _REQUIRED, "nodeSelectorTerms")
        yield required(where, "must have at least one node selector term")
    for index, gate in enumerate(spec.get("readinessGates") or []):
        if gate.get("conditionType") is not None:
            where = (*path, "readinessGates", index, "conditionType")
            yield from fields.qualified_name(where, gate["conditionType"])
    yield from _gates((*path, "schedulingGates"), spec.get("schedulingGates") or [])
    for field in ("podAffinity", "podAntiAffinity"):
        rules = (spec.get("affinity") or {}).get(field) or {}
        yield from _neighbours((*path, "affinity", field), rules)


def _gates(path: Path, gates: list[Mapping]) -> Iterator[FieldProblem]:
    names_ = [gate.get("name") or "" for gate in gates]
    for index, name in enumerate(names_):
        yield from fields.qualified_name((*path, index), name)
        if name in names_[:index]:
            yield duplicate((*path, index), name)


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
    operator, effect = toleration.get("operator") or "Equal", toleration.get("effect") or ""
    if toleration.get("key"):
        yield from fields.qualified_name((*path, "key"), toleration["key"])
    elif operator != "Exists":
        yield invalid(
            (*path, "operator"), operator, "operator must be Exists when `key` is empty, which "
            "means \"match all values and all keys\"",
        )  # fmt: skip
    if toleration.get("tolerationSeconds") is not None and effect != "NoExecute":
        detail = "effect must be 'NoExecute' when `tolerationSeconds` is set"
        yield invalid((*path, "effect"), effect, detail)
    if operator == "Exists" and toleration.get("value"):
        detail = "value must be empty when `operator` is 'Exists'"
        yield invalid((*path, "operator"), toleration["value"], detail)


def _names(path: Path, spec: Mapping) -> Iterator[FieldProblem]:
    for field in _NAMES_OF_OTHERS:
        if spec.get(field):
            yield from fields.dns_subdomain((*path, field), spec[field])
    for field in ("hostname", "subdomain"):
        if spec.get(field):
            yield from fields.dns_label((*path, field), spec[field])
    for index, alias in enumerate(spec.get("hostAliases") or []):
        where: Path = (*path, "hostAliases", index)
        address = alias.get("ip") or ""
        yield from fields.lenient_address((*where, "ip"), address)
        for position, name in enumerate(alias.get("hostnames") or []):
            yield from fields.dns_subdomain((*where, "hostnames", position), name)


def _dns(path: Path, spec: Mapping) -> Iterator[FieldProblem]:
    config = spec.get("dnsConfig") or {}
    where: Path = (*path, "dnsConfig")
    servers = config.get("nameservers") or []
    if spec.get("dnsPolicy") == "None" and spec.get("dnsConfig") is None:
        yield required(where, "must provide `dnsConfig` when `dnsPolicy` is None")
    elif spec.get("dnsPolicy") == "None" and not servers:
        yield required(
            (*where, "nameservers"),
            "must provide at least one DNS nameserver when `dnsPolicy` is None",
        )
    if len(servers) > _MAX_NAMESERVERS:
        detail = f"must not have more than {_MAX_NAMESERVERS} nameservers"
        yield invalid((*where, "nameservers"), servers, detail)
    for index, server in enumerate(servers):
        yield from fields.lenient_address((*where, "nameservers", index), server)
    yield from _searches((*where, "searches"), config.get("searches") or [])
    for index, option in enumerate(config.get("options") or []):
        yield from _resolver_option((*where, "options", index), option)


def _searches(path: Path, searches: list[str]) -> Iterator[FieldProblem]:
    if len(searches) > _MAX_SEARCHES:
        yield invalid(path, searches, f"must not have more than {_MAX_SEARCHES} search paths")
    if len(" ".join(searches)) > _MAX_SEARCH_CHARACTERS:
        detail = (
            f"must not have more than {_MAX_SEARCH_CHARACTERS} characters (including spaces) in "
            "the search list"
        )
        yield invalid(path, searches, detail)
    for index, search in enumerate(searches):
        if not names.is_dns_search(search):
            yield invalid((*path, index), search, names.DNS_SUBDOMAIN_RULE)


def _resolver_option(path: Path, option: Mapping) -> Iterator[FieldProblem]:
    """An option stands on a line of resolv.conf, whatever it is."""
    if not option.get("name"):
        yield required(path, "must not be empty")
    for field in ("name", "value"):
        text = option.get(field) or ""
        if not all(sign.isprintable() and sign != " " for sign in text):
            yield invalid((*path, field), text, "must be a word: without spaces and line breaks")


def _seconds(path: Path, spec: Mapping) -> Iterator[FieldProblem]:
    field = "terminationGracePeriodSeconds"
    yield from fields.non_negative((*path, field), spec.get(field))
    deadline = "activeDeadlineSeconds"
    yield from fields.in_range((*path, deadline), spec.get(deadline), 1, 2**31 - 1)
