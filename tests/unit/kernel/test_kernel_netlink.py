"""What is put into one send, and what is read from answers; no socket involved."""

from __future__ import annotations

import errno
import struct

from netlab.errors import EnvironmentLacks, KernelRefused
from netlab.kernel import bridgeport, messages, netlink
from netlab.kernel.netlink import NetlinkMessage
from netlab.kernel.rtnetlink import ifinfmsg


def message(size):
    return NetlinkMessage("x", 16, 0, bytes(size))


def test_portions_cover_everything_once_and_fit():
    batch = [message(size) for size in [1000] * 200]
    portions = list(netlink._portions(batch))
    assert [start for start, _ in portions] == [
        sum(count for _, count in portions[:n]) for n in range(len(portions))
    ]
    assert sum(count for _, count in portions) == 200
    assert len(portions) > 1
    assert all(count * 1019 <= netlink._SEND_LIMIT for _, count in portions)


def test_one_message_over_the_limit_goes_alone():
    batch = [message(10), message(100_000), message(10)]
    assert list(netlink._portions(batch)) == [(0, 1), (1, 1), (2, 1)]


def test_nothing_to_send():
    assert list(netlink._portions([])) == []


def test_the_kernels_words_are_found_behind_a_capped_request():
    request = struct.pack("=IHHII", 200, 16, 5, 1, 0)
    words = b"Unknown device type\0"
    attribute = struct.pack("=HH", 4 + len(words), 1) + words
    body = struct.pack("=i", -errno.EOPNOTSUPP) + request + attribute
    assert netlink._extended(0x300, body) == "Unknown device type"
    assert netlink._extended(0x100, body) == ""


def test_the_kernels_words_are_found_behind_a_whole_request():
    request = struct.pack("=IHHII", 24, 16, 5, 1, 0) + bytes(8)
    attribute = struct.pack("=HH", 4 + 3, 1) + b"no\0"
    body = struct.pack("=i", -22) + request + attribute
    assert netlink._extended(0x200, body) == "no"


def test_refusals_name_the_message():
    refused = netlink._refusal(message(0), errno.EEXIST, "name taken")
    assert isinstance(refused, KernelRefused)
    assert refused.errno == errno.EEXIST
    assert str(refused) == "cannot x: File exists (name taken)"
    assert isinstance(netlink._refusal(message(0), errno.EPERM, ""), EnvironmentLacks)


def test_a_ports_switches_are_marked_as_nested():
    """Else the kernel reads the attribute as the old one-byte port state."""
    body = bridgeport.set_port("x", 7, hairpin=True, learning=True, flood=True).body
    header = struct.calcsize("=BxHiII")
    length, kind = struct.unpack_from("=HH", body, header)
    assert kind == 0x8000 | 12
    assert struct.unpack_from("=HHB", body, header + 4) == (5, 4, 1)
    assert length == 28


def test_ipv6_addresses_are_usable_at_once():
    body = messages.add_address("x", 2, "fd00::5/64").body
    family, length, flags = struct.unpack_from("=BBB", body)
    assert (family, length, flags) == (10, 64, 0x02)


def test_bodies_repeated_for_each_pod_are_encoded_once():
    assert messages.set_up("a", 2).body is messages.set_up("b", 2).body


def test_a_veth_pair_is_encoded_as_pyroute2_does():
    body = messages.add_veth(
        "x",
        name="veth1",
        index=77,
        mac="02:00:00:00:00:01",
        master=4,
        peer_name="eth0",
        peer_index=2,
        peer_mac="02:00:00:00:00:02",
        peer_netns=9,
    ).body
    there = [
        ("IFLA_IFNAME", "eth0"),
        ("IFLA_ADDRESS", "02:00:00:00:00:02"),
        ("IFLA_NET_NS_FD", 9),
    ]
    peer = ("VETH_INFO_PEER", {"index": 2, "attrs": there})
    info = [("IFLA_INFO_KIND", "veth"), ("IFLA_INFO_DATA", {"attrs": [peer]})]
    theirs = ifinfmsg()
    theirs["index"], theirs["flags"], theirs["change"] = 77, 1, 1
    theirs["attrs"] = [
        ("IFLA_IFNAME", "veth1"),
        ("IFLA_ADDRESS", "02:00:00:00:00:01"),
        ("IFLA_MASTER", 4),
        ("IFLA_LINKINFO", {"attrs": info}),
    ]
    theirs.encode()
    assert body == bytes(theirs.data[16:])
