"""What an API server of 1.33 itself warns of: what is taken, and hardly meant so. Pure.

Source: pkg/api/pod/warnings.go, pkg/api/node/util.go, pkg/api/service/warnings.go, and the
strategies' WarningsOnCreate.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from netlab.objects import meta, names, quantity
from netlab.objects.kinds import BY_KIND, pod_of
from netlab.objects.meta import Object
from netlab.objects.problems import Path, render_path

Fields = Mapping[str, Any]

_CONTAINERS = ("initContainers", "containers", "ephemeralContainers")
_DEPRECATED_LABELS = {
    "beta.kubernetes.io/arch": 'deprecated since v1.14; use "kubernetes.io/arch" instead',
    "beta.kubernetes.io/os": 'deprecated since v1.14; use "kubernetes.io/os" instead',
    "failure-domain.beta.kubernetes.io/region": (
        'deprecated since v1.17; use "topology.kubernetes.io/region" instead'
    ),
    "failure-domain.beta.kubernetes.io/zone": (
        'deprecated since v1.17; use "topology.kubernetes.io/zone" instead'
    ),
    "beta.kubernetes.io/instance-type": (
        'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead'
    ),
    "app.kubernetes.io/created-by": "deprecated since v1.9",
    "scheduler.alpha.kubernetes.io/preferAvoidPods": (
        "deprecated since v1.22; use Taints and Tolerations instead"
    ),
    "node-role.kubernetes.io/master": 'use "node-role.kubernetes.io/control-plane" instead',
}
_SYSCTLS = 'non-functional in v1.11+; use the "sysctls" field instead'
_DEPRECATED_ANNOTATIONS = {
    "scheduler.alpha.kubernetes.io/critical-pod": (
        'non-functional in v1.16+; use the "priorityClassName" field instead'
    ),
    "security.alpha.kubernetes.io/sysctls": _SYSCTLS,
    "security.alpha.kubernetes.io/unsafe-sysctls": _SYSCTLS,
}
_SECCOMP = r"non-functional in v1.27+; use the \"seccompProfile\" field instead"
_APPARMOR = r"deprecated since v1.30; use the \"appArmorProfile\" field instead"
"""With backslashes, as the API server writes them."""

_MATCHES_NONE = "a null labelSelector results in matching no pod"
_IN_BYTES = ("memory", "ephemeral-storage")
_HINTS = "service.kubernetes.io/topology-aware-hints"
_SURPRISING = "can result in surprising behavior; a DNS label is recommended"
_NAMED_IN_PODS = ("Deployment", "ReplicaSet", "ReplicationController", "Job", "CronJob")


def of_name(obj: Object) -> list[str]:
    """A line about a name that a pod's hostname cannot be; as it is created."""
    kind, name = obj.get("kind"), meta.name(obj)
    if kind == "Pod":
        used = "the Pod's hostname"
    elif kind in _NAMED_IN_PODS:
        used = "Pod names and hostnames"
    else:
        return []
    wrong = "must not contain dots" if "." in name else ""
    if len(name) > names.DNS_LABEL_MAX:
        longest = names.longest(names.DNS_LABEL_MAX)
        wrong = " ".join(filter(None, (wrong, longest)))
    return (
        [f"metadata.name: this is used in {used}, which {_SURPRISING}: [{wrong}]"] if wrong else []
    )


def warnings(obj: Object) -> list[str]:
    """The lines about an object that was taken."""
    kind = BY_KIND.get(str(obj.get("kind")))
    if kind is not None and kind.pod_path is not None:
        return list(_of_pod(pod_of(obj), kind.pod_path))
    annotations = obj["metadata"].get("annotations") or {}
    if obj.get("kind") == "Service" and _HINTS in annotations:
        instead = "service.kubernetes.io/topology-mode"
        return [f"annotation {_HINTS} is deprecated, please use {instead} instead"]
    return []


