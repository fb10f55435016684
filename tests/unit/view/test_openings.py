"""A connection as one line, and what they come to."""

from __future__ import annotations

import json

from netlab.traffic.opening import End, Opening, VirtualAddress
from netlab.view.openings import Summary, json_line, line, lost_words

ONE = Opening(
    time=1_700_000_000.25,
    node="one",
    protocol="tcp",
    client=End("default/box", "10.244.1.9", 1000),
    to=End("", "10.96.0.7", 80),
    virtual=VirtualAddress("default/web", "http", "clusterIP"),
    endpoint=End("default/web-0", "10.244.2.5", 8080),
    became=None,
)
PLAIN = Opening(
    time=1_700_000_000.25,
    node="two",
    protocol="udp",
    client=End("", "fd00::9", 53),
    to=End("default/web-0", "fd44::5", 8080),
    virtual=None,
    endpoint=End("default/web-0", "fd44::5", 8080),
    became=End("two", "fd00::2", 7),
)


def test_a_line() -> None:
    time, _, rest = line(ONE).partition(" ")
    assert time.endswith(".250")
    assert rest == (
        "one tcp default/box 10.244.1.9:1000 → default/web:http 10.96.0.7:80"
        " → default/web-0 10.244.2.5:8080, not masqueraded"
    )
    assert line(PLAIN).partition(" ")[2] == (
        "two udp [fd00::9]:53 → default/web-0 [fd44::5]:8080, masqueraded as two fd00::2"
    )


def test_as_json() -> None:
    told = json.loads(json_line(ONE))
    assert told == {
        "time": "2023-11-14T22:13:20.250000Z",
        "node": "one",
        "protocol": "tcp",
        "client": {"name": "default/box", "address": "10.244.1.9", "port": 1000},
        "to": {
            "name": "", "address": "10.96.0.7", "port": 80,
            "service": "default/web", "servicePort": "http", "kind": "clusterIP",
        },
        "endpoint": {"name": "default/web-0", "address": "10.244.2.5", "port": 8080},
        "masqueraded": False,
        "source": {"name": "default/box", "address": "10.244.1.9", "port": 1000},
    }  # fmt: skip
    assert json.loads(json_line(PLAIN))["source"]["name"] == "two"


def test_a_name_steers_nothing() -> None:
    bad = Opening(
        ONE.time, ONE.node, ONE.protocol, End("default/\x1b[2J\nx", "10.0.0.1", 1),
        ONE.to, ONE.virtual, ONE.endpoint, None,
    )  # fmt: skip
    for text in (line(bad), json_line(bad)):
        assert "\x1b" not in text
        assert "\n" not in text
    assert json.loads(json_line(bad))["client"]["name"] == "default/\x1b[2J\nx"
    summary = Summary()
    summary.add(
        Opening(0, "", "", ONE.client, ONE.to, None, End("\x1b]0;x\x07", "10.0.0.1", 1), None)
    )
    assert all("\x1b" not in text for text in summary.lines(1.0, {}))


def test_what_they_come_to() -> None:
    summary = Summary()
    for one in [ONE] * 12 + [PLAIN] * 3:
        summary.add(one)
    assert summary.lines(3.0, {"one": 2, "two": 5}) == [
        "15 connections in 3.0 s, 5.0 a second, 3 masqueraded; 7 events were lost: one 2, two 5",
        "  12  default/web:http → default/web-0 10.244.2.5:8080",
        "   3  default/web-0 [fd44::5]:8080",
    ]
    assert Summary().lines(3.0, {}) == ["0 connections in 3.0 s; none lost"]
    assert lost_words({"one": 1}) == "1 event was lost: one 1"


def test_of_many_ends_the_first_are_shown() -> None:
    summary = Summary()
    for port in range(30):
        summary.add(Opening(0, "", "", ONE.client, ONE.to, None, End("", "10.0.0.1", port), None))
    lines = summary.lines(1.0, {})
    assert len(lines) == 22
    assert lines[-1] == "  and to 10 more"
