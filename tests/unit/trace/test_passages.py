"""From the kernel's events to passages."""

from __future__ import annotations

import socket
import struct

from netlab.kernel.nftrace import TABLE, TraceEvent
from netlab.pathcheck.decode import CapturedPacket
from netlab.trace.passages import MetRule, passages


def header(src: str, dst: str, hops: int = 64, number: int = 1) -> bytes:
    """An IPv4 header of a TCP packet."""
    addresses = socket.inet_aton(src) + socket.inet_aton(dst)
    return struct.pack("!BBHHHBBH", 0x45, 0, 40, number, 0, hops, 6, 0) + addresses


SYN = struct.pack("!HHIIBBHHH", 4000, 80, 7, 0, 0x50, 2, 0, 0, 0)[:20]


def event(
    id_: int, chain: str, handle: int, verdict: str = "continue", **more: object
) -> TraceEvent:
    values: dict[str, object] = {
        "id": id_, "family": 2, "table": "nat", "chain": chain, "kind": "rule", "handle": handle,
        "verdict": verdict, "to": "",
        "header": b"", "transport": b"",
        "iif": 0, "oif": 0, "mark": 0,
    }  # fmt: skip
    return TraceEvent(**(values | more))  # type: ignore[arg-type]


def find(family: str, table: str, chain: str, handle: int, to: str) -> tuple[int, str]:
    del to
    return handle % 10, f"{family} {table} {chain} {handle}"


def ours(packet: CapturedPacket) -> bool | None:
    return None if packet.src == "9.9.9.9" else packet.src == "10.0.0.2"


def test_packets_that_are_told_of_at_once_are_told_apart() -> None:
    there, back = header("10.0.0.1", "10.0.0.2"), header("10.0.0.2", "10.0.0.1")
    found = passages(
        "n1",
        [
            event(1, "PREROUTING", 4, "jump", to="X", header=there, transport=SYN, iif=2, mark=5),
            event(2, "PREROUTING", 5, header=back, transport=SYN),
            event(1, "X", 6, "accept"),
            event(2, "PREROUTING", 0, kind="policy", verdict="accept"),
            event(1, "POSTROUTING", 7, "drop", header=there, transport=SYN, oif=3),
        ],
        {2: "cni0", 3: "eth0"},
        find,
        ours,
    )
    first, second, third = found
    assert (first.chain, first.iif, first.mark, first.reply) == ("PREROUTING", "cni0", 5, False)
    assert first.rules == (
        MetRule("nat", "PREROUTING", 4, "ip nat PREROUTING 4", "jump", "X", "ip", 4, 5),
        MetRule("nat", "X", 6, "ip nat X 6", "accept", "", "ip", 6),
    )
    assert (first.source, first.destination) == ("10.0.0.1:4000", "10.0.0.2:80")
    assert (second.reply, second.verdict, len(second.rules)) == (True, "accept", 1)
    assert (third.chain, third.oif, third.verdict) == ("POSTROUTING", "eth0", "drop")


def test_strangers_and_our_own_table_are_left_out() -> None:
    stranger, own = header("9.9.9.9", "10.0.0.2"), header("10.0.0.1", "10.0.0.2")
    events = [
        event(1, "PREROUTING", 4, header=stranger, transport=SYN),
        event(2, "prerouting", 4, table=f"{TABLE}00", header=own, transport=SYN),
        event(3, "X", 4),  # of a packet whose header was never told
    ]
    assert passages("n1", events, {}, find, ours) == []


def test_an_end_of_a_chain_is_no_rule() -> None:
    head = header("10.0.0.1", "10.0.0.2")
    events = [event(1, "X", 0, header=head, transport=SYN), event(1, "X", 3)]
    (found,) = passages("n1", events, {}, find, ours)
    assert [rule.number for rule in found.rules] == [3]


def test_what_is_sent_again_is_told_once_and_what_goes_round_each_time() -> None:
    """A SYN that nobody answered goes again after a second, and meets no rule of nat."""
    first, again = header("10.0.0.1", "10.0.0.2"), header("10.0.0.1", "10.0.0.2", number=2)
    back = header("10.0.0.1", "10.0.0.2", hops=63)
    heads = [(1, first), (2, again), (3, back)]
    events = [event(one, "FORWARD", one, header=head, transport=SYN, iif=2) for one, head in heads]
    found = passages("n1", events, {}, find, ours)
    assert [one.rules[0].number for one in found] == [1, 3]