def _of_pod(pod: Fields, path: Path) -> Iterator[str]:
    spec: Fields = pod.get("spec") or {}
    inside = (*path, "spec")
    yield from _deprecated_labels(spec, inside)
    yield from _annotations(pod, path)
    yield from _repeated(spec, inside)
    yield from _fractions(spec.get("overhead") or {}, (*inside, "overhead"))
    for container, where in _containers(spec, inside):
        yield from _profiles(pod, container, path)
        for sort in ("limits", "requests"):
            amounts = (container.get("resources") or {}).get(sort) or {}
            yield from _fractions(amounts, (*where, "resources", sort))
        yield from _environment(container.get("env") or (), (*where, "env"))
    yield from _ports(spec, inside)
    grace = spec.get("terminationGracePeriodSeconds")
    if grace is not None and grace < 0:
        text = "must be >= 0; negative values are invalid and will be treated as 1"
        yield _line((*inside, "terminationGracePeriodSeconds"), text)
    yield from _selects_none(spec, inside)


def _containers(spec: Fields, path: Path) -> Iterator[tuple[Fields, Path]]:
    for field in _CONTAINERS:
        for index, container in enumerate(spec.get(field) or ()):
            yield container, (*path, field, index)


# -- labels of nodes ---------------------------------------------------------------------------


def _deprecated_labels(spec: Fields, path: Path) -> Iterator[str]:
    for key in sorted((spec.get("nodeSelector") or {}).keys() & _DEPRECATED_LABELS.keys()):
        yield f"{_keyed((*path, 'nodeSelector'), key)}: {_DEPRECATED_LABELS[key]}"
    for term, where in _node_terms(spec, path):
        for index, asked in enumerate(term.get("matchExpressions") or ()):
            yield from _deprecated((*where, "matchExpressions", index, "key"), asked.get("key"))
    for index, one in enumerate(spec.get("topologySpreadConstraints") or ()):
        where = (*path, "topologySpreadConstraints", index)
        yield from _deprecated((*where, "topologyKey"), one.get("topologyKey"))
        if one.get("labelSelector") is None:
            yield _line((*where, "labelSelector"), _MATCHES_NONE)


def _deprecated(path: Path, key: Any) -> Iterator[str]:
    if key in _DEPRECATED_LABELS:
        yield _line(path, f"{key} is {_DEPRECATED_LABELS[key]}")


def _node_terms(spec: Fields, path: Path) -> Iterator[tuple[Fields, Path]]:
    wanted: Fields = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    where = (*path, "affinity", "nodeAffinity")
    required, preferred = _REQUIRED, _PREFERRED
    terms = (wanted.get(required) or {}).get("nodeSelectorTerms") or ()
    for index, term in enumerate(terms):
        yield term, (*where, required, "nodeSelectorTerms", index)
    for index, term in enumerate(wanted.get(preferred) or ()):
        yield term.get("preference") or {}, (*where, preferred, index, "preference")


_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def _selects_none(spec: Fields, path: Path) -> Iterator[str]:
    affinity: Fields = spec.get("affinity") or {}
    for sort in ("podAffinity", "podAntiAffinity"):
        wanted: Fields = affinity.get(sort) or {}
        where = (*path, "affinity", sort)
        for index, term in enumerate(wanted.get(_REQUIRED) or ()):
            if term.get("labelSelector") is None:
                yield _line((*where, _REQUIRED, index, "labelSelector"), _MATCHES_NONE)
        for index, term in enumerate(wanted.get(_PREFERRED) or ()):
            if (term.get("podAffinityTerm") or {}).get("labelSelector") is None:
                place = (*where, _PREFERRED, index, "podAffinityTerm", "labelSelector")
                yield _line(place, _MATCHES_NONE)


# -- annotations -------------------------------------------------------------------------------


def _annotations(pod: Fields, path: Path) -> Iterator[str]:
    given, place = _annotated(pod), (*path, "metadata", "annotations")
    for key, text in _DEPRECATED_ANNOTATIONS.items():
        if key in given:
            yield f"{_keyed(place, key)}: {text}"
    key = "seccomp.security.alpha.kubernetes.io/pod"
    if key in given and not _has(pod.get("spec") or {}, "seccompProfile"):
        yield f"{_keyed(place, key)}: {_SECCOMP}"


