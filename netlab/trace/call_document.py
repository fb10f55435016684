"""The story of a real connection, or of many packets, as a document: that of the first packet, and
what `netlab help tracing` lists beside. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import asdict

from netlab.pathcheck.calls import HttpRequest, PlainText
from netlab.trace.calls import Behind, Call
from netlab.trace.counting import End
from netlab.trace.document import document
from netlab.trace.milliseconds import milliseconds
from netlab.trace.story import Story


def call_document(call: Call) -> dict[str, Any]:
    """That of its first packet, with what was answered, and how it went on behind a controller."""
    exchange, question = call.exchange, call.question
    asked = (
        {"http": question.path, "host": question.host} if isinstance(question, HttpRequest) else {}
    )
    said = {"payload": question.text} if isinstance(question, PlainText) else {}
    answer = {
        "status": exchange.status,
        "code": exchange.code,
        "said": exchange.said,
        "bytes": exchange.size,
        "location": exchange.location,
        "connectMilliseconds": milliseconds(exchange.connected),
        "milliseconds": milliseconds(exchange.seconds),
        "error": exchange.error,
    }
    behind = _behind(call.behind) if call.behind is not None else None
    added = {"entered": call.entered, "call": {**asked, **said, **answer}, "ingress": behind}
    return document(call.story) | added


def count_document(story: Story, ends: Sequence[End]) -> dict[str, Any]:
    """That of many packets' first, with where all of them went."""
    return document(story) | {"counts": [end.json() for end in ends]}


def _behind(behind: Behind) -> dict[str, Any]:
    return {
        "controller": behind.controller,
        "rule": asdict(behind.door) if behind.door is not None else None,
        "passed": [{"source": one, "destination": other} for one, other in behind.passed],
        "servedBy": behind.place,
        "problem": behind.problem,
        "trace": document(behind.story) if behind.story is not None else None,
    }
