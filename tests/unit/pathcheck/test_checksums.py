"""Checksums as RFCs and other programs have them."""

from __future__ import annotations

import pytest
from scapy.config import conf

conf.route_autoload = conf.route6_autoload = False

from scapy.layers.inet import ICMP, IP, TCP, UDP  # noqa: E402
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6  # noqa: E402
from scapy.layers.sctp import SCTP, SCTPChunkInit  # noqa: E402

from netlab.pathcheck.checksums import checksum  # noqa: E402
from netlab.pathcheck.packets import ProbePacket, build  # noqa: E402
from netlab.workload.crc32c import crc32c  # noqa: E402

LAYERS = {"tcp": TCP, "udp": UDP, "sctp": SCTP}


def test_rfc_values() -> None:
    assert checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0x220D
    assert crc32c(b"123456789") == 0xE3069283


@pytest.mark.parametrize("ends", [("10.244.1.7", "10.96.0.7"), ("fd00::7", "fd00:10::7")])
@pytest.mark.parametrize("proto", ["tcp", "udp", "icmp", "sctp"])
@pytest.mark.parametrize("payload", ["", "odd", "even"])
def test_scapy_reads_a_probe_and_has_the_same_checksums(
    ends: tuple[str, str], proto: str, payload: str
) -> None:
    probe = ProbePacket(0xFEDC0123, proto, ends[0], 12345, ends[1], 80, 77, payload)  # type: ignore[arg-type]
    sent = build(probe)
    version, layer = (IPv6, ICMPv6EchoRequest) if ":" in ends[0] else (IP, ICMP)
    layer = LAYERS.get(proto, layer)
    packet = version(sent)
    assert (packet.src, packet.dst, packet.haslayer(layer)) == (*ends, True)
    if proto == "tcp":
        assert (packet[TCP].seq, packet[TCP].flags, packet[TCP].options) == (
            0xFEDC0123,
            "S",
            [("MSS", 1400)],
        )
    if proto == "sctp":
        assert packet[SCTPChunkInit].init_tag == 0xFEDC0123
    if proto != "icmp":
        assert (packet[layer].sport, packet[layer].dport) == (12345, 80)
    fresh = packet.copy()
    for name in ("chksum", "cksum"):
        if name in fresh[layer].fields:
            delattr(fresh[layer], name)
    if version is IP:
        del fresh.chksum
    assert bytes(fresh) == sent
