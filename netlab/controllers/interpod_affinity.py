"""Which other pods a pod wants near or far: inter-pod affinity and topology spread. Pure.

A domain is all nodes with one value of a topology key (a zone; a host). Every rule comes down to
how many pods of some kind each domain has.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Final, Literal

from msgspec import Struct

from netlab.controllers import placement
from netlab.objects import meta, selectors
from netlab.objects.podphase import is_pod_terminal
from netlab.objects.types import (
    Node,
    Pod,
    PodAffinityTerm,
    TopologySpreadConstraint,
    WeightedPodAffinityTerm,
)

REQUIRED: Final = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED: Final = "preferredDuringSchedulingIgnoredDuringExecution"
_OUTSIDE = 1_000_000
SPREAD = "node(s) didn't match pod topology spread constraints"

Which = Literal["podAffinity", "podAntiAffinity"]
Rule = PodAffinityTerm | TopologySpreadConstraint
"""A selector of pods, and a topology key."""


class Others(Struct, frozen=True):
    """The pods there are, bound or not; those of them that `repel`; the namespaces' labels."""

    pods: Collection[Pod]
    repelling: Collection[Pod]
    namespaces: Mapping[str, Mapping[str, str]]


def is_choosy(pod: Pod) -> bool:
    """Whether where other pods are can matter to where this one may go."""
    affinity = meta.spec(pod).get("affinity") or {}
    near, far = affinity.get("podAffinity"), affinity.get("podAntiAffinity")
    return bool(near or far or _constraints(pod))


def repels(pod: Pod) -> bool:
    """Whether the pod keeps others away from where it is."""
    return bool(_required(pod, "podAntiAffinity"))


def _required(pod: Pod, which: Which) -> list[PodAffinityTerm]:
    return ((meta.spec(pod).get("affinity") or {}).get(which) or {}).get(REQUIRED) or []


def _preferred(pod: Pod, which: Which) -> list[WeightedPodAffinityTerm]:
    return ((meta.spec(pod).get("affinity") or {}).get(which) or {}).get(PREFERRED) or []


def _constraints(pod: Pod) -> list[TopologySpreadConstraint]:
    return meta.spec(pod).get("topologySpreadConstraints") or []


class InterPodAffinity:
    """What the pods around have to say about where one pod may go, at one moment."""

    def __init__(self, pod: Pod, nodes: Iterable[Node], others: Others) -> None:
        self._pod = pod
        self._nodes = {meta.name(node): node for node in nodes}
        self._others = others
        self._near = [self._tally(term) for term in _required(pod, "podAffinity")]
        self._far = [self._tally(term) for term in _required(pod, "podAntiAffinity")]
        self._kept_from = self._repelled()
        self._may_be_first = not any(tally.counts for tally in self._near) and all(
            self._means(term, pod, pod) for term in _required(pod, "podAffinity")
        )
        self._liked = [*self._preferred("podAffinity", 1), *self._preferred("podAntiAffinity", -1)]
        spreads = [self._spread(rule) for rule in _constraints(pod)]
        self._spreads = [one for one in spreads if one.is_required]
        self._evened = [one for one in spreads if not one.is_required]

    def refusal(self, node: Node) -> str | None:
        """Why the pod cannot go to the node, in kube-scheduler's words; None if it can."""
        for spread in self._spreads:
            if why := spread.refusal(node):
                return why
        if not all(tally.at(node) or self._opens(tally, node) for tally in self._near):
            return "node(s) didn't match pod affinity rules"
        if any(tally.at(node) for tally in self._far):
            return "node(s) didn't match pod anti-affinity rules"
        if any(meta.labels(node).get(key) == value for key, value in self._kept_from):
            return "node(s) didn't satisfy existing pods anti-affinity rules"
        return None

    def rank(self, node: Node) -> tuple[int, int]:
        """Sorts nodes, the best first: by preferred terms, then by what evens the spread."""
        liking = sum(weight * tally.at(node) for weight, tally in self._liked)
        return -liking, sum(spread.crowd(node) for spread in self._evened)

    def _opens(self, tally: _DomainCounts, node: Node) -> bool:
        """The first of pods that want to be together may go to any domain."""
        return self._may_be_first and tally.key in meta.labels(node)

    def _tally(self, term: PodAffinityTerm) -> _DomainCounts:
        selector, spaces = self._selected(term), dict[str, bool]()
        own = meta.namespace(self._pod)

        def is_meant(other: Pod) -> bool:
            space = meta.namespace(other)
            if space not in spaces:
                spaces[space] = self._in_scope(term, space, own)
            return spaces[space] and selector.matches(meta.labels(other))

        return self._counted(term["topologyKey"], filter(is_meant, self._others.pods))

    def _selected(self, term: PodAffinityTerm) -> selectors.Selector:
        return _selector(term, self._pod, unlike=term.get("mismatchLabelKeys") or ())

    def _counted(self, key: str, pods: Iterable[Pod]) -> _DomainCounts:
        places = (self._domain(key, pod) for pod in pods)
        return _DomainCounts(key, Counter(value for value in places if value is not None))

    def _domain(self, key: str, pod: Pod) -> str | None:
        """The domain that a bound pod is in."""
        node = self._nodes.get(str(meta.spec(pod).get("nodeName") or ""))
        return meta.labels(node).get(key) if node and not is_pod_terminal(pod) else None

    def _means(self, term: PodAffinityTerm, other: Pod, pod: Pod) -> bool:
        """Whether the term, which stands in `pod`, is about `other`."""
        if not self._in_scope(term, meta.namespace(other), meta.namespace(pod)):
            return False
        selector = _selector(term, pod, unlike=term.get("mismatchLabelKeys") or ())
        return selector.matches(meta.labels(other))

    def _in_scope(self, term: PodAffinityTerm, namespace: str, own: str) -> bool:
        named, selector = term.get("namespaces") or [], term.get("namespaceSelector")
        if not named and selector is None:
            return namespace == own
        labels = self._others.namespaces.get(namespace) or {}
        return namespace in named or selectors.from_label_selector(selector).matches(labels)

    def _repelled(self) -> set[tuple[str, str]]:
        """(topology key, value) of the domains that others keep this pod from."""
        return {
            (term["topologyKey"], value)
            for other in self._others.repelling
            for term in _required(other, "podAntiAffinity")
            if (value := self._domain(term["topologyKey"], other)) is not None
            and self._means(term, self._pod, other)
        }

    def _preferred(self, which: Which, sign: int) -> list[tuple[int, _DomainCounts]]:
        return [
            (sign * one["weight"], self._tally(one["podAffinityTerm"]))
            for one in _preferred(self._pod, which)
        ]

    def _spread(self, rule: TopologySpreadConstraint) -> _Spread:
        key, pod = rule["topologyKey"], self._pod
        selector = _selector(rule, pod)
        counting = {name for name, node in self._nodes.items() if _counts(rule, pod, node)}
        there = [
            other
            for other in self._others.pods
            if meta.spec(other).get("nodeName") in counting
            and not meta.is_terminating(other)
            and meta.namespace(other) == meta.namespace(pod)
            and selector.matches(meta.labels(other))
        ]
        domains = {meta.labels(self._nodes[name]).get(key) for name in counting} - {None}
        tally = self._counted(key, there)
        enough = len(domains) >= (rule.get("minDomains") or 1)
        return _Spread(
            tally,
            fewest=min((tally.counts[str(one)] for one in domains), default=0) if enough else 0,
            itself=int(selector.matches(meta.labels(pod))),
            max_skew=rule["maxSkew"],
            is_required=rule.get("whenUnsatisfiable") == "DoNotSchedule",
        )


