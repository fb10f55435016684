"""The answer's way back, from what captures saw."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from netlab.pathcheck.decode import CapturedPacket, Observation
from netlab.pathcheck.packets import ProbePacket
from netlab.pathcheck.path import Hop, Rewrite
from netlab.pathcheck.protocols import ACK, RST, SYN
from netlab.trace.way import Connection, Tracked, Tuple, as_journey, icmp_named, way_back

PROBE = ProbePacket(7, "tcp", "10.0.0.1", 4000, "10.96.0.7", 80, 1)
UNREACHABLE = "ICMP type 3 code 3 (destination unreachable: port unreachable)"
SYN_ACK = CapturedPacket(4, "10.0.1.2", "10.0.0.1", "tcp", 80, 4000, SYN | ACK, answers=7)


def seen(place: str, time: int, packet: CapturedPacket, **changed: Any) -> Observation:
    return Observation(place, "eth0", False, time, replace(packet, **changed))


def test_it_is_turned_back_where_its_source_changes() -> None:
    back = way_back(
        PROBE,
        "box",
        [],
        [
            seen("box", 4, SYN_ACK, src="10.96.0.7"),
            seen("web", 1, SYN_ACK),
            seen("node", 2, SYN_ACK),
            seen("node", 3, SYN_ACK, src="10.96.0.7"),
            seen("web", 0, SYN_ACK, answers=8),  # of somebody else's
        ],
    )
    assert back is not None
    assert (back.what, back.sent, back.last) == ("SYN-ACK", "web", "box")
    assert back.sources == (Rewrite("node", "10.0.1.2:80", "10.96.0.7:80"),)
    assert back.destinations == ()
    assert back.hops[0] == Hop("web", "eth0", "10.0.1.2:80", "10.0.0.1:4000")
    assert [hop.place for hop in back.hops] == ["web", "node", "node", "box"]


def test_without_an_answer_there_is_no_way_back() -> None:
    other = replace(SYN_ACK, answers=None)
    assert way_back(PROBE, "box", [], [seen("box", 1, other)]) is None


def test_a_datagram_is_the_answer_that_comes_from_where_it_went() -> None:
    probe = ProbePacket(7, "udp", "10.0.0.1", 4000, "10.96.0.7", 53, 1)
    sent = seen("node", 1, CapturedPacket(4, "10.0.0.1", "10.0.1.2", "udp", 4000, 53, key=7))
    answer = CapturedPacket(4, "10.0.1.2", "10.0.0.1", "udp", 53, 4000)
    other = replace(answer, src="10.0.1.3")
    back = way_back(probe, "box", [sent], [sent, seen("node", 2, answer), seen("node", 3, other)])
    assert back is not None
    assert (back.what, len(back.hops)) == ("a datagram", 1)


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"flags": RST | ACK}, "RST"),
        ({"proto": "icmp", "sport": 0, "dport": 0, "icmp_error": (3, 3)}, UNREACHABLE),
    ],
)  # fmt: skip
def test_refusals_are_called_by_their_names(changed: dict[str, Any], what: str) -> None:
    back = way_back(PROBE, "box", [], [seen("node", 1, SYN_ACK, **changed)])
    assert back is not None
    assert back.what == what
    assert back.error == changed.get("icmp_error")


def test_the_same_number_means_another_error_in_ipv6() -> None:
    assert icmp_named(6, 1, 4).startswith("ICMPv6 type 1 code 4 (destination unreachable: port")
    assert icmp_named(4, 1, 4) == "ICMP type 1 code 4"


def test_what_no_capture_sees_conntrack_knows() -> None:
    """A node that is asked turns the answer back before its capture sees it, and one that asks
    behind it."""
    known = Connection(
        Tuple("10.0.0.1", 4000, "10.96.0.7", 80), Tuple("10.0.1.2", 80, "10.0.0.9", 5000),
        seen_reply=True, assured=False, state="", timeout=9, mark=0,
    )  # fmt: skip
    answer = replace(SYN_ACK, dst="10.0.0.9", dport=5000)
    back = way_back(PROBE, "box", [], [seen("box", 1, answer)], [Tracked("box", known)])
    assert back is not None
    assert back.end.destination == "10.0.0.1:4000"
    assert back.destinations == (Rewrite("box", "10.0.0.9:5000", "10.0.0.1:4000"),)
    went = as_journey(back, PROBE, "box")
    assert (went.probe.source, went.delivered) == ("10.0.1.2:80", "10.0.0.1:4000")
    other = seen("node", 1, SYN_ACK, src="10.96.0.7")
    away = way_back(PROBE, "box", [], [other], [Tracked("node", known)])
    assert away is not None
    assert (away.begin.source, away.sources[0].after) == ("10.0.1.2:80", "10.96.0.7:80")
