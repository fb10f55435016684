"""Which node a pod may go to, and which of those it should: pure predicates and a rank.

Filters are asked in kube-scheduler's order, and the first that refuses a node names the reason,
in its words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Protocol

from msgspec import Struct

from netlab.objects import meta, selectors
from netlab.objects.hostports import NO_FREE_PORTS, HostPort, clash, host_ports
from netlab.objects.types import (
    Node,
    NodeAffinity,
    NodeSelector,
    NodeSelectorTerm,
    Pod,
    Taint,
    Toleration,
)

NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = "node.kubernetes.io/unreachable"
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
LOST = (NOT_READY, UNREACHABLE)
REFUSING = ("NoSchedule", "NoExecute")
AFFINITY = "node(s) didn't match Pod's node affinity/selector"


def taints(node: Node) -> list[Taint]:
    """The node's taints, with the one its not being Ready amounts to, should that be missing."""
    given = list(meta.spec(node).get("taints") or [])
    if not meta.is_ready(node) and not any(taint["key"] in LOST for taint in given):
        given.append({"key": NOT_READY, "effect": "NoSchedule"})
    return given


def tolerates(toleration: Toleration, taint: Taint) -> bool:
    """Whether this toleration covers this taint."""
    if toleration.get("effect") and toleration["effect"] != taint.get("effect"):
        return False
    if toleration.get("key") and toleration["key"] != taint["key"]:
        return False
    if toleration.get("operator", "Equal") == "Exists":
        return True
    same_value = (toleration.get("value") or "") == (taint.get("value") or "")
    return bool(toleration.get("key")) and same_value


def untolerated(pod: Pod, node: Node, effects: tuple[str, ...]) -> list[Taint]:
    """The node's taints of these effects that the pod does not bear."""
    tolerations = meta.spec(pod).get("tolerations") or []
    return [
        taint
        for taint in taints(node)
        if taint.get("effect") in effects and not any(tolerates(t, taint) for t in tolerations)
    ]


def refusal(pod: Pod, node: Node, used_ports: Iterable[HostPort] = ()) -> str | None:
    """Why the pod cannot go to the node, or None if it can.

    `used_ports`: the hostPorts taken on the node.
    """
    if meta.spec(node).get("unschedulable") and not _bears_unschedulable(pod):
        return "node(s) were unschedulable"
    bad = untolerated(pod, node, REFUSING)
    if bad:
        return f"node(s) had untolerated taint {{{bad[0]['key']}: {bad[0].get('value') or ''}}}"
    if not matches_affinity(pod, node):
        return AFFINITY
    if clash(host_ports(pod), used_ports):
        return NO_FREE_PORTS
    return None


def _nothing_lacks(pod: Pod, node: Node) -> list[str]:
    """Where nobody counts."""
    del pod, node
    return []


def _bears_unschedulable(pod: Pod) -> bool:
    taint: Taint = {"key": UNSCHEDULABLE, "effect": "NoSchedule"}
    return any(tolerates(t, taint) for t in meta.spec(pod).get("tolerations") or [])


def differs(old: Node, new: Node) -> bool:
    """Whether a node changed in anything that is looked at here."""
    if meta.is_ready(old) != meta.is_ready(new) or meta.labels(old) != meta.labels(new):
        return True
    if meta.status(old).get("allocatable") != meta.status(new).get("allocatable"):
        return True
    fields = ("unschedulable", "taints")
    return any(meta.spec(old).get(field) != meta.spec(new).get(field) for field in fields)


def evicts(pod: Pod, node: Node) -> bool:
    """Whether the node no longer is one for this pod, though it may run there already."""
    return not matches_affinity(pod, node) or bool(untolerated(pod, node, ("NoExecute",)))


def seconds_borne(pod: Pod, node: Node) -> float | None:
    """How long the pod stays in spite of the node's NoExecute taints; None means for ever."""
    limits: list[float] = []
    for taint in taints(node):
        if taint.get("effect") != "NoExecute":
            continue
        bearing = [t for t in meta.spec(pod).get("tolerations") or [] if tolerates(t, taint)]
        if not bearing:
            return 0
        limits += [t["tolerationSeconds"] for t in bearing if "tolerationSeconds" in t]
    return max(0, min(limits)) if limits else None


def matches_affinity(pod: Pod, node: Node) -> bool:
    """nodeSelector and the required nodeAffinity both hold."""
    wanted = meta.spec(pod).get("nodeSelector") or {}
    if not wanted.items() <= meta.labels(node).items():
        return False
    required = _node_affinity(pod).get("requiredDuringSchedulingIgnoredDuringExecution")
    return required is None or selects(required, node)


def selects(selector: NodeSelector, node: Node) -> bool:
    """Whether any of a selector's terms matches the node."""
    return any(_term_matches(term, node) for term in selector.get("nodeSelectorTerms") or [])


