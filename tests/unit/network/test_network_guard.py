"""The guard's program, run by the kernel: a filter on a socket sees frames as a port does."""

from __future__ import annotations

import ctypes
import socket
import struct

import pytest

from netlab import bpf
from netlab.network import guard

SO_ATTACH_FILTER = 26
MAC, OTHER_MAC = "02:00:00:aa:bb:01", "02:00:00:aa:bb:02"
IP, IP6 = "10.244.1.2", "fd00:10:244:1::2"
LINK_LOCAL = "fe80::ff:feaa:bb01"
OTHER_IP, OTHER_IP6 = "10.244.1.3", "fd00:10:244:1::3"
BOTH = (IP, IP6)
PADDING = bytes(16)


def passes(frame: bytes, ips=BOTH) -> bool:
    """The verdict: to drop is 2, of which a socket makes the bytes that are kept."""
    program = guard.program(MAC, ips)
    code = ctypes.create_string_buffer(b"".join(struct.pack(bpf.FORMAT, *i) for i in program))
    fprog = struct.pack("HP", len(program), ctypes.addressof(code))
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with near, far:
        far.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, fprog)
        near.send(frame)
        return len(far.recv(4096)) != 2


def mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def ethernet(kind: int, payload: bytes, source: str = MAC) -> bytes:
    return mac(OTHER_MAC) + mac(source) + struct.pack("!H", kind) + payload


