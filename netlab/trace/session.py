"""A trace from its first question to its story.

check → plan → name looked up → packet sent and watched → the same predicted → both held together
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from netlab.objects import meta
from netlab.objects.lab import Lab
from netlab.objects.pathcheck import PathCheck
from netlab.pathcheck.path import Journey
from netlab.pathcheck.send import Sender
from netlab.pathcheck.trial import Trial, plan
from netlab.pathcheck.world import World
from netlab.proxy.addresses import Family
from netlab.proxy.iptables.model import Chains
from netlab.proxy.nftables.model import NftTable
from netlab.simulation.packet import Packet
from netlab.trace import asking, marks, rule_texts, written
from netlab.trace.agreement import Agreement, agree
from netlab.trace.flows import NoFlow
from netlab.trace.iptables_rules import IptablesRules
from netlab.trace.lookup import LookUp
from netlab.trace.mattered import mattered
from netlab.trace.nftables_rules import NftRules
from netlab.trace.node_rules import NodeRules, Rules
from netlab.trace.observe import Observed, Watch, observe, turned_away
from netlab.trace.origins import Origin, origin
from netlab.trace.passages import FindRule, MetRule, Passage
from netlab.trace.predicted import Prediction, Which, supposed, supposed_denial, ways
from netlab.trace.reading import Reading
from netlab.trace.resolving import resolved
from netlab.trace.routing import Router, router_of
from netlab.trace.story import ChainVisit, Story, packet_of, visits
from netlab.trace.way import Evidence, as_journey
from netlab.trace.whynot import Turn, why_not

_READERS = 4


class Wish(Struct, frozen=True):
    """What is asked of the packet beside who sends it and to whom. `source_port` 0 is any; without
    a `sender` it is one of our own; `watch` makes what waits for one of somebody else; `ct` is
    which packet of its flow. `files` are those that the lab was brought up from; `about` is what is
    to be told why not, see `whynot`."""

    source_port: int = 0
    payload: str = ""
    sender: Sender | None = None
    watch: Callable[[Trial, World], Watch] | None = None
    files: tuple[str, ...] = ()
    about: str = ""
    ct: Which = "new"


def traced(check: PathCheck, world: World, lab: Lab, wish: Wish | None = None) -> Story:
    """Send the packet that a check asks for, and tell its story, or another's of its flow."""
    trial, lookup = resolved(plan(check, world), world)
    wish = wish or Wish()
    trial = replace(trial, source_port=wish.source_port, payload=wish.payload)
    with ThreadPoolExecutor(max_workers=_READERS) as threads:
        rules = _rules(world, lab, trial.targets, threads)
        return _told(trial, lookup, world, lab, wish, rules)


def _told(
    trial: Trial, lookup: LookUp | None, world: World, lab: Lab, wish: Wish, rules: Reading
) -> Story:
    first, seen = _observed(trial, world, wish, rules)
    told = not _is_legacy(lab)
    strange = [one for one in seen.passages if not rules(one.place).knows(one.table)]

    def foreseen(router: Router) -> tuple[list[Prediction], Agreement]:
        ends = ways(
            first, wish.ct, trial.place, world, router, rules,
            answered=seen.probe.source, replied=seen.replied,
        )  # fmt: skip
        return ends, _agreed(seen, ends, strange, rules, told=told)

    router = replace(
        router_of(world, lab), forwards=asking.forwards(world), lets_back=asking.lets_back(world)
    )
    ends, agreement = foreseen(router)
    if agreement.difference:  # a link that is down, a route that is gone: no fault of the rules
        there, refused = asking.networks(router.namespaces, world), asking.turns_away(world)
        now = replace(router, namespaces=there, turns_away=refused, hears=asking.hears(world))
        standing, otherwise = foreseen(now)
        if not otherwise.difference:
            ends, agreement = standing, otherwise
    # Beside legacy tables there may be others of nf_tables, of which the kernel tells.
    met = [*(() if told else supposed(agreement.prediction)), *seen.passages]
    denials = (one for one in seen.passages if one.is_denied)
    chains = tuple(visits(met, seen.journey, seen.probe, rules, _source(world, wish.files)))
    asked = (*agreement.open, *(one.table for one in strange))
    return Story(
        check=trial.check,
        probe=seen.probe,
        sender=seen.journey.hops[0].place if wish.ct == "reply" else trial.place.name,
        name=trial.name,
        journey=seen.journey if told else _journey(seen.journey, agreement),
        evidence=seen.evidence,
        there=chains,
        ends=tuple(ends),
        agreement=agreement,
        denials=(*(() if told else supposed_denial(agreement.prediction)), *denials),
        told=told,
        packets=seen.packets,
        mode=lab.proxy_mode,
        lookup=lookup,
        ct=wish.ct,
        marks=tuple(marks.changes(met)),
        sakes=tuple(marks.sakes(met, [change.place for change in seen.journey.snats])),
        mattered=mattered(chains, rules, asked, later=wish.ct != "new"),
        turns=_turns(wish.about, chains, rules, world, trial.check),
    )


