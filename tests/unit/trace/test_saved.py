"""A trace that was saved is told again; what is none is refused."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from netlab.errors import InputError
from netlab.trace.document import document
from netlab.trace.saved import read
from netlab.view import packets, trace

SAVED = (Path(__file__).parent / "nodeport.json").read_bytes()
"""One packet of the quickstart's client to a nodePort, by version 1."""

EARLIER = (Path(__file__).parent / "service.json").read_bytes()
"""One of a pod to a Service, from before routes, marks and the answer were told."""


def test_what_was_saved_is_told_again() -> None:
    story = read(SAVED, "t.json").story
    told = "\n".join(trace.lines(story, explain=True))
    assert "took     rule 2: tcp: send to 10.244.1.3:80 (DNAT)" in told
    assert "kernel and simulator agree in all 14 rules" in told
    assert next(trace.minimal(story)).startswith("delivered 10.244.1.3:80 default/hostname-")
    assert json.loads(SAVED) == json.loads(json.dumps(document(story)))


def test_what_was_saved_before_there_were_more_fields_is_told() -> None:
    story = read(EARLIER, "t.json").story
    told = document(story)
    assert {name: told[name] for name in ("routes", "marks", "reply")} == {
        "routes": [],
        "marks": [],
        "reply": None,
    }
    assert "kernel and simulator agree in all 17 rules" in "\n".join(trace.lines(story))


def test_one_rule_is_not_told_as_many() -> None:
    story = read(EARLIER, "t.json").story
    once = replace(story, agreement=replace(story.agreement, steps=1))
    assert [*trace.lines(once)][-1] == "kernel and simulator agree in the one rule that it met"


def test_what_nobody_saw_leave_is_lost_where_it_began() -> None:
    story = read(EARLIER, "t.json").story
    nowhere = replace(story.journey, outcome="timeout", delivered=None, hops=())
    none = replace(story.agreement, steps=0)
    told = "\n".join(trace.lines(replace(story, journey=nowhere, agreement=none)))
    assert "\nlost before it left default/client-pod\n" in told
    assert told.endswith("kernel and simulator agree: no rule met it")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (b"", "t.json: is empty, and no trace"),
        (SAVED[:-300], "t.json: is cut off, and no whole trace"),
        (b"\xd4\xc3\xb2\xa1" + bytes(20), "t.json: is no trace of netlab: "),
        (b"[]", "t.json: is no trace of netlab: Expected `object`, got `array`"),
        (
            b'{"items": []}',
            "t.json: is no trace of netlab: Object missing required field `version`",
        ),
        (b'{"version": 1}', "t.json: is no trace of netlab: Object missing required field"),
        (b'{"version": 2}', "t.json: a trace of version 2; 1 is read"),
        (SAVED.replace(b'"hops"', b'"hops_"'), "missing required field `hops`"),
        (SAVED.replace(b'"data": "45', b'"data": "00'), "a packet at "),
        (SAVED.replace(b'"data": "45', b'"data": "x'), "non-hexadecimal"),
        (b"[" * 100_000, "t.json: is "),
    ],
)
def test_what_is_no_trace_is_refused(text: bytes, complaint: str) -> None:
    with pytest.raises(InputError) as caught:
        read(text, "t.json")
    assert complaint in str(caught.value)
    hint = "  hint: netlab trace FROM TO --save FILE writes one"
    assert str(caught.value).split("\n")[1:] == [hint]
    assert caught.value.exit_code == 2


JUNK: list[Any] = ["", "-j", "'", '"', "! -m", "\x1b[2J", "::", "[:1", -1, 2**70, None, [], {}, 1.5]


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from _places(value[key])


def test_whatever_stands_in_it_is_told_or_refused() -> None:
    """The file may be an attacker's: no traceback, and nothing that steers a terminal."""
    chance, whole = random.Random(1), json.loads(SAVED)
    told = 0
    for _ in range(3000):
        broken = copy.deepcopy(whole)
        holder, key = chance.choice(list(_places(broken)))
        holder[key] = chance.choice(JUNK)
        try:
            story = read(json.dumps(broken).encode(), "t.json").story
        except InputError:
            continue
        told += 1
        lines = [*trace.lines(story, explain=True), *trace.minimal(story), *trace.ends(story)]
        assert "\x1b" not in "".join(trace.lines(story, explain=True)), lines
        packets.capture(story)
    assert told > 300