def ipv4(source: str, payload: bytes = PADDING, *, proto=17, fragment=0, options=b"") -> bytes:
    head = struct.pack("!BBHHHBBH", 0x45 + len(options) // 4, 0, 0, 0, fragment, 64, proto, 0)
    addresses = socket.inet_aton(source) + socket.inet_aton(OTHER_IP)
    return ethernet(0x0800, head + addresses + options + payload)


def ipv6(source: str, payload: bytes = PADDING, *, header=17, length=None) -> bytes:
    length = len(payload) if length is None else length
    head = struct.pack("!IHBB", 6 << 28, length, header, 255)
    addresses = [socket.inet_pton(socket.AF_INET6, ip) for ip in (source, OTHER_IP6)]
    return ethernet(0x86DD, head + b"".join(addresses) + payload)


def arp(sender: str, sender_mac: str = MAC, *, op=1, kinds=(1, 0x0800, 6, 4)) -> bytes:
    head = struct.pack("!HHBBH", *kinds, op)
    return ethernet(0x0806, head + mac(sender_mac) + socket.inet_aton(sender) + bytes(6) + bytes(4))


def neighbour(kind: int, target: str, option: bytes = b"") -> bytes:
    return struct.pack("!BBHI", kind, 0, 0, 0) + socket.inet_pton(socket.AF_INET6, target) + option


def hardware(kind: int, address: str = MAC) -> bytes:
    return bytes((kind, 1)) + mac(address)


def fragment(header: int, offset: int, payload: bytes = PADDING) -> bytes:
    return struct.pack("!BBHI", header, 0, offset << 3 | 1, 7) + payload


GOOD = {
    "IPv4": ipv4(IP),
    "shortest IPv4": ipv4(IP, b""),
    "echo": ipv4(IP, b"\x08" + PADDING, proto=1),
    "unreachable": ipv4(IP, b"\x03" + PADDING, proto=1),
    "echo behind options": ipv4(IP, b"\x08" + PADDING, proto=1, options=b"\x05" * 8),
    "later fragment that looks like a redirect": ipv4(IP, b"\x05", proto=1, fragment=10),
    "ARP request": arp(IP),
    "ARP answer": arp(IP, op=2),
    "IPv6": ipv6(IP6),
    "link-local": ipv6(LINK_LOCAL),
    "TCP": ipv6(IP6, header=6),
    "nothing behind": ipv6(IP6, b"", header=59),
    "IPv6 echo": ipv6(IP6, b"\x80" + PADDING, header=58),
    "IPv6 error": ipv6(IP6, b"\x01" + PADDING, header=58),
    "solicitation": ipv6(IP6, neighbour(135, OTHER_IP6, hardware(1)), header=58),
    "solicitation from link-local": ipv6(LINK_LOCAL, neighbour(135, OTHER_IP6), header=58),
    "advertisement": ipv6(IP6, neighbour(136, IP6, hardware(2)), header=58),
    "advertisement of link-local": ipv6(IP6, neighbour(136, LINK_LOCAL), header=58),
    "fragment": ipv6(IP6, fragment(17, 0), header=44),
    "fragment of an echo": ipv6(IP6, fragment(58, 0, b"\x80" + PADDING), header=44),
    "later fragment": ipv6(IP6, fragment(58, 2, b"\x88" + PADDING), header=44),
}

BAD = {
    "another's hardware address": ethernet(0x0800, ipv4(IP)[14:], OTHER_MAC),
    "its first octets": ethernet(0x0800, ipv4(IP)[14:], "03:00:00:aa:bb:01"),
    "another's address": ipv4(OTHER_IP),
    "no address": ipv4("0.0.0.0"),
    "redirect": ipv4(IP, b"\x05" + PADDING, proto=1),
    "redirect in a first fragment": ipv4(IP, b"\x05" + PADDING, proto=1, fragment=0x2000),
    "redirect behind options": ipv4(IP, b"\x05" + PADDING, proto=1, options=b"\x01" * 8),
    "ARP of another": arp(OTHER_IP),
    "ARP answer of another": arp(OTHER_IP, op=2),
    "ARP with another's hardware address": arp(IP, OTHER_MAC),
    "ARP probe": arp("0.0.0.0"),
    "reverse ARP": arp(IP, op=3),
    "ARP of another network": arp(IP, kinds=(6, 0x0800, 6, 4)),
    "ARP of other lengths": arp(IP, kinds=(1, 0x0800, 4, 4)),
    "another's IPv6 address": ipv6(OTHER_IP6),
    "unspecified": ipv6("::"),
    "another's link-local": ipv6("fe80::ff:feaa:bb02"),
    "router solicitation": ipv6(IP6, b"\x85" + PADDING, header=58),
    "router advertisement": ipv6(LINK_LOCAL, b"\x86" + PADDING, header=58),
    "IPv6 redirect": ipv6(LINK_LOCAL, b"\x89" + PADDING, header=58),
    "multicast report": ipv6(LINK_LOCAL, b"\x8f" + PADDING, header=58),
    "solicitation, another's hardware": ipv6(
        IP6, neighbour(135, OTHER_IP6, hardware(1, OTHER_MAC)), header=58
    ),
    "advertisement of another": ipv6(IP6, neighbour(136, OTHER_IP6, hardware(2)), header=58),
    "advertisement, another's hardware": ipv6(
        IP6, neighbour(136, IP6, hardware(2, OTHER_MAC)), header=58
    ),
    "a second option": ipv6(
        IP6, neighbour(136, IP6, hardware(2) + hardware(2, OTHER_MAC)), header=58
    ),
    "an option of no known kind": ipv6(IP6, neighbour(136, IP6, hardware(14)), header=58),
    "advertisement in a fragment": ipv6(
        IP6, fragment(58, 0, neighbour(136, OTHER_IP6, hardware(2))), header=44
    ),
    "options in a fragment": ipv6(IP6, fragment(60, 0), header=44),
    "a fragment's fragment": ipv6(IP6, fragment(44, 0), header=44),
    **{f"header {n}": ipv6(IP6, header=n) for n in (0, 43, 51, 60, 135, 139, 140)},
    **{
        f"ethertype {kind:04x}": ethernet(kind, ipv4(IP)[14:])
        for kind in (0x8100, 0x88A8, 0x9100, 0x88CC, 0x888E, 0x8035, 0x8847, 0x8863, 46)
    },
}


@pytest.mark.parametrize("name", GOOD)
def test_the_pods_own_passes(name):
    assert passes(GOOD[name])


@pytest.mark.parametrize("name", BAD)
def test_what_is_not_the_pods_own_is_dropped(name):
    assert not passes(BAD[name])


@pytest.mark.parametrize("name", ["ARP request", "solicitation", "advertisement", "IPv6", "IPv4"])
def test_what_is_cut_short_does_not_pass_for_lack_of_a_look(name):
    """A load beyond the end would be a verdict to let it pass."""
    needed = {"ARP request": 42, "IPv6": 54, "IPv4": 34}.get(name, len(GOOD[name]))
    assert all(not passes(GOOD[name][:length]) for length in range(14, needed))


@pytest.mark.parametrize("name", GOOD)
def test_no_octet_of_the_source_may_differ(name):
    """Of the hardware address in every frame, of the sender in ARP, IPv4 and IPv6."""
    spans = {0x0800: range(26, 30), 0x0806: range(22, 32), 0x86DD: range(22, 38)}
    frame = GOOD[name]
    for offset in (*range(6, 12), *spans[int.from_bytes(frame[12:14], "big")]):
        for change in (0x01, 0x80):
            other = bytes((frame[offset] ^ change,))
            assert not passes(frame[:offset] + other + frame[offset + 1 :]), (offset, change)


@pytest.mark.parametrize("family", ["IPv4", "IPv6"])
def test_a_family_that_the_pod_does_not_have_is_dropped(family):
    own, others = ((IP,), ("IPv6", "link-local")) if family == "IPv4" else ((IP6,), ("IPv4", "ARP"))
    for name, frame in GOOD.items():
        assert passes(frame, own) is not (frame[12:14] in _types(others)), name


def _types(names):
    kinds = {"IPv4": 0x0800, "ARP": 0x0806, "IPv6": 0x86DD, "link-local": 0x86DD}
    return [struct.pack("!H", kinds[name]) for name in names]


def test_the_address_a_link_has_by_itself():
    assert str(guard.link_local(MAC)) == LINK_LOCAL
    assert str(guard.link_local("52:54:00:12:34:56")) == "fe80::5054:ff:fe12:3456"


def test_as_tc_takes_it():
    assert guard.bytecode(((40, 0, 0, 12), (6, 0, 0, 4294967295))) == "2,40 0 0 12,6 0 0 4294967295"