def _node_affinity(pod: Pod) -> NodeAffinity:
    return (meta.spec(pod).get("affinity") or {}).get("nodeAffinity") or {}


def _term_matches(term: NodeSelectorTerm, node: Node) -> bool:
    """A term's expressions and fields together; an empty term matches nothing."""
    expressions, fields = term.get("matchExpressions"), term.get("matchFields")
    if not expressions and not fields:
        return False
    by_label = selectors.from_label_selector({"matchExpressions": expressions or []})
    by_field = selectors.from_label_selector({"matchExpressions": fields or []})
    return by_label.matches(meta.labels(node)) and by_field.matches(
        {"metadata.name": meta.name(node)}
    )


def rank(
    pod: Pod, node: Node, of_owner: int, of_all: int, by_affinity: tuple[int, int] = (0, 0)
) -> tuple[object, ...]:
    """Sorts fitting nodes, the best first; the name decides between equals.

    `of_owner`, `of_all`: pods of the same owner, and of any, that the node has.
    """
    disliked = len(untolerated(pod, node, ("PreferNoSchedule",)))
    return disliked, -_preference(pod, node), *by_affinity, of_owner, of_all, meta.name(node)


def _preference(pod: Pod, node: Node) -> int:
    """The summed weights of the preferred nodeAffinity terms that hold."""
    preferred = _node_affinity(pod).get("preferredDuringSchedulingIgnoredDuringExecution") or []
    return sum(
        int(term.get("weight") or 0)
        for term in preferred
        if _term_matches(term.get("preference") or {}, node)
    )


def explain(total: int, refusals: Counter[str]) -> str:
    """`0/3 nodes are available: 2 node(s) were unschedulable, …` as kube-scheduler says it."""
    if not total:
        return "no nodes available to schedule pods"
    reasons = sorted(f"{count} {reason}" for reason, count in refusals.items())
    return f"0/{total} nodes are available: {', '.join(reasons)}."


def explain_whole(total: int, why: str) -> str:
    """The same of what keeps the pod from all nodes alike."""
    return f"0/{total} nodes are available: {why}."


class Placement(Struct, frozen=True):
    """The best node, or why there is none, and the nodes that might do if they had fewer pods."""

    node: str | None = None
    why: str = ""
    crowded: tuple[Node, ...] = ()


UNRESOLVABLE = (
    "node(s) were unschedulable", "node(s) had untolerated taint", AFFINITY,
    "node(s) didn't match pod affinity rules", "node(s) had volume node affinity conflict",
    "node(s) didn't match pod topology spread constraints (missing required label)",
)  # fmt: skip
"""How reasons begin that hold whatever pods the node has."""


class SchedulerPlugin(Protocol):
    """Who else has a say about where a pod may go: other pods (see `interpod_affinity`)."""

    def refusal(self, node: Node) -> str | None:
        """Why the pod cannot go to the node, or None."""

    def rank(self, node: Node) -> tuple[int, int]:
        """Sorts nodes, the best first."""


def place(
    pod: Pod,
    nodes: Iterable[Node],
    load: Callable[[str], tuple[int, int, list[HostPort]]],
    affinity: SchedulerPlugin | None = None,
    lacks: Callable[[Pod, Node], list[str]] = _nothing_lacks,
) -> Placement:
    """The best node, or why none will do.

    `load(node name)` gives the pods of the same owner there, of all, and the hostPorts in use.
    `affinity` None: no other pod has a say. `lacks(pod, node)` names what the node has too little
    of.
    """
    fitting: list[tuple[object, ...]] = []
    crowded: list[Node] = []
    refusals: Counter[str] = Counter()
    refused = 0
    for node in nodes:
        of_owner, of_all, used_ports = load(meta.name(node))
        if why := reasons(pod, node, used_ports, lacks, affinity):
            refused += 1
            if not why[0].startswith(UNRESOLVABLE):
                crowded.append(node)
            refusals.update(why)
            continue
        by_affinity = affinity.rank(node) if affinity else (0, 0)
        fitting.append(rank(pod, node, of_owner, of_all, by_affinity))
    if fitting:
        return Placement(str(min(fitting)[-1]))
    return Placement(None, explain(refused, refusals), tuple(crowded))


def reasons(
    pod: Pod,
    node: Node,
    used_ports: Iterable[HostPort],
    lacks: Callable[[Pod, Node], list[str]],
    affinity: SchedulerPlugin | None,
) -> list[str]:
    """Why a node will not do, by the first filter that says so."""
    why = refusal(pod, node, used_ports)
    if why is None and (lacking := lacks(pod, node)):
        return lacking
    if why is None and affinity is not None:
        why = affinity.refusal(node)
    return [] if why is None else [why]
