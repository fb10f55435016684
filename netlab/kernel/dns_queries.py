"""How many DNS queries come to addresses of a namespace: counted by the kernel, read by nobody.

A packet socket whose filter lets a query through counts it, whether or not there is room to keep
it. So there is nothing to be read, and nothing to fall behind. By UDP alone: what is asked in a TCP
connection is no packet of its own.
"""

from __future__ import annotations

import ctypes
import ipaddress
import socket
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

from netlab import bpf
from netlab.kernel import netns as namespaces

_ETH_P_ALL = 3
_SO_ATTACH_FILTER = 26
_SOL_PACKET, _PACKET_STATISTICS = 263, 6
_PORT, _UDP = 53, 17
_IS_ANSWER = 0x80
_TO_US = 0
_VIGIL = b"\7version\4bind\0\0\x10"
"""How the question begins that the controller asks every other second: whether a server lives."""
_LEAST = 1
"""Bytes kept of each; the buffer is as small as they get."""


class DnsQueries:
    """Those from now on to these addresses, which the namespace has."""

    def __init__(self, netns: Path | int, addresses: Sequence[str]) -> None:
        kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC
        with namespaces.entered(netns):
            self._socket = socket.socket(socket.AF_PACKET, kind, socket.htons(_ETH_P_ALL))
        try:
            self._choose(addresses)
        except BaseException:
            self._socket.close()
            raise
        self.taken()  # what came before the filter

    def _choose(self, addresses: Sequence[str]) -> None:
        program = bpf.filled(bpf.assembled(list(_lines(addresses))), {})
        code = b"".join(struct.pack(f"={bpf.FORMAT}", *each) for each in program)
        kept = ctypes.create_string_buffer(code)
        told = struct.pack("HP", len(program), ctypes.addressof(kept))
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, told)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _LEAST)

    def close(self) -> None:
        """Count no more."""
        self._socket.close()

    def taken(self) -> int:
        """How many there were since the last time of asking."""
        told = self._socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8)
        return int(struct.unpack("II", told)[0])


def _lines(addresses: Sequence[str]) -> Iterator[bpf.Line]:
    """The IP header is at 0. Each address ends what it is not with a jump to the next one."""
    packed = [ipaddress.ip_address(each).packed for each in addresses]
    yield "", "load-byte", bpf.PACKET_KIND, "", ""
    yield "", "equal", _TO_US, "", "no"
    yield "", "load-half", bpf.ETHERTYPE, "", ""
    yield "", "equal", 0x0800, "", "v6"
    yield "", "load-byte", 9, "", ""
    yield "", "equal", _UDP, "", "no"
    yield "", "load-half", 6, "", ""
    yield "", "any-bit", 0x1FFF, "no", ""
    yield from _to(16, [each for each in packed if len(each) == 4], "q4")
    yield "q4", "load-header-length", 0, "", ""
    yield "", "load-half-after-header", 2, "", ""
    yield "", "equal", _PORT, "", "no"
    yield "", "load-byte-after-header", 10, "", ""
    yield "", "any-bit", _IS_ANSWER, "no", ""
    yield from _unless_own("load-word-at-index", 20)
    yield "v6", "equal", 0x86DD, "", "no"
    yield "", "load-byte", 6, "", ""
    yield "", "equal", _UDP, "", "no"
    yield from _to(24, [each for each in packed if len(each) == 16], "q6")
    yield "q6", "load-half", 42, "", ""
    yield "", "equal", _PORT, "", "no"
    yield "", "load-byte", 50, "", ""
    yield "", "any-bit", _IS_ANSWER, "no", ""
    yield from _unless_own("load-word", 60)
    yield "no", "return", 0, "", ""


def _unless_own(load: str, at: int) -> Iterator[bpf.Line]:
    """Count it, unless its question, which begins there, is that of the lab's own vigil. (What ends
    before, and so cannot be loaded, is not counted: it has no question.)"""
    words = [_VIGIL[place : place + 4] for place in range(0, len(_VIGIL), 4)]
    for place, word in enumerate(words):
        last = "no" if place == len(words) - 1 else ""
        yield "", load, at + 4 * place, "", ""
        yield "", "equal", int.from_bytes(word, "big"), last, f"counted-{at}"
    yield f"counted-{at}", "return", _LEAST, "", ""


def _to(at: int, addresses: Sequence[bytes], found: str) -> Iterator[bpf.Line]:
    """Go on at `found` if the packet is for one of them, else at `no`."""
    for number, address in enumerate(addresses):
        words = [address[place : place + 4] for place in range(0, len(address), 4)]
        following = f"{found}-{number + 1}" if number + 1 < len(addresses) else "no"
        for place, word in enumerate(words):
            last = place == len(words) - 1
            label = f"{found}-{number}" if place == 0 else ""
            yield label, "load-word", at + 4 * place, "", ""
            yield "", "equal", int.from_bytes(word, "big"), found if last else "", following
    if not addresses:  # as an address that nothing has
        yield "", "load-byte", 0, "", ""
        yield "", "equal", 0x100, "", "no"
