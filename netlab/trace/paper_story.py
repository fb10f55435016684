"""The story of a packet that is followed on paper: what those by a lab's rules and by a node's save
have in common. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from netlab.objects.pathcheck import PathCheck
from netlab.pathcheck.decode import split
from netlab.pathcheck.packets import ProbePacket
from netlab.pathcheck.path import Journey, Outcome
from netlab.proxy.config import ModeName
from netlab.trace import marks
from netlab.trace.agreement import Agreement
from netlab.trace.mattered import mattered
from netlab.trace.node_rules import Rules
from netlab.trace.origins import Origin
from netlab.trace.passages import MetRule
from netlab.trace.predicted import Prediction, Which, supposed
from netlab.trace.story import Story, visits

OUTCOMES: dict[str, Outcome] = {"delivered": "reachable", "refused": "refused"}
"""What a sender notices of a verdict; of all others nothing comes back."""

Source = Callable[[MetRule, str | None, str, str], Origin | None]
"""Of which object a rule is, as `origins.origin` says."""


def story(
    check: PathCheck, probe: ProbePacket, sender: str, went: Journey, ends: Sequence[Prediction],
    rules: Rules, source: Source, *, mode: ModeName, ct: Which, unknown: Sequence[str] = (),
) -> Story:  # fmt: skip
    """That of the likeliest end, which is the first, with all others; `unknown` is what else
    nobody knows of its way."""
    likeliest = ends[0]
    there = supposed(likeliest)
    chains = tuple(visits(there, went, probe, rules, source))
    open_ = (*unknown, *likeliest.unknown)
    return Story(
        check=check,
        probe=probe,
        sender=sender,
        name="",
        journey=went,
        there=chains,
        ends=tuple(ends),
        agreement=Agreement(likeliest, sum(len(stay.outcome.rules) for stay in likeliest.stays)),
        told=False,
        mode=mode,
        ct=ct,
        dry=True,
        marks=tuple(marks.changes(there)),
        sakes=tuple(marks.sakes(there, [change.place for change in went.snats])),
        mattered=mattered(chains, rules, open_, later=ct != "new"),
    )


def turned(probe: ProbePacket, first: Prediction) -> ProbePacket:
    """The answer to a packet that arrived so."""
    source, sport = split(first.destination)
    destination, dport = split(first.source)
    return replace(probe, src=source, sport=sport, dst=destination, dport=dport)
