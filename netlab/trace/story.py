"""One packet's whole story: what was seen, what was predicted, whether they agree. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial

from msgspec import Struct, field
from msgspec.structs import replace

from netlab.diagnosis.facts import Cause, Facts
from netlab.diagnosis.remedies import remedy
from netlab.objects.pathcheck import PathCheck
from netlab.pathcheck.decode import Observation, split
from netlab.pathcheck.packets import ProbePacket
from netlab.pathcheck.path import Journey
from netlab.pathcheck.result import CheckResult
from netlab.pathcheck.why import explained
from netlab.pathcheck.world import World
from netlab.proxy.config import ModeName
from netlab.simulation.packet import Packet
from netlab.trace.agreement import Agreement, observed
from netlab.trace.draws import Draw
from netlab.trace.lookup import LookUp
from netlab.trace.marks import MarkChange, Sake
from netlab.trace.mattered import Mattered
from netlab.trace.misses import Miss
from netlab.trace.node_rules import NodeRules, Rules
from netlab.trace.origins import Origin
from netlab.trace.passages import MetRule, Passage
from netlab.trace.predicted import Prediction, Verdict, Which
from netlab.trace.way import Evidence
from netlab.trace.whynot import Turn


class ChainVisit(Struct, frozen=True):
    """A packet in one chain: how many rules that has, which it met, which it did not and why.

    `matters` when something was done to the packet here, or in a chain that it was sent to; `draw`
    if chance had a part in it; `origins` are of which objects the rules are that it met; it
    `came` for that `address:port`, and was at last for what it `became` at that place, or "".
    `packet` is the whole of it as it came, where that is known.
    """

    place: str
    table: str
    chain: str
    size: int
    met: tuple[MetRule, ...]
    misses: tuple[Miss, ...]
    matters: bool
    draw: Draw | None = None
    origins: tuple[Origin | None, ...] = ()
    came: str = ""
    became: str = ""
    written: Mapping[int, str] = field(default_factory=dict)
    packet: Packet | None = None


class Untold(Struct, frozen=True):
    """A fact that no save tells, the rule that asked for it, and whether the verdict depends on it:
    what becomes of the packet if it `is_so`, and if it `is_not`. The story is told as if it were
    `told_as`; None where that is the same story."""

    fact: str
    where: str
    matters: bool
    is_so: tuple[str, ...] = ()
    is_not: tuple[str, ...] = ()
    told_as: bool | None = None

    @property
    def question(self) -> str:
        """`whether it comes in by eth0`."""
        return self.fact if self.fact.startswith("what ") else f"whether {self.fact}"


class Story(Struct, frozen=True):
    """The story of a check's probe. `ends` are all ways that its rules leave open, `name` what was
    looked up, `evidence` what else kernels told.

    `told` says that the chains on the way `there` are what the kernel told; else they are those of
    the way that leads where the packet was seen. `denials` are where a chain's policy ended it.
    `causes` are why nobody answered; `mode` is kube-proxy's, whose language the rules are in.
    `marks` are what became of the packet's mark, `sakes` for which rules it was masqueraded;
    `mattered` which of its fields rules asked for; `turns` why not, where that was asked. A `dry`
    one is told by rules alone: nothing was sent. `packets` are the captured copies of the packet
    and its answer. `files` are the saves that it is told by, of one that is; `untold` what those
    leave open, `unsaved` which kinds of rules are in none of them.
    """

    check: PathCheck
    probe: ProbePacket
    sender: str
    name: str
    journey: Journey
    there: tuple[ChainVisit, ...]
    ends: tuple[Prediction, ...]
    agreement: Agreement
    denials: tuple[Passage, ...] = ()
    told: bool = True
    mode: ModeName = "iptables"
    ct: Which = "new"
    causes: tuple[Cause, ...] = ()
    lookup: LookUp | None = None
    dry: bool = False
    packets: tuple[Observation, ...] = ()
    evidence: Evidence = Evidence()
    marks: tuple[MarkChange, ...] = ()
    sakes: tuple[Sake, ...] = ()
    mattered: Mattered | None = None
    turns: tuple[Turn, ...] | None = None
    files: tuple[str, ...] = ()
    untold: tuple[Untold, ...] = ()
    unsaved: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """What became of it, as far as that is known."""
        rules_alone = self.dry and bool(self.ends) and self.ends[0].verdict == "open"
        if rules_alone or any(one.matters for one in self.untold):
            return "open"
        return observed(self.journey)

    def with_causes(self, world: World, facts: Facts) -> Story:
        """Why it was not answered, by the lab's objects; as it is if it was."""
        if self.journey.outcome == "reachable":
            return self
        result = CheckResult(
            self.check.name,
            str(self.check),
            "fail",
            self.journey.outcome,
            journey=self.journey,
            name_found=self.name,
        )
        return replace(self, causes=explained(self.check, result, world, facts).causes)

    def with_remedies(self) -> Story:
        """With the command that mends it by each cause: who is shown the story later does not know
        which Service it was about."""
        target = self.check.target
        if not target.service:
            return self
        mends = partial(remedy, name=target.service, namespace=target.namespace)
        return replace(self, causes=tuple(replace(one, remedy=mends(one)) for one in self.causes))