def _profiles(pod: Fields, container: Fields, path: Path) -> Iterator[str]:
    """Annotations that are a container's, without the field that has taken their place."""
    given, place = _annotated(pod), (*path, "metadata", "annotations")
    name = str(container.get("name"))
    key = f"container.seccomp.security.alpha.kubernetes.io/{name}"
    if key in given and not _has(container, "seccompProfile"):
        yield f"{_keyed(place, key)}: {_SECCOMP}"
    key = f"container.apparmor.security.beta.kubernetes.io/{name}"
    has = any(_has(each, "appArmorProfile") for each in (pod.get("spec") or {}, container))
    if path and key in given and not has:
        yield f"{_keyed(place, key)}: {_APPARMOR}"


def _annotated(pod: Fields) -> Fields:
    return (pod.get("metadata") or {}).get("annotations") or {}


def _has(holder: Fields, profile: str) -> bool:
    return (holder.get("securityContext") or {}).get(profile) is not None


# -- what stands there twice -------------------------------------------------------------------


def _repeated(spec: Fields, path: Path) -> Iterator[str]:
    for field, key in (("hostAliases", "ip"), ("imagePullSecrets", "name")):
        seen = set[str]()
        for index, item in enumerate(spec.get(field) or ()):
            text = str(item.get(key) or "")
            if text in seen:
                yield _line((*path, field, index, key), f'duplicate {key} "{text}"')
            seen.add(text)
    for index, item in enumerate(spec.get("imagePullSecrets") or ()):
        if not item.get("name"):
            yield _line((*path, "imagePullSecrets", index, "name"), 'invalid empty name ""')


def _environment(variables: Iterable[Fields], path: Path) -> Iterator[str]:
    """One that takes another's place, and does not go on from it."""
    seen = set[str]()
    for index, variable in enumerate(variables):
        name, value = str(variable.get("name")), str(variable.get("value") or "")
        before = f"$({name})"
        goes_on = variable.get("valueFrom") is None and before in value and value != before
        if name in seen and not goes_on:
            text = f'hides previous definition of "{name}", which may be dropped when using apply'
            yield _line((*path, index), text)
        seen.add(name)


def _ports(spec: Fields, path: Path) -> Iterator[str]:
    seen: dict[tuple[int, str], list[tuple[Fields, Path]]] = {}
    for container, where in _containers(spec, path):
        for index, port in enumerate(container.get("ports") or ()):
            here = (*where, "ports", index)
            if port.get("hostIP") and not port.get("hostPort"):
                yield _line(here, f"hostIP set without hostPort: {_in_go(port)}")
            others = seen.setdefault((port["containerPort"], _protocol(port)), [])
            for other, there in others:
                if how := _conflict(port, other):
                    yield _line(here, f"{how} port definition with {render_path(there)}")
            others.append((port, here))


def _conflict(port: Fields, other: Fields) -> str:
    ips = [str(each.get("hostIP") or "") for each in (port, other)]
    numbers = [each.get("hostPort") or 0 for each in (port, other)]
    same = numbers[0] == numbers[1]
    if same and ips[0] == ips[1]:
        return "duplicate"
    if 0 in numbers:
        return "overlapping"
    return "dangerously ambiguous" if same and "" in ips else ""


def _protocol(port: Fields) -> str:
    return str(port.get("protocol") or "TCP")


def _in_go(port: Fields) -> str:
    """A port as Go prints it."""
    name, host = port.get("name") or "", port.get("hostPort") or 0
    head = f"Name:{name} HostPort:{host} ContainerPort:{port['containerPort']}"
    return f"{{{head} Protocol:{_protocol(port)} HostIP:{port['hostIP']}}}"


def _fractions(amounts: Fields, path: Path) -> Iterator[str]:
    for key in _IN_BYTES:
        if key in amounts and (quantity.parse(amounts[key]) * 1000 // 1) % 1000:
            text = f'fractional byte value "{amounts[key]}" is invalid, must be an integer'
            yield f"{_keyed(path, key)}: {text}"


def _line(path: Path, text: str) -> str:
    return f"{render_path(path)}: {text}"


def _keyed(path: Path, key: str) -> str:
    return f"{render_path(path)}[{key}]"
