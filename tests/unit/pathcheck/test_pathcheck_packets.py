from __future__ import annotations

import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from netlab.pathcheck import bpf
from netlab.pathcheck.decode import decode, decode_anybody_s, endpoint, split
from netlab.pathcheck.packets import ProbeNumbers, build
from netlab.pathcheck.protocols import ACK, RST, SYN

ADDRESSES = {4: ("10.244.1.7", "10.96.0.7"), 6: ("fd00::7", "fd00:10::7")}
TCP, UDP, ICMP, ICMPV6 = 6, 17, 1, 58


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("proto", ["tcp", "udp", "sctp"])
@pytest.mark.parametrize("port", [53, 80])
def test_a_probe_is_read_back_with_its_key(version: int, proto: str, port: int) -> None:
    src, dst = ADDRESSES[version]
    probe = ProbeNumbers().probe(proto, src, dst, port)  # type: ignore[arg-type]
    packet = decode(build(probe))
    assert packet is not None
    assert (packet.src, packet.dst, packet.sport, packet.dport) == (src, dst, probe.sport, port)
    assert packet.key == probe.key
    assert packet.ip_id == probe.ip_id


@pytest.mark.parametrize("version", [4, 6])
def test_an_echo_request_and_its_reply_are_told_apart(version: int) -> None:
    src, dst = ADDRESSES[version]
    probe = ProbeNumbers().probe("icmp", src, dst, 0)
    sent = build(probe)
    request = decode(sent)
    assert request is not None
    assert (request.key, request.answers, request.icmp_error) == (probe.key, None, None)
    assert (request.source, request.destination) == (src, dst) == (probe.source, probe.destination)
    start = 20 if version == 4 else 40
    reply = decode(sent[:start] + bytes([0 if version == 4 else 129]) + sent[start + 1 :])
    assert reply is not None
    assert (reply.key, reply.answers, reply.icmp_error) == (None, probe.key, None)


@pytest.mark.parametrize("version", [4, 6])
def test_a_datagram_of_somebody_s_is_known_by_its_content(version: int) -> None:
    """Whoever rewrote its addresses and ports, and in an error that quotes it."""
    src, dst = ADDRESSES[version]

    def datagram(source: str, sport: int, text: bytes) -> bytes:
        probe = ProbeNumbers().probe("udp", source, dst, 80)
        start = len(build(probe)) - 8 - len(f"netlab-{probe.key:08x}\n")
        head = build(probe)[:start]
        return head + struct.pack("!HHHH", sport, 80, 8 + len(text), 7) + text

    text = b"what is the time? " * 20
    sent = decode_anybody_s(datagram(src, 1000, text))
    translated = decode_anybody_s(datagram(dst, 2000, text))
    other = decode_anybody_s(datagram(src, 1000, text[:-1]))
    assert sent and translated and other
    assert sent.key is not None and sent.key == translated.key != other.key
    cut = datagram(dst, 2000, text)[:140]
    refused = bytes([3, 3] if version == 4 else [1, 4]) + bytes(6) + cut
    error = decode_anybody_s(ipv4(ICMP, refused) if version == 4 else ipv6(ICMPV6, refused))
    assert error is not None and error.answers == sent.key
    plain = decode(datagram(src, 1000, text))
    assert plain is not None and plain.key is None


def test_no_two_probes_share_key_port_or_id() -> None:
    numbers = ProbeNumbers()
    probes = [numbers.probe("tcp", "10.0.0.1", "10.0.0.2", 80) for _ in range(3000)]
    for one in ("key", "sport", "ip_id"):
        assert len({getattr(probe, one) for probe in probes}) == 3000
    assert all(probe.ip_id for probe in probes)


def test_a_syn_ack_answers_the_probe_it_acknowledges() -> None:
    packet = decode(tcp(flags=SYN | ACK, ack=0x12345679))
    assert packet is not None
    assert (packet.key, packet.answers) == (None, 0x12345678)


def test_an_icmp_error_is_about_the_probe_it_quotes() -> None:
    probe = ProbeNumbers().probe("tcp", "10.244.1.7", "10.96.0.8", 80)
    for quoted in (build(probe), build(probe)[:28]):
        packet = decode(ipv4(ICMP, bytes([3, 3]) + bytes(6) + quoted))
        assert packet is not None
        assert packet.answers == probe.key
        assert packet.port_unreachable
        assert packet.icmp_error == (3, 3)
    echo = decode(ipv4(ICMP, bytes([8, 0]) + bytes(6) + build(probe)))
    assert echo is not None
    assert (echo.answers, echo.icmp_error) == (None, None)