def _observed(trial: Trial, world: World, wish: Wish, rules: Reading) -> tuple[Packet, Observed]:
    """The flow's packet that was sent, or waited for; and what was seen of the one that is told,
    with its own passages alone."""

    def find(node: str) -> FindRule:
        return rule_texts.finder(world.places[node].netns, lambda *where: rules(node).texts(*where))

    if wish.watch is None:  # what is waited for may come much later
        _read_early(trial, world, rules)
    watch = wish.watch(trial, world) if wish.watch else None
    seen = observe(trial, world, find, wish.sender, watch, later=wish.ct == "established")
    sent, is_reply = packet_of(seen.probe), wish.ct == "reply"
    passages = tuple(one for one in seen.passages if one.reply == is_reply)
    if is_reply:
        return sent, _reply(seen, passages, world, trial.place.name)
    return sent, replace(seen, passages=passages)


def _agreed(
    seen: Observed,
    ends: Sequence[Prediction],
    strange: Sequence[Passage],
    rules: Rules,
    *,
    told: bool,
) -> Agreement:
    """What was seen held against the ends; passages of `strange` tables are nobody's to foresee."""
    known = [one for one in seen.passages if one not in strange]
    foreign = [_named(one) for one in strange if one.verdict == "drop"]
    return _opened(agree(known if told else None, seen.journey, ends, foreign), rules)


def _turns(
    about: str, visited: Sequence[ChainVisit], rules: Rules, world: World, check: PathCheck
) -> tuple[Turn, ...] | None:
    if not about:
        return None
    return tuple(why_not(about, visited, rules, world, check.sender.namespace))


def _reply(seen: Observed, passages: Sequence[Passage], world: World, sender: str) -> Observed:
    """What was seen of the answer, as of a packet of its own."""
    back = seen.evidence.back
    if back is None or back.error is not None:
        what = f"but {back.what}" if back is not None else "no answer was seen"
        raise NoFlow(f"there is no reply to {seen.probe.destination}: {what}")
    went = as_journey(back, seen.probe, sender)
    decisions = asking.decisions(went, passages, world, back.sent)
    evidence = Evidence(None, seen.evidence.tracked, tuple(decisions))
    return Observed(went.probe, went, tuple(passages), seen.packets, evidence)


def _named(passage: Passage) -> str:
    """The rule that ended a packet."""
    last = passage.rules[-1] if passage.rules else None
    where = f"{passage.table} {passage.chain} on {passage.place}"
    if last is None:
        return f"the policy of {where}"
    return f"rule {last.number} of {last.table} {last.chain} on {passage.place}: {last.text}"


