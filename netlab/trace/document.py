"""A story as a document: `netlab trace -o json`, whose fields `netlab help tracing` lists.

`VERSION` goes up when a field changes its meaning or goes; fields may be added. Pure.
"""

from __future__ import annotations

from itertools import zip_longest
from typing import Any

import msgspec
from msgspec.structs import asdict

from netlab.pathcheck.decode import Observation
from netlab.trace.lookup import LookUp
from netlab.trace.marks import MarkChange
from netlab.trace.passages import MetRule
from netlab.trace.predicted import Prediction
from netlab.trace.story import ChainVisit, Story
from netlab.trace.way import Decision, Tracked

VERSION = 1


def document(story: Story) -> dict[str, Any]:
    """All of a story as plain data."""
    probe, journey = story.probe, story.journey
    return {
        "version": VERSION,
        "verdict": story.verdict,
        "outcome": journey.outcome,
        "note": journey.note,
        "from": story.sender,
        "name": story.name,
        "lookup": story.lookup.json() if story.lookup is not None else None,
        "ct": story.ct,
        "packet": {
            "protocol": probe.proto,
            "source": probe.source,
            "destination": probe.destination,
        },
        "deliveredTo": journey.delivered_at,
        "deliveredAs": journey.delivered,
        "sourceSeen": journey.seen_source,
        "hops": [asdict(hop) for hop in journey.hops],
        "chains": [_chain(visit) for visit in story.there],
        "dnat": [asdict(change) for change in journey.dnats],
        "masquerade": [asdict(change) for change in journey.snats],
        "routes": [_route(each) for each in story.evidence.decisions],
        "conntrack": [
            _connection(each) for each in story.evidence.tracked if each.connection is not None
        ],
        "dropReason": story.evidence.dropped,
        "reply": msgspec.to_builtins(story.evidence.back),
        "marks": [_mark(each) for each in story.marks],
        "masqueradedFor": [{"place": each.place} | _place(each.rule) for each in story.sakes],
        "mattered": msgspec.to_builtins(story.mattered),
        "whyNot": msgspec.to_builtins(story.turns),
        "ends": [_end(each) for each in story.ends],
        "mode": story.mode,
        "toldBy": "kernel" if story.told else "simulator",
        "dry": story.dry,
        "files": list(story.files),
        "untold": msgspec.to_builtins(story.untold),
        "unsaved": list(story.unsaved),
        "agree": not story.agreement.difference and not story.agreement.open,
        "open": list(story.agreement.open),
        "difference": story.agreement.difference,
        "steps": story.agreement.steps,
        "parted": {
            "kernel": msgspec.to_builtins(story.agreement.kernel),
            "simulator": msgspec.to_builtins(story.agreement.simulator),
        },
        "causes": [cause.json() for cause in story.causes],
        "packets": [_packet(seen) for seen in story.packets],
    }


def unresolved(lookup: LookUp) -> dict[str, Any]:
    """Of a trace whose target's name has no address: nothing was sent."""
    return {
        "version": VERSION,
        "verdict": "lost",
        "outcome": "unresolved",
        "note": lookup.error,
        "name": lookup.name,
        "lookup": lookup.json(),
    }


def _chain(visit: ChainVisit) -> dict[str, Any]:
    return {
        "place": visit.place,
        "table": visit.table,
        "chain": visit.chain,
        "size": visit.size,
        "matters": visit.matters,
        "draw": _draw(visit),
        "met": [
            _rule(rule)
            | {"origin": msgspec.to_builtins(origin), "line": visit.written.get(rule.number, "")}
            for rule, origin in zip_longest(visit.met, visit.origins)
        ],
        "missed": [
            {"number": miss.number, "rule": miss.text, "condition": miss.condition}
            | {"reason": miss.reason, "words": miss.words, "held": miss.met}
            | {"line": visit.written.get(miss.number, "")}
            for miss in visit.misses
        ],
    }


def _rule(rule: MetRule) -> dict[str, Any]:
    return {
        "number": rule.number,
        "rule": rule.text,
        "verdict": rule.verdict,
        "to": rule.to,
        "handle": rule.handle,
    }


def _draw(visit: ChainVisit) -> dict[str, Any] | None:
    draw = visit.draw
    if draw is None:
        return None
    return {"among": draw.among, "fellOn": draw.fell_on, "odds": draw.odds}


def _mark(change: MarkChange) -> dict[str, Any]:
    was = {"before": change.before, "after": change.after}
    return {"place": change.place} | _place(change.rule) | was


def _place(rule: MetRule) -> dict[str, Any]:
    return {"table": rule.table, "chain": rule.chain, "number": rule.number, "rule": rule.text}


def _route(found: Decision) -> dict[str, Any]:
    """None for what is bridged only; a hardware address is "" where nobody is known."""
    return dict(msgspec.to_builtins(found))


def _connection(found: Tracked) -> dict[str, Any]:
    known = dict(msgspec.to_builtins(found.connection))
    return {"place": found.place, "seenReply": known.pop("seen_reply")} | known


def _packet(seen: Observation) -> dict[str, Any]:
    return {
        "place": seen.place,
        "ifname": seen.ifname,
        "outgoing": seen.outgoing,
        "time": seen.time,
        "data": seen.data.hex(),
    }


def _end(prediction: Prediction) -> dict[str, Any]:
    return {
        "verdict": prediction.verdict,
        "share": round(prediction.share, 9),
        "at": prediction.at,
        "source": prediction.source,
        "destination": prediction.destination,
        "unknown": list(prediction.unknown),
    }
