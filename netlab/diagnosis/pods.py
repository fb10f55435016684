"""Why pods that a Service matches are no ready endpoints: the probe, the container, the node. Pure.

The words are Kubernetes' own, shortened to what differs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Literal

from netlab.diagnosis import probes
from netlab.diagnosis.facts import Cause, Facts, count, listed
from netlab.objects import meta
from netlab.objects.addresses import join_host_port
from netlab.objects.nodes import is_off
from netlab.objects.offers import addresses
from netlab.objects.podphase import is_pod_terminal
from netlab.objects.types import ContainerStatus, Pod

_MOST_REASONS = 3
_LONGEST = 160

_HTTP_STATUS = re.compile(r"HTTP probe failed with statuscode: (\d+)")
_PROBE = re.compile(r"(Readiness|Startup) probe (?:failed|errored and resulted in \S+ state): (.*)")
Statuses = Literal["initContainerStatuses", "containerStatuses"]
_STATUSES: tuple[tuple[str, Statuses], ...] = (
    ("init container", "initContainerStatuses"),
    ("container", "containerStatuses"),
)
_OF_PROBES = ("ReadinessProbeFails", "StartupProbeFails")
_OF_NODES = ("NodeOff", "NodeNotReady")
_UNSETTLED = ("ContainerCreating", "PodInitializing")


def not_ready(pods: Sequence[Pod], total: int, facts: Facts) -> Iterator[Cause]:
    """A cause for each reason why these, of `total` pods that match, are not ready."""
    by_reason: dict[tuple[str, str], list[Pod]] = {}
    for pod in pods:
        by_reason.setdefault(why_not_ready(pod, facts), []).append(pod)
    remedies = {
        why: _remedy(those[0], facts) for why, those in by_reason.items() if why[0] in _OF_PROBES
    }
    several = sorted(by_reason.items(), key=lambda entry: -len(entry[1]))
    for (reason, text), those in several[:_MOST_REASONS]:
        names = tuple(map(meta.name, those))
        nodes = tuple(sorted({str(meta.spec(pod).get("nodeName")) for pod in those}))
        mended = remedies.get((reason, text), "")
        yield Cause(
            reason,
            f"{_share(len(names), total)}, {text}",
            nodes=nodes if reason in _OF_NODES else (),
            pods=names,
            remedy=mended,
        )
    rest = [meta.name(pod) for _, those in several[_MOST_REASONS:] for pod in those]
    if rest:
        text = f"{_share(len(rest), total)}, not ready for other reasons: {listed(rest)}"
        yield Cause("PodsNotReady", text, pods=tuple(rest))


def _share(number: int, total: int) -> str:
    if number == total:
        return f"{count(number, 'pod')} {'matches' if number == 1 else 'match'}"
    return f"{number} of {total} pods that match"


def why_not_ready(pod: Pod, facts: Facts) -> tuple[str, str]:
    """(the kind of reason in CamelCase, `not ready: readiness probe HTTP 500`)."""
    if is_pod_terminal(pod):
        return "PodsEnded", f"ended: {_ended(pod)}"
    node = facts.node(str(meta.spec(pod).get("nodeName") or ""))
    state = "terminating" if meta.is_terminating(pod) else "not ready"
    if node is not None and is_off(node):
        return "NodeOff", f"{state}: node {meta.name(node)} is switched off"
    if node is not None and not meta.is_ready(node):
        return "NodeNotReady", f"{state}: node {meta.name(node)} is not ready"
    if meta.is_terminating(pod):
        return "PodsTerminating", "terminating"
    if not meta.spec(pod).get("nodeName"):
        return "PodsUnscheduled", f"not scheduled: {_unscheduled(pod)}"
    for reason, text in (*_containers(pod), *_sandbox(pod, facts), *_by_probes(pod, facts)):
        return reason, f"not ready: {text}"
    return "PodsNotReady", f"not ready: {_condition_text(pod)}"


def _ended(pod: Pod) -> str:
    status = meta.status(pod)
    if status.get("message"):
        return _short(str(status["message"]))
    ends = [_end(one) for one in status.get("containerStatuses") or []]
    return next((end for end in ends if end), str(status["phase"]))


def _end(container: ContainerStatus) -> str:
    """`exit code 1`, of a container that has ended with another than 0."""
    for state in ("state", "lastState"):
        ended = (container.get(state) or {}).get("terminated")
        if ended and ended.get("exitCode"):
            reason = ended.get("reason")
            said = f" ({reason})" if reason and reason not in ("Error", "Completed") else ""
            return f"exit code {ended['exitCode']}{said}"
    return ""


def _unscheduled(pod: Pod) -> str:
    scheduled = meta.condition(pod, "PodScheduled")
    message = (scheduled and scheduled.get("message")) or "no node was chosen yet"
    return _short(message.partition(" preemption: ")[0])  # why nobody else makes room, too


def _containers(pod: Pod) -> Iterator[tuple[str, str]]:
    """What a container that does not run is waiting for, or how it ended."""
    status = meta.status(pod)
    for what, field in _STATUSES:
        for container in status.get(field) or []:
            if text := _stopped(container, is_init=field.startswith("init")):
                name = container["name"]
                alone = what == "container" and len(status.get(field) or []) == 1
                yield "ContainersNotRunning", text if alone else f"{what} {name} {text}"


def _stopped(container: ContainerStatus, *, is_init: bool) -> str:
    """`CrashLoopBackOff: exit code 1`, `exit code 0`; "" of one that runs, or has done its work."""
    state = container.get("state") or {}
    if waiting := state.get("waiting"):
        reason = str(waiting.get("reason") or "waiting")
        end = _end(container) if "Crash" in reason else ""
        why = end or str(waiting.get("message") or "")
        unsaid = reason in _UNSETTLED and not why
        return "" if unsaid else f"{reason}: {_short(why)}" if why else reason
    if "terminated" in state:
        code = state["terminated"].get("exitCode")
        return "" if is_init and code == 0 else f"ended with exit code {code}"
    # A sidecar is ready when it has started; any other init container has to end first.
    return "has not ended" if is_init and "running" in state and not container.get("ready") else ""


def _sandbox(pod: Pod, facts: Facts) -> Iterator[tuple[str, str]]:
    """What keeps a pod from having containers at all."""
    if (meta.status(pod).get("podIPs") or meta.status(pod).get("podIP")) and _running(pod):
        return
    for reason in ("FailedCreatePodSandBox", "FailedMount", "Failed"):
        for event in facts.events_of(pod, reason)[-1:]:
            yield "ContainersNotRunning", _short(str(event.get("message") or reason))


def _running(pod: Pod) -> bool:
    states = [one.get("state") or {} for one in meta.status(pod).get("containerStatuses") or []]
    return bool(states) and all("running" in state for state in states)


def _by_probes(pod: Pod, facts: Facts) -> Iterator[tuple[str, str]]:
    """The last failure of a readiness or startup probe."""
    if not _running(pod):
        return
    if (found := _last_failure(pod, facts)) is not None:
        kind, said = found
        deaf = probes.refused(said, pod, facts)
        failure = f"failed: {deaf}" if deaf else _failure(_without_address(said, pod))
        yield f"{kind}ProbeFails", f"{kind.lower()} probe {failure}"
        return
    if any(container.get("readinessProbe") for container in meta.spec(pod).get("containers") or []):
        yield "ReadinessProbeFails", "readiness probe has not succeeded yet"


def _last_failure(pod: Pod, facts: Facts) -> tuple[str, str] | None:
    """(Readiness or Startup, what the probe met)."""
    for event in reversed(facts.events_of(pod, "Unhealthy")):
        if found := _PROBE.match(str(event.get("message") or "").replace("\n", " ")):
            return found[1], found[2]
    return None


def _remedy(pod: Pod, facts: Facts) -> str:
    found = _last_failure(pod, facts)
    return probes.remedy(found[1], found[0], pod, facts) if found is not None else ""


def _without_address(message: str, pod: Pod) -> str:
    """`dial tcp :8080: …`: what is the same for all pods reads the same, and is said once."""
    for ip in addresses(pod):
        message = message.replace(join_host_port(ip, ""), ":")
    return message


def _failure(message: str) -> str:
    if status := _HTTP_STATUS.match(message):
        return f"HTTP {status[1]}"
    return f"failed: {_short(message.strip())}" if message.strip() else "failed"


def _condition_text(pod: Pod) -> str:
    """What its Ready condition says, or its phase."""
    ready = meta.condition(pod, "Ready")
    text = (ready and (ready.get("message") or ready.get("reason"))) or ""
    return _short(text or f"{meta.status(pod).get('phase') or 'Pending'}, it has just begun")


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"