def _opened(agreement: Agreement, rules: Rules) -> Agreement:
    """With the rules of the conditions that leave it open."""
    found = agreement.prediction
    names: dict[str, None] = {}
    for condition in agreement.open:
        here = rules(found.at).all() if found is not None and condition in found.unknown else ()
        alike = [one for one in here if condition in one.text]
        told = [f"rule {one.number} of {one.table} {one.chain}: {one.text}" for one in alike]
        names |= dict.fromkeys(told[:1] or [condition])
    return replace(agreement, open=tuple(names))


def _journey(went: Journey, agreement: Agreement) -> Journey:
    """Where the kernel tells of no rule: one that was not answered where its end's own rules turn
    it away, by the simulator, did not arrive."""
    found = agreement.prediction
    unanswered = went.outcome != "reachable" or went.note
    if found is None or agreement.difference or not unanswered:
        return went
    if found.at != went.delivered_at or found.verdict not in ("lost", "refused"):
        return went
    return turned_away(went)


def _source(
    world: World, files: Sequence[str]
) -> Callable[[MetRule, str | None, str, str], Origin | None]:
    """Which object a rule comes from, and where that is written."""
    known = {"Service": world.services, "Pod": world.pods}
    where = written.finder(files, lambda kind, key: known.get(kind, {}).get(key))

    def source(rule: MetRule, owner: str | None, came: str, became: str) -> Origin | None:
        found = origin(rule, owner, came, became, world)
        return found and replace(found, where=where(found.kind, found.key, found.field))

    return source


def _is_legacy(lab: Lab) -> bool:
    """Whether the lab's rules are in the tables that tell nobody of a packet."""
    if lab.proxy_mode == "nftables":
        return False
    from netlab.proxy.iptables.read import host_variant

    variant = host_variant() if lab.iptables == "auto" else lab.iptables
    return variant != "nft"


_MANY = 200
"""With so many Services it takes longer to list all rules of a node than those of a few chains."""


def _rules(
    world: World, lab: Lab, to: Sequence[tuple[str, int]], threads: ThreadPoolExecutor
) -> Reading:
    """The rules in force on nodes, each node's read once; of many, those that packets to these
    ends come by."""
    family: Family = "ipv6" if ":" in to[0][0] else "ipv4"
    chainwise = len(world.services) > _MANY and not _is_legacy(lab)

    def read(node: str) -> NodeRules:
        netns = world.places[node].netns
        namespace = netns if isinstance(netns, int) else Path(netns)
        if lab.proxy_mode == "nftables":
            return NftRules(_nft_tables(namespace, family))
        from netlab.proxy.iptables.chainwise import Chainwise
        from netlab.proxy.iptables.read import read, recent_clients

        if chainwise:
            found: Chains = Chainwise(namespace, family, to)
        else:
            found = read(namespace, "legacy" if _is_legacy(lab) else "nft", family)
        others = partial(_nft_tables, namespace, family)
        return IptablesRules(found, recent_clients(namespace), others)

    return Reading(read, threads)


def _nft_tables(namespace: Path | int, family: Family) -> list[NftTable]:
    from netlab.proxy.nftables.apply import read_tables

    return read_tables(namespace, family)


def _read_early(trial: Trial, world: World, rules: Reading) -> None:
    """The sender's node is passed for sure, and those of endpoints are asked whatever the draw. All
    nodes' rules are read now if they remember clients: the packet adds its own to these."""
    nodes = [place.name for place in world.places.values() if place.role == "node"]
    ends = [world.places[each] for each in (trial.endpoints or {}).values() if each in world.places]
    passed = {trial.node, *(place.node or place.name for place in ends)}
    rules.begin(each for each in nodes if each in passed)
    if _may_be_remembered(trial, world):
        rules.begin(nodes)
        for each in nodes:
            rules(each)


def _may_be_remembered(trial: Trial, world: World) -> bool:
    """Whether rules may note who has sent it: those of its Service, of any if that has no name."""
    target = trial.check.target
    named = world.services.get(f"{target.namespace}/{target.service}") if target.service else None
    asked = [named] if named is not None else world.services.values()
    return any(meta.spec(one).get("sessionAffinity") == "ClientIP" for one in asked)
