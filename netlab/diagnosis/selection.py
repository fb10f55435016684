"""A selector that matches no pod: what it may have meant, and where. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from netlab.diagnosis.facts import Cause, Facts, listed, pairs, selector
from netlab.objects import meta
from netlab.objects.types import Pod, Service, Workload

_CLOSE = 0.5
"""How alike two words are, from 0 to 1, for one to be taken for the other mistyped."""
_FEW = 3

Labels = Mapping[str, str]


def no_pod(service: Service, facts: Facts) -> Cause:
    """Why the selector of a Service matches no pod of its namespace."""
    wanted, space = selector(service), meta.namespace(service)
    said = f"selector {pairs(wanted)} matches no pod"
    idle = [one for one in facts.workloads if _would_match(one, space, wanted)]
    if idle:
        return Cause("NoPodYet", f"{said}: {listed([_why_idle(one) for one in idle])}")
    hints = [*_nearest(wanted, space, facts.pods), *_elsewhere(wanted, space, facts.pods)]
    return Cause("NoPodMatches", f"{said} ({'; '.join(hints)})" if hints else said)


def _would_match(workload: Workload, space: str, wanted: Labels) -> bool:
    template = workload["spec"]["template"].get("metadata") or {}
    mine = meta.namespace(workload) == space and meta.controller_of(workload) is None
    return mine and wanted.items() <= (template.get("labels") or {}).items()


def _why_idle(workload: Workload) -> str:
    """Why a workload whose pods would match has none."""
    name = f"{workload['kind']} {meta.name(workload)}"
    if workload["kind"] != "DaemonSet" and workload["spec"].get("replicas") == 0:
        return f"{name} has 0 replicas"
    failure = meta.condition(workload, "ReplicaFailure")
    why = f": {failure['message']}" if failure and failure.get("message") else " yet"
    return f"{name} has made none{why}"


def _nearest(wanted: Labels, space: str, pods: Sequence[Pod]) -> Iterator[str]:
    """What pods of the namespace have that comes nearest."""
    here = [meta.labels(pod) for pod in pods if meta.namespace(pod) == space]
    if not here:
        yield f"namespace {space} has no pod"
        return
    closest = min(len(_missing(wanted, labels)) for labels in here)
    if 0 < closest < len(wanted):
        here = [labels for labels in here if len(_missing(wanted, labels)) == closest]
    missing = _missing(wanted, here[0])
    meant = {near for key, value in missing for near in [_near_pair(key, value, here)] if near}
    if meant:
        yield f"nearest: {','.join(sorted(meant))}"
    elif closest < len(wanted):
        lacking = ",".join(f"{key}={value}" for key, value in missing)
        yield f"nearest: pods without {lacking}"


def _missing(wanted: Labels, labels: Labels) -> list[tuple[str, str]]:
    return sorted(wanted.items() - labels.items())


def _near_pair(key: str, value: str, here: Iterable[Labels]) -> str:
    """The `key=value` of these labels that the missing one comes closest to, or ""."""
    present = {pair for labels in here for pair in labels.items()}
    values = sorted(other for name, other in present if name == key)
    if values:
        likeness, other = max((_likeness(value, other), other) for other in values)
        return f"{key}={other}" if likeness >= _CLOSE or len(values) <= _FEW else ""
    names = sorted(pair for pair in present if _likeness(key, pair[0]) >= _CLOSE)
    names = [pair for pair in names if pair[1] == value] or names
    if not names:
        names = sorted(pair for pair in present if pair[1] == value)
    likeness, name, other = max(
        ((_likeness(key, name) + _likeness(value, other), name, other) for name, other in names),
        default=(0.0, "", ""),
    )
    return f"{name}={other}" if name else ""


def _likeness(one: str, other: str) -> float:
    from difflib import SequenceMatcher  # slow to import, needed on mistakes only

    return SequenceMatcher(None, one.lower(), other.lower()).ratio()


def _elsewhere(wanted: Labels, space: str, pods: Sequence[Pod]) -> Iterator[str]:
    """Pods of other namespaces that the selector would match: it sees those of its own alone."""
    others = sorted(
        {
            meta.namespace(pod)
            for pod in pods
            if meta.namespace(pod) != space and wanted.items() <= meta.labels(pod).items()
        }
    )
    if others:
        spaces = "namespaces" if len(others) > 1 else "namespace"
        verb = "pods with {} are in" if len(others) > 1 else "a pod with {} is in"
        yield f"{verb.format(pairs(wanted))} {spaces} {listed(others)}"
