"""Messages of connection tracking taken apart, whole ones and others."""

from __future__ import annotations

import socket
import struct

import pytest

from netlab.conntrack import NewConnection, Tuple
from netlab.kernel import new_connections
from netlab.kernel.new_connections import told
from netlab.kernel.nlattr import packed


def way(one: Tuple, protocol: int, family: socket.AddressFamily) -> bytes:
    kinds = (1, 2) if family == socket.AF_INET else (3, 4)
    ends = (one.source, one.destination)
    addresses = [
        packed(kind, socket.inet_pton(family, end)) for kind, end in zip(kinds, ends, strict=True)
    ]
    ports = [packed(2, struct.pack(">H", one.sport)), packed(3, struct.pack(">H", one.dport))]
    content = packed(0x8002, packed(1, bytes([protocol])) + b"".join(ports))
    return packed(0x8001, b"".join(addresses)) + content


def message(attributes: bytes, family: int = socket.AF_INET) -> bytes:
    head = struct.pack("=IHHII", 20 + len(attributes), 256, 0x600, 0, 0)
    return head + bytes([family, 0, 0, 0]) + attributes


THERE, BACK = Tuple("10.0.0.1", 40000, "10.96.0.7", 80), Tuple("10.0.0.9", 8080, "10.0.0.1", 40000)
THERE6, BACK6 = Tuple("fd00::1", 1, "fd96::7", 80), Tuple("fd00::9", 8080, "fd00::1", 1)
REST = packed(3, struct.pack(">I", 0x28)) + packed(12, b"\1\2\3\4")


def whole(protocol: int = 6, *, six: bool = False) -> bytes:
    family = socket.AF_INET6 if six else socket.AF_INET
    there, back = (THERE6, BACK6) if six else (THERE, BACK)
    original = packed(0x8001, way(there, protocol, family))
    return message(original + packed(0x8002, way(back, protocol, family)) + REST, family)


@pytest.mark.parametrize("quick", [True, False])
@pytest.mark.parametrize(
    ("protocol", "name"), [(6, "tcp"), (17, "udp"), (132, "sctp"), (200, "200")]
)
@pytest.mark.parametrize("six", [False, True])
def test_a_connection(
    quick: bool, protocol: int, name: str, six: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not quick:
        monkeypatch.setattr(new_connections, "_LAYOUTS", {})
    ends = (THERE6, BACK6) if six else (THERE, BACK)
    assert list(told(whole(protocol, six=six), 5.0)) == [NewConnection(5.0, name, *ends)]


def test_several_in_one_go() -> None:
    found = list(told(whole() + whole(17) + whole(six=True), 5.0))
    assert [each.protocol for each in found] == ["tcp", "udp", "tcp"]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        whole()[:16],
        message(b""),
        message(packed(0x8001, way(THERE, 6, socket.AF_INET))),
        message(REST),
        message(b"\0" * 60, family=99),
    ],
)
def test_what_is_none(data: bytes) -> None:
    assert list(told(data, 5.0)) == []


def test_many_addresses_do_not_stay() -> None:
    for number in range(70000):
        new_connections._text(struct.pack(">I", number))
    assert len(new_connections._texts) <= 65536
    assert new_connections._text(b"\x0a\0\0\1") == "10.0.0.1"
