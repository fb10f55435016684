"""What a Job's podFailurePolicy says of a pod that failed. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from netlab.objects import meta
from netlab.objects.types import (
    ContainerStateTerminated,
    ContainerStatus,
    Job,
    Pod,
    PodFailurePolicyOnExitCodesRequirement,
    PodFailurePolicyRule,
)


def rule_of(job: Job, pod: Pod) -> tuple[str, str]:
    """(action, message) of the rule of the podFailurePolicy that a failed pod matches."""
    policy = meta.spec(job).get("podFailurePolicy")
    for number, rule in enumerate(policy["rules"] if policy else ()):
        why = _match(rule, pod)
        if why:
            return rule["action"], f"{why} matching {rule['action']} rule at index {number}"
    return "", ""


def counts(job: Job, pod: Pod) -> bool:
    """Whether a pod's failure is one of the Job's."""
    return rule_of(job, pod)[0] != "Ignore"


def _match(rule: PodFailurePolicyRule, pod: Pod) -> str:
    codes = rule.get("onExitCodes")
    if codes is not None:
        return next(_matching_codes(codes, pod), "")
    for pattern in rule.get("onPodConditions") or ():
        found = meta.condition(pod, pattern["type"])
        if found and found.get("status") == pattern.get("status", "True"):
            return f"Pod {meta.key(pod)} has condition {pattern['type']}"
    return ""


def _matching_codes(codes: PodFailurePolicyOnExitCodesRequirement, pod: Pod) -> Iterator[str]:
    status = meta.status(pod)
    for field in ("containerStatuses", "initContainerStatuses"):
        for entry in status.get(field) or ():
            code = end_of(entry).get("exitCode", 0)
            wanted = codes.get("containerName", entry["name"]) == entry["name"]
            if code and wanted and (code in codes["values"]) is (codes["operator"] == "In"):
                yield (
                    f"Container {entry['name']} for pod {meta.key(pod)} failed with exit code "
                    f"{code}"
                )


def end_of(container: ContainerStatus) -> ContainerStateTerminated:
    """How a container ended; one that has not did so with code 0."""
    state = container.get("state")
    ended = state.get("terminated") if state else None
    return ended or {"exitCode": 0}
