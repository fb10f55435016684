"""Which packets are part of a conversation."""

from __future__ import annotations

import ipaddress
import random
import struct
from collections.abc import Callable

import pytest

from netlab.pathcheck import bpf
from netlab.pathcheck.conversation import Conversation, Side, ends_of

TCP, UDP, ICMP = 6, 17, 1


def ipv4(src: str, dst: str, protocol: int, content: bytes, fragment: int = 0) -> bytes:
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(content), 1, fragment, 64, protocol, 0)
    return head + b"".join(ipaddress.ip_address(each).packed for each in (src, dst)) + content


def ipv6(src: str, dst: str, protocol: int, content: bytes) -> bytes:
    head = struct.pack("!IHBB", 0x60000000, len(content), protocol, 64)
    return head + b"".join(ipaddress.ip_address(each).packed for each in (src, dst)) + content


def ports(sport: int, dport: int) -> bytes:
    return struct.pack("!HHII", sport, dport, 0, 0)


BOX = Side(frozenset({"10.244.1.2", "fd00::2"}))
WEB = Side(doors=frozenset({("10.96.0.7", 80), ("10.244.2.5", 8080), ("fd00:96::7", 80)}))
REQUEST = ipv4("10.244.1.2", "10.96.0.7", TCP, ports(4000, 80))
CASES = {
    "there": (REQUEST, True),
    "behind DNAT": (ipv4("10.244.1.2", "10.244.2.5", TCP, ports(4000, 8080)), True),
    "back": (ipv4("10.96.0.7", "10.244.1.2", TCP, ports(80, 4000)), True),
    "IPv6": (ipv6("fd00::2", "fd00:96::7", TCP, ports(4000, 80)), True),
    "another port": (ipv4("10.244.1.2", "10.96.0.7", TCP, ports(4000, 81)), False),
    "another sender": (ipv4("10.244.1.3", "10.96.0.7", TCP, ports(4000, 80)), False),
    "from both": (ipv4("10.244.1.2", "10.244.1.2", TCP, ports(80, 80)), False),
    "a later fragment": (ipv4("10.244.1.2", "10.96.0.7", UDP, b"data", fragment=0x20), True),
    "IPv6's later fragment": (
        ipv6("fd00::2", "fd00:96::7", 44, struct.pack("!BBHI", UDP, 0, 8 << 3, 1)),
        True,
    ),
    "an error about it": (
        ipv4("172.16.0.1", "10.244.1.2", ICMP, bytes([3, 3]) + bytes(6) + REQUEST[:28]),
        True,
    ),
    "an error about another": (
        ipv4("172.16.0.1", "10.244.1.2", ICMP, bytes([3, 3]) + bytes(6)
             + ipv4("10.244.1.2", "10.96.0.9", TCP, ports(1, 80))),
        False,
    ),
    "nothing": (b"", False),
    "too short": (REQUEST[:21], False),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_between_two_sides(name: str) -> None:
    packet, taken = CASES[name]
    assert Conversation(BOX, WEB).has(packet) is taken


def test_one_side_or_a_protocol_alone() -> None:
    assert Conversation(sender=BOX).has(ipv4("9.9.9.9", "10.244.1.2", UDP, ports(53, 4000)))
    assert not Conversation(sender=BOX).has(ipv4("9.9.9.9", "8.8.8.8", UDP, ports(53, 4000)))
    assert not Conversation(BOX, protocols=frozenset({UDP})).has(REQUEST)
    assert Conversation(protocols=frozenset({TCP})).has(REQUEST)
    assert Conversation().has(b"")


def test_the_kernels_filter_loses_nothing() -> None:
    """Whatever is part of it passes, and what has none of its addresses does not."""
    for packet, taken in CASES.values():
        if taken:
            for side in (BOX, WEB):
                assert filtered(bpf.of_addresses(side.all()), packet)
    strange = ipv4("9.9.9.9", "8.8.8.8", TCP, ports(1, 2) + bytes(30))
    assert not filtered(bpf.of_addresses(BOX.all()), strange)
    assert filtered(bpf.of_addresses(frozenset()), strange)
    assert not filtered(bpf.of_addresses(frozenset()), strange, ethertype=0x0806)
    many = frozenset(f"10.1.{n // 250}.{n % 250}" for n in range(5000))
    assert filtered(bpf.of_addresses(many), strange), "there is no room for so many"
    most = bpf.of_addresses(frozenset(sorted(many)[:300]))
    assert most.instructions < 4096
    assert not filtered(most, strange)


def _of_tcp(flags: int) -> bytes:
    return struct.pack("!HHIIBBHHH", 1, 80, 0, 0, 5 << 4, flags, 0, 0, 0)


SYN, RST, ACK = 0x02, 0x04, 0x10


@pytest.mark.parametrize("make", [ipv4, ipv6], ids=["ipv4", "ipv6"])
def test_what_begins_and_answers_flows_of_some_machines_is_kept(make: Callable[..., bytes]) -> None:
    ours, other, third = (("10.0.0." if make is ipv4 else "fd00::") + n for n in "234")
    icmp = ICMP if make is ipv4 else 58
    of_tcp, of_udp = bpf.of_machines([ours], "tcp"), bpf.of_machines([ours], "udp")
    for ends in ((ours, other), (other, ours)):
        for flags in (SYN, SYN | ACK, RST):
            assert filtered(of_tcp, make(*ends, TCP, _of_tcp(flags))) == bpf.SNAP
        assert not filtered(of_tcp, make(*ends, TCP, _of_tcp(ACK)))
        assert not filtered(of_tcp, make(*ends, UDP, ports(1, 2)))
        assert not filtered(of_udp, make(*ends, TCP, _of_tcp(SYN)))
        assert filtered(of_udp, make(*ends, UDP, ports(1, 2)))
        for each in (of_tcp, of_udp):
            assert filtered(each, make(*ends, icmp, bytes(8)))
    for each in (of_tcp, of_udp):
        assert not filtered(each, make(other, third, TCP, _of_tcp(SYN)))
        assert not filtered(each, make(other, third, UDP, ports(1, 2)))
        assert not filtered(each, make(other, third, icmp, bytes(8)))
        assert filtered(each, ipv4("127.0.0.1", "127.0.0.1", UDP, ports(1, 9))), "a canary"
        assert not filtered(each, make(ours, other, TCP, _of_tcp(SYN)), ethertype=0x0806)


def test_there_is_room_for_the_addresses_of_many_machines() -> None:
    many = [f"10.1.{n // 250}.{n % 250}" for n in range(5000)]
    assert bpf.of_machines(many, "tcp") is bpf.PROBES
    most = bpf.of_machines(many[:300], "tcp")
    assert filtered(most, ipv4(many[299], "9.9.9.9", TCP, _of_tcp(SYN)))
    assert not filtered(most, ipv4("8.8.8.8", "9.9.9.9", TCP, _of_tcp(SYN)))


def test_no_packet_is_too_odd() -> None:
    chance = random.Random(2)
    for _ in range(2000):
        packet = bytearray(chance.choice([packet for packet, _ in CASES.values() if packet]))
        packet[chance.randrange(len(packet))] = chance.randrange(256)
        ends_of(bytes(packet[: chance.randrange(len(packet) + 1)]))
        Conversation(BOX, WEB).has(bytes(packet))


def filtered(program: bpf.Filter, packet: bytes, ethertype: int = 0x0800) -> int:
    """What the kernel would do: how many bytes it takes."""
    lines = list(struct.iter_unpack("HBBI", program.assembled()))
    ethertype = 0x86DD if ethertype == 0x0800 and packet[0] >> 4 == 6 else ethertype
    at = accumulator = index = 0
    while True:
        code, yes, no, operand = lines[at]
        at += 1
        if code == 0x28:
            accumulator = ethertype
        elif code == 0x30:
            accumulator = packet[operand]
        elif code == 0x20:
            if operand + 4 > len(packet):
                return 0
            (accumulator,) = struct.unpack_from("!I", packet, operand)
        elif code == 0x50:
            accumulator = packet[index + operand]
        elif code == 0xB1:
            index = (packet[operand] & 0xF) * 4
        elif code == 0x45:
            at += yes if accumulator & operand else no
        elif code == 0x15:
            at += yes if accumulator == operand else no
        else:
            assert code == 0x06
            return int(operand)
