"""Where neighbours are found: telling them that an address has moved here, so that they need not
find out, and what somebody has said of them for good.

The kernel does so by itself (arp_notify, ndisc_notify) when a link comes up, but not for an address
that is added later.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections.abc import Iterable, Iterator

from netlab.kernel import nlattr
from netlab.kernel.bridgeport import NUD_PERMANENT
from netlab.kernel.messages import RTM_GETNEIGH
from netlab.kernel.netlink import NetlinkSocket

_HEADER_SIZE = 16
_NEIGHBOUR = struct.Struct("=BxxxiHBB")  # family, index, state, flags, type
_NDA_DST, _NDA_LLADDR = 1, 2

_ETHERTYPE_ARP = 0x0806
_BROADCAST = b"\xff" * 6
_ARP_REQUEST = 1
_NEIGHBOUR_ADVERTISEMENT = 136
_OVERRIDE = 0x20000000
_TARGET_LINK_LAYER_ADDRESS = 2
_ALL_NODES = "ff02::1"


def permanent(netlink: NetlinkSocket) -> Iterator[tuple[int, str, str]]:
    """(link's index, address, hardware address) of what no asking will change in a namespace."""
    for reply in netlink.dump(RTM_GETNEIGH, _NEIGHBOUR.pack(0, 0, 0, 0, 0)):
        _, index, state, _, _ = _NEIGHBOUR.unpack_from(reply.data, _HEADER_SIZE)
        attributes = dict(nlattr.split(reply.data[_HEADER_SIZE + _NEIGHBOUR.size :]))
        ip, mac = attributes.get(_NDA_DST), attributes.get(_NDA_LLADDR)
        if state & NUD_PERMANENT and ip and mac:
            yield index, str(ipaddress.ip_address(ip)), mac.hex(":")


def announce(link: str, index: int, stations: Iterable[tuple[str, str]]) -> None:
    """Say to everybody on a link of the calling thread's namespace which (hardware address) has
    which (address). All in one, since closing a packet socket takes 12 ms."""
    by_version: dict[int, list[tuple[bytes, bytes]]] = {4: [], 6: []}
    for mac, ip in stations:
        address = ipaddress.ip_address(ip)
        hardware = bytes.fromhex(mac.replace(":", ""))
        by_version[address.version].append((hardware, address.packed))
    if by_version[4]:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as packet:
            packet.bind((link, 0))
            for hardware, packed in by_version[4]:
                packet.send(gratuitous_arp(hardware, packed))
    if by_version[6]:
        with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as icmp:
            # Neighbours believe only what no router can have passed on.
            icmp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
            for hardware, packed in by_version[6]:
                message = unsolicited_advertisement(hardware, packed)
                icmp.sendto(message, (_ALL_NODES, 0, 0, index))


def gratuitous_arp(mac: bytes, ip: bytes) -> bytes:
    """A frame to all: a request of the address for itself (RFC 5227, 3)."""
    ethernet = _BROADCAST + mac + struct.pack("!H", _ETHERTYPE_ARP)
    kinds = struct.pack("!HHBBH", 1, 0x0800, 6, 4, _ARP_REQUEST)
    return ethernet + kinds + mac + ip + bytes(6) + ip


def unsolicited_advertisement(mac: bytes, ip: bytes) -> bytes:
    """An ICMPv6 neighbour advertisement (RFC 4861, 7.2.6); the kernel fills in the checksum."""
    head = struct.pack("!BBHI", _NEIGHBOUR_ADVERTISEMENT, 0, 0, _OVERRIDE)
    return head + ip + struct.pack("!BB", _TARGET_LINK_LAYER_ADDRESS, 1) + mac
