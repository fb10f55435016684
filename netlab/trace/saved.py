"""A trace that was saved, read again: what `document` wrote → the story.

The file may be anybody's: what is no trace, or not whole, is refused with what is wrong in it.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from netlab.errors import InputError, Problem
from netlab.objects.pathcheck import PathCheck, Sender, Target
from netlab.pathcheck.calls import Exchange, HttpRequest, PlainText
from netlab.pathcheck.decode import Observation, decode, split
from netlab.pathcheck.packets import ProbePacket
from netlab.pathcheck.path import Journey
from netlab.pathcheck.resolve import Asked
from netlab.trace.agreement import Agreement
from netlab.trace.call_document import call_document, count_document
from netlab.trace.calls import Behind, Call
from netlab.trace.counting import End
from netlab.trace.document import VERSION, document
from netlab.trace.draws import Draw
from netlab.trace.lookup import LookUp, Question
from netlab.trace.misses import Miss
from netlab.trace.passages import MetRule
from netlab.trace.predicted import Prediction
from netlab.trace.saved_document import (
    SavedAsked,
    SavedBehind,
    SavedCall,
    SavedChain,
    SavedEnd,
    SavedEnds,
    SavedHead,
    SavedLookUp,
    SavedPacket,
    SavedTrace,
)
from netlab.trace.saved_way import changes, evidence, sakes
from netlab.trace.story import ChainVisit, Story

_HINT = "netlab trace FROM TO --save FILE writes one"


class Saved(Struct, frozen=True):
    """What was saved: a story, of a real connection its `call`, of many packets their `counts`."""

    story: Story
    call: Call | None = None
    counts: tuple[End, ...] | None = None

    def document(self) -> dict[str, Any]:
        """The same as plain data again."""
        if self.call is not None:
            return call_document(self.call)
        if self.counts is not None:
            return count_document(self.story, self.counts)
        return document(self.story)


def read(text: bytes, file: str) -> Saved:
    """What a file tells; `InputError` for one that is not whole, or no trace."""
    try:
        head = msgspec.json.decode(text, type=SavedHead)
        if head.version != VERSION:
            raise _refused(file, f"a trace of version {head.version}; {VERSION} is read")
        if head.outcome == "unresolved":
            raise _refused(file, "tells of a name without an address: nothing was sent")
        return _saved(msgspec.json.decode(text, type=SavedTrace))
    except (ValueError, RecursionError) as error:
        raise _refused(file, _complaint(text, error)) from None


def _refused(file: str, complaint: str) -> InputError:
    return InputError([Problem(file, 0, "", complaint, _HINT)])


def _complaint(text: bytes, error: Exception) -> str:
    if not text.strip():
        return "is empty, and no trace"
    if "truncated" in str(error):
        return "is cut off, and no whole trace"
    return f"is no trace of netlab: {error}"


def _saved(saved: SavedTrace) -> Saved:
    story = _story(saved)
    call = _call(saved, saved.call, story) if saved.call is not None else None
    if saved.counts is None:
        return Saved(story, call)
    ends = (End(e.verdict, e.at, e.destination, e.packets, e.foreseen, e.far) for e in saved.counts)
    return Saved(story, call, tuple(ends))


def _call(saved: SavedTrace, call: SavedCall, story: Story) -> Call:
    question = HttpRequest(call.http, call.host) if call.http is not None else None
    exchange = Exchange(
        status=call.status,
        code=call.code,
        said=call.said,
        size=call.bytes,
        location=call.location,
        connected=call.connect_milliseconds / 1000,
        seconds=call.milliseconds / 1000,
        error=call.error,
    )
    behind = _behind(saved.ingress) if saved.ingress is not None else None
    return Call(question or PlainText(call.payload), story, exchange, behind, saved.entered)


def _behind(saved: SavedBehind) -> Behind:
    return Behind(
        saved.controller,
        saved.rule,
        tuple((one.source, one.destination) for one in saved.passed),
        saved.served_by,
        _story(saved.trace) if saved.trace is not None else None,
        saved.problem,
    )


def _story(saved: SavedTrace) -> Story:
    probe = _probe(saved.packet)
    visits = tuple(map(_visit, saved.chains))
    return Story(
        check=PathCheck("", Sender("pod", saved.sender), Target(address=probe.dst)),
        probe=probe,
        sender=saved.sender,
        name=saved.name,
        journey=Journey(
            probe=probe,
            outcome=saved.outcome,
            hops=saved.hops,
            dnats=saved.dnat,
            snats=saved.masquerade,
            delivered=saved.delivered_as,
            delivered_at=saved.delivered_to,
            seen_source=saved.source_seen,
            note=saved.note,
        ),
        there=visits,
        ends=tuple(map(_prediction, saved.ends)),
        agreement=Agreement(
            None,
            saved.steps,
            saved.difference,
            saved.open,
            saved.parted.kernel,
            saved.parted.simulator,
        ),
        told=saved.told_by == "kernel",
        mode=saved.mode,
        causes=saved.causes,
        packets=tuple(map(_observation, saved.packets)),
        lookup=_lookup(saved.lookup) if saved.lookup is not None else None,
        dry=saved.dry,
        ct=saved.ct,
        evidence=evidence(saved.reply, saved.conntrack, saved.routes, saved.drop_reason),
        marks=tuple(changes(saved.marks, visits)),
        sakes=tuple(sakes(saved.masqueraded_for, visits)),
        mattered=saved.mattered,
        turns=saved.why_not,
        files=saved.files,
        untold=saved.untold,
        unsaved=saved.unsaved,
    )


def _lookup(saved: SavedLookUp) -> LookUp:
    return LookUp(
        saved.name,
        saved.searches,
        tuple(map(_question, saved.questions)),
        saved.addresses,
        saved.owner,
        saved.error,
        saved.hint,
    )


def _question(saved: SavedAsked) -> Question:
    asked = Asked(
        saved.name,
        6 if saved.type == "AAAA" else 4,
        saved.server,
        saved.answer,
        saved.addresses,
        saved.aliases,
        saved.milliseconds / 1000,
    )
    return Question(asked, saved.service, saved.servers)


def _probe(ends: SavedEnds) -> ProbePacket:
    """Its numbers are of no use any more."""
    (source, sport), (destination, dport) = split(ends.source), split(ends.destination)
    return ProbePacket(0, ends.protocol, source, sport, destination, dport, 0)


def _visit(chain: SavedChain) -> ChainVisit:
    draw = chain.draw
    return ChainVisit(
        place=chain.place,
        table=chain.table,
        chain=chain.chain,
        size=chain.size,
        met=tuple(
            MetRule(
                chain.table,
                chain.chain,
                one.number,
                one.rule,
                one.verdict,
                one.to,
                handle=one.handle,
            )
            for one in chain.met
        ),
        misses=tuple(
            Miss(one.number, one.rule, one.condition, one.reason, one.words, one.held)
            for one in chain.missed
        ),
        matters=chain.matters,
        draw=Draw(draw.among, draw.fell_on, draw.odds) if draw is not None else None,
        origins=tuple(one.origin for one in chain.met),
        written={
            number: line
            for number, line in (
                *((one.number, one.line) for one in chain.met),
                *((one.number, one.line) for one in chain.missed),
            )
            if line
        },
    )


def _prediction(end: SavedEnd) -> Prediction:
    return Prediction(end.verdict, end.share, (), end.at, end.source, end.destination, end.unknown)


def _observation(saved: SavedPacket) -> Observation:
    data = bytes.fromhex(saved.data)
    packet = decode(data)
    if packet is None:
        raise ValueError(f"a packet at {saved.place} is none")
    return Observation(saved.place, saved.ifname, saved.outgoing, saved.time, packet, data)
