"""A selector that matches no pod: what it may have meant, and where. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from netlab.diagnosis.facts import Cause, Facts, listed, pairs, selector
from netlab.diagnosis.remedies import patch
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
        said = f"{said}: {listed([_why_idle(one) for one in idle])}"
        return Cause("NoPodYet", said, remedy=_scaled_up(idle[0]))
    nearest, meant = _nearest(wanted, space, facts.pods)
    hints = [*nearest, *_elsewhere(wanted, space, facts.pods)]
    return Cause(
        "NoPodMatches",
        f"{said} ({'; '.join(hints)})" if hints else said,
        remedy=_corrected(service, wanted, meant) if meant else "",
    )


def _corrected(service: Service, wanted: Labels, meant: Mapping[str, str | None]) -> str:
    """The command that takes what comes nearest, which may be another's where it is not alike."""
    changed = ((wanted.get(key), value) for key, value in meant.items())
    unlike = any(was and value and _likeness(was, value) < _CLOSE for was, value in changed)
    note = "    # if it is meant" if unlike else ""
    return patch(service, {"spec": {"selector": meant}}) + note


def _scaled_up(workload: Workload) -> str:
    """The command that gives it a pod, where it is to have none."""
    if workload["kind"] == "DaemonSet" or workload["spec"].get("replicas") != 0:
        return ""
    name, space = meta.name(workload), meta.namespace(workload)
    where = "" if space == "default" else f" -n {space}"
    return f"netlab scale {workload['kind'].lower()} {name}{where} --replicas=1"


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


def _nearest(
    wanted: Labels, space: str, pods: Sequence[Pod]
) -> tuple[list[str], dict[str, str | None]]:
    """What pods of the namespace have that comes nearest: in words, and as what is to become of
    the selector (None: the key goes); {} where that is not known."""
    here = [meta.labels(pod) for pod in pods if meta.namespace(pod) == space]
    if not here:
        return [f"namespace {space} has no pod"], {}
    closest = min(len(_missing(wanted, labels)) for labels in here)
    if 0 < closest < len(wanted):
        here = [labels for labels in here if len(_missing(wanted, labels)) == closest]
    missing = _missing(wanted, here[0])
    near = {pair: _near_pair(*pair, here) for pair in missing}
    meant = sorted({pair for pair in near.values() if pair})
    if meant:
        return [f"nearest: {','.join(meant)}"], _corrections(near) if all(near.values()) else {}
    if closest < len(wanted):
        lacking = ",".join(f"{key}={value}" for key, value in missing)
        return [f"nearest: pods without {lacking}"], dict.fromkeys(dict(missing))
    return [], {}


def _corrections(near: Mapping[tuple[str, str], str]) -> dict[str, str | None]:
    found: dict[str, str | None] = {key: None for key, _ in near}
    for pair in near.values():
        key, _, value = pair.partition("=")
        found[key] = value
    return found


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
