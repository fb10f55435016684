"""The kernel's trace events, and that nothing stays of what asks for them."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from netlab.kernel import netns
from netlab.kernel.nftrace import TABLE, Pattern, Tracing, rule_handles
from netlab.kernel.run import run

pytestmark = pytest.mark.root

TOKEN = b"netlab-0000000a"
RULES = """
*filter
:SEEN - [0:0]
-A INPUT -p udp -j SEEN
-A SEEN -p tcp -j DROP
-A SEEN -p udp --dport 99 -j MARK --set-mark 3
-A SEEN -p udp --dport 99 -j ACCEPT
COMMIT
"""


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A namespace with a loopback and some rules."""
    path = tmp_path / "place"
    os.close(netns.create(path))
    run(["ip", "link", "set", "lo", "up"], netns=path)
    run(["iptables-nft-restore"], netns=path, input=RULES)
    yield path
    netns.remove(path)


def send(place: Path, payload: bytes) -> None:
    with netns.entered(place), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(payload, ("127.0.0.1", 99))


def rules_of(place: Path) -> str:
    return run(["nft", "list", "ruleset"], netns=place).stdout


def test_it_tells_each_rule_that_a_packet_met(place: Path) -> None:
    with Tracing(place, [Pattern(8, TOKEN)]) as trace:
        send(place, TOKEN)
        events = [
            each for each in trace.collect() if not each.table.startswith(TABLE) and each.handle
        ]
        handles = rule_handles(place, 2, "filter", "SEEN")
    assert [(each.chain, each.verdict, each.to) for each in events] == [
        ("INPUT", "jump", "SEEN"),
        ("SEEN", "continue", ""),
        ("SEEN", "accept", ""),
    ]
    assert [each.handle for each in events[1:]] == handles[1:]
    assert events[0].iif == 1
    assert not events[1].header


def test_other_packets_are_not_told_of(place: Path) -> None:
    with Tracing(place, [Pattern(8, TOKEN)]) as trace:
        send(place, b"netlab-0000000b")
        assert trace.collect() == []
        send(place, TOKEN)
        assert trace.collect() != []


def test_of_several_together_a_packet_has_all(place: Path) -> None:
    """What some begin with is asked for once; that one of them alone is enough counts, too."""
    token, more, port = Pattern(8, b"netlab-"), Pattern(15, b"0000000a"), Pattern(2, b"\0\x63")
    other, closed = Pattern(15, b"0000000b"), Pattern(2, b"\0\x62")
    for patterns, told in (
        ([(token, port, more), (token, port, other), (token, closed)], True),
        ([(token, closed, more), (token, port, other), (token, closed, other)], False),
        ([(token, closed, more), token], True),
        ([(token, closed), (token, port), (port, more)], True),
    ):
        with Tracing(place, patterns) as trace:
            send(place, TOKEN)
            assert bool(trace.collect()) is told, patterns


def test_of_a_masked_pattern_those_bits_alone_are_asked_for(place: Path) -> None:
    port = Pattern(2, b"\0\x61", mask=b"\xff\xfd")  # 97 or 99
    for pattern, told in ((port, True), (Pattern(2, b"\0\x60", mask=b"\xff\xfd"), False)):
        with Tracing(place, [(pattern, Pattern(8, TOKEN)), (pattern, Pattern(8, b"x"))]) as trace:
            send(place, TOKEN)
            assert bool(trace.collect()) is told


def test_a_chain_that_is_not_there_has_no_rules(place: Path) -> None:
    assert rule_handles(place, 2, "filter", "NOBODY") == []
    assert rule_handles(place, 10, "filter", "SEEN") == []


def test_the_rules_are_as_they_were(place: Path) -> None:
    before = rules_of(place)
    with Tracing(place, [Pattern(8, TOKEN)]):
        assert TABLE in rules_of(place)
    assert rules_of(place) == before


def test_nothing_is_left_of_one_that_was_killed(place: Path) -> None:
    before = rules_of(place)
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        with Tracing(place, [Pattern(8, TOKEN)]):
            os.write(writer, b"1")
            signal.pause()
        os._exit(0)
    os.read(reader, 1)
    assert TABLE in rules_of(place)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert rules_of(place) == before
    os.close(reader)
    os.close(writer)


def test_two_at_once_do_not_disturb_each_other(place: Path) -> None:
    with Tracing(place, [Pattern(8, TOKEN)]) as one:
        with Tracing(place, [Pattern(8, b"netlab-0000000b")]) as other:
            send(place, TOKEN)
            send(place, b"netlab-0000000b")
            assert other.collect() != []
        assert one.collect() != []
        send(place, TOKEN)
        assert one.collect() != []
