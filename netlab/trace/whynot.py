"""Why a packet did not come by one Service, pod or rule: where its way turned off. Pure.

From the rules that are asked about, up by those that lead to their chains, until a chain that the
packet was in: there stands what the rule that leads on lacked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from netlab.errors import UsageError
from netlab.objects import meta
from netlab.pathcheck.decode import split
from netlab.pathcheck.world import World
from netlab.trace.node_rules import NodeRules, RuleAt, Rules

if TYPE_CHECKING:
    from netlab.trace.story import ChainVisit

_SERVICE = ("svc", "service", "services")
_POD = ("pod", "pods", "po")


class Turn(Struct, frozen=True):
    """A rule on the way to what was asked about, in a chain that the packet was in: `taken`, or
    `words` are why not. `met` is how many of its conditions held."""

    place: str
    table: str
    chain: str
    number: int
    rule: str
    words: str
    taken: bool = False
    met: int = 0


def why_not(
    about: str, visits: Sequence[ChainVisit], rules: Rules, world: World, namespace: str
) -> list[Turn]:
    """Of `svc/NAME`, `pod/NAME` or `TABLE/CHAIN/NUMBER`, in the order in which the packet came by;
    empty if no rule that it could have met is about it. `UsageError` for what there is not."""
    found: dict[Turn, None] = {}
    for place in dict.fromkeys(visit.place for visit in visits):
        here = [visit for visit in visits if visit.place == place]
        for target in _targets(about, rules(place), world, namespace):
            found |= dict.fromkeys(_Up(here, rules(place)).turns(target))
        if found:
            break
    order = {(visit.table, visit.chain): number for number, visit in enumerate(visits)}
    return sorted(
        found, key=lambda turn: (not turn.taken, order[turn.table, turn.chain], -turn.met)
    )


def _targets(
    about: str, rules: NodeRules, world: World, namespace: str
) -> Iterator[tuple[RuleAt, str]]:
    """The rules that are asked about, each with the key of its map where one of several is meant,
    the chain that it is to lead to, or the address that it is to send to."""
    kind, slash, name = about.partition("/")
    if slash and kind in (*_SERVICE, *_POD):
        key = name if "/" in name else f"{namespace}/{name}"
        if kind in _POD:
            yield from _to_pod(key, rules, world)
        else:
            yield from _to_service(key, rules, world)
        return
    wanted = _rule_named(about)
    found = next((rule for rule in rules.all() if rule[:3] == wanted), None)
    if found is None:
        raise UsageError(
            f"there is no rule {about} where the packet passed", hint="sudo netlab rules"
        )
    yield found, ""


def _rule_named(about: str) -> tuple[str, str, int]:
    table, _, rest = about.partition("/")
    chain, _, number = rest.rpartition("/")
    if not (table and chain and number.isdigit()):
        raise UsageError(
            f"nobody knows what {about} is",
            hint="svc/NAME, pod/NAME, or a rule: nat/KUBE-SERVICES/3",
        )
    return table, chain, int(number)


def _to_service(key: str, rules: NodeRules, world: World) -> Iterator[tuple[RuleAt, str]]:
    if key not in world.services:
        raise UsageError(f"there is no Service {key}", hint="netlab get services -A")
    for rule, to, by in rules.entrances():
        if to.partition(":")[0] == key:
            yield rule, by


def _to_pod(key: str, rules: NodeRules, world: World) -> Iterator[tuple[RuleAt, str]]:
    pod = world.pods.get(key)
    if pod is None:
        raise UsageError(f"there is no pod {key}", hint="netlab get pods -A")
    addresses = {entry["ip"] for entry in meta.status(pod).get("podIPs") or []}
    for rule in rules.all():
        for address in addresses & rules.sends_to(rule):
            yield rule, address


class _Up:
    """The way up from a rule, at a place where the packet visited these chains."""

    def __init__(self, visits: Sequence[ChainVisit], rules: NodeRules) -> None:
        self._visits = {(visit.table, visit.chain): visit for visit in visits}
        self._rules = rules
        self._seen: set[tuple[str, str]] = set()

    def turns(self, target: tuple[RuleAt, str]) -> Iterator[Turn]:
        rule, to = target
        visit = self._visits.get((rule.table, rule.chain))
        if visit is not None:
            yield self._turn(visit, rule, to)
            return
        if (rule.table, rule.chain) in self._seen:
            return
        self._seen.add((rule.table, rule.chain))
        for one in self._rules.all():
            if one.table == rule.table and rule.chain in self._rules.leads(one):
                yield from self.turns((one, rule.chain))

    def _drew_another(self, visit: ChainVisit, rule: RuleAt, to: str) -> bool:
        """Whether a rule that sends to one of several sent elsewhere than to that address."""
        ends = self._rules.sends_to(rule)
        return bool(visit.became) and to in ends and split(visit.became)[0] != to

    def _too_late(self, visit: ChainVisit, rule: RuleAt) -> tuple[str, int]:
        """Of a rule that the packet did not come to: what it would have lacked anyway, and who took
        the packet before."""
        last = visit.met[-1].number if visit.met else 0
        before = f"rule {last} took the packet before"
        if visit.packet is None:
            return before, 0
        found = self._rules.misses(rule.table, rule.chain, visit.packet)
        own = next((miss for miss in found if miss.number == rule.number), None)
        return (f"{own.said}; and {before}", own.met) if own is not None else (before, 0)

    def _turn(self, visit: ChainVisit, rule: RuleAt, to: str) -> Turn:
        key = self._rules.leads(rule).get(to, to)
        ends = self._rules.sends_to(rule)
        taken, words, met = False, "", 0
        met_here = next((one for one in visit.met if one.number == rule.number), None)
        missed = next((one for one in visit.misses if one.number == rule.number), None)
        if met_here is not None and self._drew_another(visit, rule, to):
            words = f"the draw fell on {visit.became}"
        elif met_here is not None and (
            to in ("", met_here.to, *ends) or key == self._rules.key_of(rule, visit.came)
        ):
            taken, words = True, "it was taken"
        elif met_here is not None:
            words = f"it led to {met_here.to or met_here.verdict}, and leads there for {key}"
        elif missed is not None:
            words, met = missed.said + (f"; it leads there for {key}" if key else ""), missed.met
        else:
            words, met = self._too_late(visit, rule)
        return Turn(visit.place, rule.table, rule.chain, rule.number, rule.text, words, taken, met)