class _DomainCounts(Struct, frozen=True):
    """How many pods each domain of a topology key has."""

    key: str
    counts: Counter[str]

    def at(self, node: Node) -> int:
        """In the node's domain; 0 for a node that is in none."""
        value = meta.labels(node).get(self.key)
        return self.counts[value] if value is not None else 0


class _Spread(Struct, frozen=True):
    """A constraint: no domain may have more than `max_skew` pods above the one with the fewest."""

    tally: _DomainCounts
    fewest: int
    itself: int
    max_skew: int
    is_required: bool

    def refusal(self, node: Node) -> str | None:
        if self.tally.key not in meta.labels(node):
            return f"{SPREAD} (missing required label)"
        skew = self.tally.at(node) + self.itself - self.fewest
        return SPREAD if skew > self.max_skew else None

    def crowd(self, node: Node) -> int:
        """How full the node's domain is; a node outside all domains comes last."""
        return self.tally.at(node) if self.tally.key in meta.labels(node) else _OUTSIDE


def _counts(rule: TopologySpreadConstraint, pod: Pod, node: Node) -> bool:
    """Whether a node's domain is one that the pods are to be spread over."""
    if rule["topologyKey"] not in meta.labels(node):
        return False
    by_affinity = rule.get("nodeAffinityPolicy", "Honor") == "Honor"
    by_taints = rule.get("nodeTaintsPolicy", "Ignore") == "Honor"
    return not (by_affinity and not placement.matches_affinity(pod, node)) and not (
        by_taints and placement.untolerated(pod, node, placement.REFUSING)
    )


def _selector(rule: Rule, pod: Pod, unlike: Iterable[str] = ()) -> selectors.Selector:
    """The rule's selector, narrowed to the pod's own values of `matchLabelKeys`.

    Those of the keys in `unlike` are what the others must not have.
    """
    selector = selectors.from_label_selector(rule.get("labelSelector"))
    labels = meta.labels(pod)
    alike = [_own("In", key, labels) for key in rule.get("matchLabelKeys") or ()]
    other = [_own("NotIn", key, labels) for key in unlike]
    own = tuple(one for one in (*alike, *other) if one is not None)
    return selectors.Selector(selector.requirements + own, selector.nothing)


def _own(
    operator: selectors.Operator, key: str, labels: Mapping[str, str]
) -> selectors.Requirement | None:
    """What the pod's own value asks of others; nothing if it has none."""
    value = frozenset([labels[key]]) if key in labels else None
    return selectors.Requirement(key, operator, value) if value else None