def visits(
    passages: Sequence[Passage],
    journey: Journey,
    probe: ProbePacket,
    rules: Rules,
    source: Callable[[MetRule, str | None, str, str], Origin | None],
) -> Iterator[ChainVisit]:
    """The chains that a packet came through, in the order it entered them.
    `source` tells which object a rule comes from."""
    for passage in passages:
        if not passage.rules:
            continue
        became = {each.place: each.after for each in journey.dnats}.get(passage.place, "")
        here = rules(passage.place)
        mattering = _mattering(passage.rules, here)
        for chain in _entered(passage.rules):
            met = tuple(rule for rule in passage.rules if rule.chain == chain)
            size = len(here.texts(passage.table, chain))
            passed = met[-1].number if met and _left(met[-1]) else size
            numbers = {rule.number for rule in met}
            packet = _packet(passage, probe)
            missed = tuple(
                miss
                for miss in here.misses(passage.table, chain, packet)
                if miss.number <= passed and miss.number not in numbers
            )
            yield ChainVisit(
                passage.place,
                passage.table,
                chain,
                size,
                met,
                missed,
                chain in mattering,
                next(filter(None, (here.draw(rule, became) for rule in met)), None),
                tuple(
                    source(rule, here.owner(rule, passage.destination), passage.destination, became)
                    for rule in met
                ),
                passage.destination,
                became,
                _written(here, passage.table, chain, (*numbers, *(miss.number for miss in missed))),
                packet,
            )


def _written(rules: NodeRules, table: str, chain: str, numbers: Iterable[int]) -> Mapping[int, str]:
    found = {number: rules.written(table, chain, number) for number in numbers}
    return {number: where for number, where in found.items() if where}


def _entered(met: Sequence[MetRule]) -> Iterable[str]:
    """The chains of a passage, those too where nothing matched."""
    names = (name for rule in met for name in (rule.chain, rule.to) if name)
    return dict.fromkeys(names)


def _mattering(met: Sequence[MetRule], rules: NodeRules) -> set[str]:
    """The chains where something was done, and those that lead there."""
    found: set[str] = set()
    for rule in reversed(met):
        ended = rule.verdict in ("drop", "reject")  # by its map, too
        if rule.to in found or (not rule.to and (ended or rules.acts(rule.text))):
            found.add(rule.chain)
    return found


def _left(last: MetRule) -> bool:
    """Whether no rule behind this one was asked."""
    return last.verdict != "continue"


def _packet(passage: Passage, probe: ProbePacket) -> Packet:
    source, sport = split(passage.source)
    destination, dport = split(passage.destination)
    return Packet(
        source=source,
        destination=destination,
        protocol=probe.proto,
        dport=dport,
        sport=sport,
        in_interface=passage.iif,
        out_interface=passage.oif,
        mark=passage.mark,
        ctstate=passage.state.upper() or "NEW",
    )


def packet_of(probe: ProbePacket) -> Packet:
    """The probe as the simulator takes it."""
    return Packet(
        source=probe.src,
        destination=probe.dst,
        protocol=probe.proto,
        dport=probe.dport,
        sport=probe.sport,
    )