def test_fragments_are_not_read() -> None:
    whole = bytearray(tcp(flags=SYN, ack=0))
    whole[7] = 1
    assert decode(bytes(whole)) is None


@given(st.binary(max_size=80))
@example(b"\0" * 8 + b"\x06\0\0")
@example(b"\0" * 5 + b"\x06")
def test_noise_is_no_packet_and_no_error(noise: bytes) -> None:
    decode(noise)
    decode(b"\x45" + noise)
    decode(b"\x60" + noise)


def test_endpoints_in_one_word() -> None:
    assert endpoint("10.0.0.1", 80) == "10.0.0.1:80"
    assert endpoint("fd00::1", 80) == "[fd00::1]:80"


@pytest.mark.parametrize("address", ["10.0.0.1", "fd00::1", "::1", "fd00:1:2:3:4:5:6:7"])
@pytest.mark.parametrize("port", [0, 80])
def test_an_endpoint_comes_apart_again(address: str, port: int) -> None:
    assert split(endpoint(address, port)) == (address, port)


def ipv4(proto: int, payload: bytes) -> bytes:
    addresses = bytes([10, 96, 0, 8]) + bytes([10, 244, 1, 7])
    return struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 9, 0, 64, proto, 0) + (
        addresses + payload
    )


def ipv6(proto: int, payload: bytes) -> bytes:
    return struct.pack("!IHBB", 6 << 28, len(payload), proto, 64) + bytes(32) + payload


def segment(flags: int, ack: int = 0) -> bytes:
    return struct.pack("!HHIIBBHHH", 80, 40000, 1, ack, 0x50, flags, 0, 0, 0)


def tcp(flags: int, ack: int) -> bytes:
    return ipv4(TCP, segment(flags, ack))


@pytest.mark.parametrize(
    ("ethertype", "packet", "taken"),
    [
        (0x0800, ipv4(TCP, segment(SYN)), True),
        (0x0800, ipv4(TCP, segment(SYN | ACK)), True),
        (0x0800, ipv4(TCP, segment(0x04)), True),
        (0x0800, ipv4(TCP, segment(ACK)), False),
        (0x0800, ipv4(UDP, bytes(8)), True),
        (0x0800, ipv4(ICMP, bytes(8)), True),
        (0x0800, ipv4(47, bytes(8)), False),
        (0x86DD, ipv6(TCP, segment(SYN)), True),
        (0x86DD, ipv6(TCP, segment(ACK)), False),
        (0x86DD, ipv6(UDP, bytes(8)), True),
        (0x86DD, ipv6(ICMPV6, bytes(8)), True),
        (0x0806, bytes(28), False),
    ],
)
def test_the_filter_takes_what_can_be_a_probe_or_its_answer(
    ethertype: int, packet: bytes, taken: bool
) -> None:
    assert bool(filtered(ethertype, packet)) is taken


@pytest.mark.parametrize(
    ("flags", "taken"), [(SYN, True), (SYN | ACK, False), (RST, False), (RST | ACK, False)]
)
def test_of_tcp_questions_alone_are_heard_where_nobody_awaits_an_answer(
    flags: int, taken: bool
) -> None:
    for ethertype, packet in (
        (0x0800, ipv4(TCP, segment(flags))),
        (0x86DD, ipv6(TCP, segment(flags))),
    ):
        assert bool(filtered(ethertype, packet, bpf.QUESTIONS)) is taken
    assert filtered(0x0800, ipv4(UDP, bytes(8)), bpf.QUESTIONS)
    assert filtered(0x86DD, ipv6(ICMPV6, bytes(8)), bpf.QUESTIONS)


def filtered(ethertype: int, packet: bytes, by: bpf.Filter = bpf.PROBES) -> int:
    """What the kernel would do with the program: the bytes it takes of the packet."""
    program = list(struct.iter_unpack("HBBI", by.assembled()))
    at = accumulator = index = 0
    while True:
        code, yes, no, operand = program[at]
        at += 1
        if code == 0x28:
            accumulator = ethertype
        elif code == 0x30:
            accumulator = packet[operand]
        elif code == 0x50:
            accumulator = packet[index + operand]
        elif code == 0xB1:
            index = (packet[operand] & 0xF) * 4
        elif code == 0x15:
            at += yes if accumulator == operand else no
        elif code == 0x45:
            at += yes if accumulator & operand else no
        else:
            return int(operand)
