"""What a pod may send: the filter at its port, which lets in frames of one station alone. Pure.

    any frame   untagged, from the pod's hardware address, and one of these:
      IPv4      from the pod's address; no ICMP redirect
      ARP       Ethernet and IPv4, a request or an answer, whose sender is the pod
      IPv6      from the pod's address or its link-local one; no header in between but a fragment's
                (behind others a neighbour would still find what we did not); of ICMPv6 errors and
                echoes, and
        solicitations    with the pod's hardware address, or none
        advertisements   of the pod's addresses, with its hardware address, or none

So nobody is told where somebody else is, nor of a router, nor of a shorter way. Reports about
multicast are not wanted here: the bridge gives every port everything.

The filter is classic BPF at the ingress of the port: it comes and goes with the port, is no rule in
the node's tables, needs no program on the machine, and what it drops is counted
(`tc -s qdisc show dev veth…`).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from functools import cache

from netlab import bpf

Program = tuple[bpf.Instruction, ...]

_PASS = 0xFFFFFFFF  # TC_ACT_UNSPEC: a filter that somebody adds has its say too
_DROP = 2  # TC_ACT_SHOT
_NEXT = ""

# Where things are in a frame.
_SOURCE, _ETHERTYPE, _NETWORK = 6, 12, 14
_IPV6_PAYLOAD = _NETWORK + 40
_OPTION = _IPV6_PAYLOAD + 24  # in a message about a neighbour

_ICMP, _ICMPV6, _FRAGMENT = 1, 58, 44
_REDIRECT = 5
_MULTICAST_QUERY = 130  # ICMPv6's types from here on are about multicast, routers and neighbours
_SOLICITATION, _ADVERTISEMENT = 135, 136


def program(mac: str, ips: Sequence[str]) -> Program:
    """The filter for the pod with that hardware address and these bare addresses, one a family."""
    values = _hardware(mac)
    for ip in map(ipaddress.ip_address, ips):
        if ip.version == 4:
            values["ipv4"] = int(ip)
        else:
            values |= _words("ipv6", int(ip)) | _words("link-local", int(link_local(mac)))
    return bpf.filled(_template("ipv4" in values, "ipv6.0" in values), values)


def link_local(mac: str) -> ipaddress.IPv6Address:
    """The address that the kernel gives a link by itself (RFC 4291, appendix A)."""
    octets = bytes.fromhex(mac.replace(":", ""))
    identifier = bytes((octets[0] ^ 2, *octets[1:3], 0xFF, 0xFE, *octets[3:]))
    return ipaddress.IPv6Address(b"\xfe\x80" + bytes(6) + identifier)


def bytecode(instructions: Program) -> str:
    """The program as `tc` takes it."""
    return ",".join([str(len(instructions)), *(" ".join(map(str, i)) for i in instructions)])


def _hardware(mac: str) -> dict[str, int]:
    number = int(mac.replace(":", ""), 16)
    return {"mac.0": number >> 16, "mac.1": number & 0xFFFF}


def _words(name: str, address: int) -> dict[str, int]:
    return {f"{name}.{n}": address >> 96 - 32 * n & 0xFFFFFFFF for n in range(4)}


@cache
def _template(ipv4: bool, ipv6: bool) -> bpf.Template:
    parts = (_IPV4 + _ARP if ipv4 else ()), _ELSE_IPV6, (_IPV6 if ipv6 else ())
    return bpf.assembled([line for part in (_FRAME, *parts, _VERDICTS) for line in part])


def _at_least(length: int) -> tuple[bpf.Line, ...]:
    """A load beyond the frame's end would let it pass."""
    return (("", "load-length", 0, _NEXT, _NEXT), ("", "at-least", length, _NEXT, "drop"))


def _is_mac(offset: int, label: str = "") -> tuple[bpf.Line, ...]:
    return (
        (label, "load-word", offset, _NEXT, _NEXT),
        ("", "equal", "mac.0", _NEXT, "drop"),
        ("", "load-half", offset + 4, _NEXT, _NEXT),
        ("", "equal", "mac.1", _NEXT, "drop"),
    )


def _is_own(offset: int, then: str) -> tuple[bpf.Line, ...]:
    """Whether there is one of the pod's two IPv6 addresses; goes on at the label `then`."""
    other = f"{then}, if link-local"
    last = offset + 12
    return (
        ("", "load-word", offset, _NEXT, _NEXT),
        ("", "equal", "ipv6.0", _NEXT, other),
        ("", "load-word", offset + 4, _NEXT, _NEXT),
        ("", "equal", "ipv6.1", _NEXT, "drop"),
        ("", "load-word", offset + 8, _NEXT, _NEXT),
        ("", "equal", "ipv6.2", _NEXT, "drop"),
        ("", "load-word", last, _NEXT, _NEXT),
        ("", "equal", "ipv6.3", then, "drop"),
        (other, "equal", "link-local.0", _NEXT, "drop"),
        ("", "load-word", offset + 4, _NEXT, _NEXT),
        ("", "equal", "link-local.1", _NEXT, "drop"),
        ("", "load-word", offset + 8, _NEXT, _NEXT),
        ("", "equal", "link-local.2", _NEXT, "drop"),
        ("", "load-word", last, _NEXT, _NEXT),
        ("", "equal", "link-local.3", then, "drop"),
    )


