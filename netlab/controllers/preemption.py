"""Whom a pod may drive out that no node has room for: pods that matter less. Pure.

Source: pkg/scheduler/framework/preemption and plugins/defaultpreemption.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from msgspec import Struct

from netlab.objects import meta, priorities
from netlab.objects.priorities import priority
from netlab.objects.types import Pod

NEVER = "not eligible due to preemptionPolicy=Never."
WAITING = "not eligible due to a terminating pod on the nominated node."
NOT_HELPFUL = "Preemption is not helpful for scheduling"
NO_VICTIMS = "No preemption victims found for incoming pod"
REASON = "PreemptionByScheduler"

_AT_LEAST = 2**31
"""What makes the lowest priority positive, so that more pods are more."""

Reasons = Callable[[Sequence[Pod]], list[str]]
"""Why a pod would not fit on a node that has these pods alone."""


class Victims(Struct, frozen=True):
    """Whom a pod drives out of a node, the most important first; or `why` nobody would help."""

    pods: tuple[Pod, ...] = ()
    why: tuple[str, ...] = ()


def victims(pod: Pod, present: Iterable[Pod], reasons: Reasons) -> Victims:
    """As few as may be of those that the node has: all that matter less make room, and come back
    one by one as far as they fit."""
    lower: list[Pod] = []
    kept: list[Pod] = []
    for other in present:
        (lower if priority(other) < priority(pod) else kept).append(other)
    if not lower:
        return Victims(why=(NO_VICTIMS,))
    if why := reasons(kept):
        return Victims(why=tuple(why))
    gone = []
    for other in sorted(lower, key=_importance):
        if reasons([*kept, other]):
            gone.append(other)
        else:
            kept.append(other)
    return Victims(tuple(gone))


def _importance(pod: Pod) -> tuple[int, str]:
    """Sorts pods, the most important first: of equals those that have run the longest."""
    return -priority(pod), meta.status(pod).get("startTime") or "~"


def best(candidates: Mapping[str, Sequence[Pod]]) -> str:
    """The node where driving out these pods does the least harm."""
    return min(candidates, key=lambda node: _harm(candidates[node]))


def _harm(pods: Sequence[Pod]) -> tuple[object, ...]:
    highest = max(map(priority, pods))
    started = min(_importance(pod)[1] for pod in pods if priority(pod) == highest)
    later_is_better = tuple(-ord(letter) for letter in started)
    total = sum(priority(pod) + _AT_LEAST for pod in pods)
    return highest, total, len(pods), later_is_better


def excuse(pod: Pod, on_nominated: Iterable[Pod]) -> str:
    """Why the pod may drive out nobody now, of those on the node nominated for it; "" if it may."""
    if meta.spec(pod).get("preemptionPolicy") == priorities.POLICIES[0]:
        return NEVER
    if any(priority(one) < priority(pod) and _is_leaving(one) for one in on_nominated):
        return WAITING
    return ""


def _is_leaving(pod: Pod) -> bool:
    """Whether it has been driven out, and ends."""
    condition = meta.condition(pod, "DisruptionTarget")
    is_ours = condition is not None and condition.get("reason") == REASON
    return meta.is_terminating(pod) and is_ours


def explain(total: int, asked: Iterable[Victims]) -> str:
    """Why nobody was driven out, of `total` nodes of which these were asked."""
    reasons: Counter[str] = Counter()
    number = 0
    for one in asked:
        number += 1
        reasons.update(one.why)
    if number < total:
        reasons[NOT_HELPFUL] = total - number
    text = ", ".join(sorted(f"{count} {reason}" for reason, count in reasons.items()))
    return f"0/{total} nodes are available: {text}."
