"""A connection's answer, and the second one behind an Ingress controller, as lines. Pure; who
prints them sees to escapes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from netlab.pathcheck.calls import Exchange, HttpRequest, PlainText, Question
from netlab.trace.calls import Behind, Call
from netlab.trace.doors import Door
from netlab.trace.milliseconds import in_words
from netlab.trace.story import Story

Tell = Callable[[Story], Iterable[str]]
"""A packet's story as lines, as many as are asked for."""


def lines(call: Call, tell: Tell) -> Iterator[str]:
    """From its first packet to its answer; of the way behind a controller, too."""
    if call.entered:
        yield f"asked at {call.entered}"
    yield from tell(call.story)
    if call.behind is not None:
        yield from _behind(call.behind, tell)
    yield from answer(call.question, call.exchange, served(call))


def served(call: Call) -> str:
    """Who answered, by what was seen: the place where the request came to."""
    if call.behind is not None:
        return call.behind.place or call.behind.controller
    return call.story.journey.delivered_at or ""


def answer(question: Question, exchange: Exchange, by: str) -> Iterator[str]:
    """`GET / → HTTP/1.1 200 OK from default/web-0, 227 bytes in 3.2 ms`, and what was said."""
    asked = f"GET {question.path}" if isinstance(question, HttpRequest) else f"“{question.text}”"
    time = in_words(exchange.seconds)
    if exchange.error:
        yield f"{asked}: {exchange.error}, after {time}"
    else:
        said = exchange.status or f"{exchange.size} bytes"
        size = f", {exchange.size} bytes" if exchange.status else ""
        yield f"{asked} → {said} from {by}{size} in {time}"
    if exchange.location:
        yield f"  location {exchange.location}"
    if exchange.said and (isinstance(question, PlainText) or exchange.code):
        yield f"  said     {exchange.said}"


def _behind(behind: Behind, tell: Tell) -> Iterator[str]:
    yield f"{behind.controller}: nginx, which answers by its Ingresses"
    if behind.door is not None:
        yield from _door(behind.door)
    for source, destination in behind.passed[:-1]:
        yield f"  tried    {source} → {destination}"
    if behind.passed:
        source, destination = behind.passed[-1]
        several = len(behind.door.servers) if behind.door is not None else 0
        share = f", 1 of {several} endpoints" if several > 1 else ""
        yield f"  asked    {behind.place} ({destination}) from {source}{share}"
    if behind.problem:
        yield f"  unseen   {behind.problem}"
    if behind.story is not None:
        yield "its second connection goes as this packet from the same place"
        yield from (f"  {line}" for line in tell(behind.story))


def _door(door: Door) -> Iterator[str]:
    host = f"host {door.host}" if door.host else "any host"
    if door.ingress:
        path = f"path {door.ingress_path} ({door.path_type})"
        yield f"  rule     Ingress {door.ingress}: {host}, {path}"
    else:
        yield f"  rule     no Ingress has it: {host}, path {door.path}"
    if door.redirect:
        yield f"  so       it redirects to {door.redirect}"
    elif door.service:
        canary = f", or to its canary {door.canary}" if door.canary else ""
        yield f"  so       Service {door.service}, port {door.port}{canary}"
    else:
        why = f": {door.lacking}" if door.lacking else ""
        yield f"  so       it answers {door.status} itself{why}"