# Hop-by-hop, routing, authentication, destination, mobility, host identity, shim6.
_NO_EXTENSION: tuple[bpf.Line, ...] = tuple(
    ("", "equal", header, "drop", _NEXT) for header in (0, 43, 51, 60, 135, 139, 140)
)

_FRAME: tuple[bpf.Line, ...] = (
    *_at_least(_NETWORK + 20),
    ("", "load-half", bpf.VLAN_TAGGED, _NEXT, _NEXT),
    ("", "equal", 0, _NEXT, "drop"),
    *_is_mac(_SOURCE),
    ("", "load-half", _ETHERTYPE, _NEXT, _NEXT),
)

_IPV4: tuple[bpf.Line, ...] = (
    ("", "equal", 0x0800, _NEXT, "ARP"),
    ("", "load-word", _NETWORK + 12, _NEXT, _NEXT),
    ("", "equal", "ipv4", _NEXT, "drop"),
    ("", "load-byte", _NETWORK + 9, _NEXT, _NEXT),
    ("", "equal", _ICMP, _NEXT, "pass"),
    ("", "load-half", _NETWORK + 6, _NEXT, _NEXT),
    ("", "any-bit", 0x1FFF, "pass", _NEXT),  # a fragment other than the first
    ("", "load-header-length", _NETWORK, _NEXT, _NEXT),
    ("", "load-byte-after-header", _NETWORK, _NEXT, _NEXT),
    ("", "equal", _REDIRECT, "drop", "pass"),
)

_ARP: tuple[bpf.Line, ...] = (
    ("ARP", "equal", 0x0806, _NEXT, "IPv6"),
    *_at_least(_NETWORK + 28),
    ("", "load-word", _NETWORK, _NEXT, _NEXT),
    ("", "equal", 0x0001_0800, _NEXT, "drop"),  # Ethernet, IPv4
    ("", "load-word", _NETWORK + 4, _NEXT, _NEXT),
    ("", "equal", 0x0604_0001, "sender", _NEXT),  # their lengths, a request
    ("", "equal", 0x0604_0002, "sender", "drop"),  # an answer
    ("sender", "load-word", _NETWORK + 14, _NEXT, _NEXT),
    ("", "equal", "ipv4", _NEXT, "drop"),
    *_is_mac(_NETWORK + 8),
    ("", "return", _PASS, _NEXT, _NEXT),
)

_ELSE_IPV6: tuple[bpf.Line, ...] = (("IPv6", "equal", 0x86DD, _NEXT, "drop"),)

_IPV6: tuple[bpf.Line, ...] = (
    *_at_least(_IPV6_PAYLOAD),
    *_is_own(_NETWORK + 8, "next header"),
    ("next header", "load-byte", _NETWORK + 6, _NEXT, _NEXT),
    *_NO_EXTENSION,
    ("", "equal", _ICMPV6, "ICMPv6", _NEXT),
    ("", "equal", _FRAGMENT, _NEXT, "pass"),
    # A fragment: no second header, and not the first one of a message about neighbours.
    *_at_least(_IPV6_PAYLOAD + 9),
    ("", "load-byte", _IPV6_PAYLOAD, _NEXT, _NEXT),
    *_NO_EXTENSION,
    ("", "equal", _FRAGMENT, "drop", _NEXT),
    ("", "equal", _ICMPV6, _NEXT, "pass"),
    ("", "load-half", _IPV6_PAYLOAD + 2, _NEXT, _NEXT),
    ("", "any-bit", 0xFFF8, "pass", _NEXT),
    ("", "load-byte", _IPV6_PAYLOAD + 8, _NEXT, _NEXT),
    ("", "at-least", _MULTICAST_QUERY, "drop", "pass"),
    ("ICMPv6", "load-length", 0, _NEXT, _NEXT),
    ("", "at-least", _IPV6_PAYLOAD + 4, _NEXT, "drop"),
    ("", "load-byte", _IPV6_PAYLOAD, _NEXT, _NEXT),
    ("", "at-least", _MULTICAST_QUERY, _NEXT, "pass"),
    ("", "equal", _SOLICITATION, "hardware", _NEXT),
    ("", "equal", _ADVERTISEMENT, _NEXT, "drop"),
    *_at_least(_OPTION),
    *_is_own(_IPV6_PAYLOAD + 8, "hardware"),
    # Neither option, or the one with the hardware address.
    ("hardware", "load-half", _NETWORK + 4, _NEXT, _NEXT),
    ("", "equal", 24, "pass", _NEXT),
    ("", "equal", 32, _NEXT, "drop"),
    *_at_least(_OPTION + 8),
    ("", "load-half", _OPTION, _NEXT, _NEXT),
    ("", "equal", 0x0101, "own option", _NEXT),
    ("", "equal", 0x0201, "own option", "drop"),
    *_is_mac(_OPTION + 2, "own option"),
    ("", "return", _PASS, _NEXT, _NEXT),
)

_VERDICTS: tuple[bpf.Line, ...] = (
    ("drop", "return", _DROP, _NEXT, _NEXT),
    ("pass", "return", _PASS, _NEXT, _NEXT),
)
