"""Each new connection as a node's connection tracking tells of it, once its first packet passed.

One message is one connection, however fast they come. What a socket has no room for is lost, and
the kernel counts how many those were. A filter of ours keeps away what is not translated. Numbers
and layouts: linux/netfilter/nfnetlink_conntrack.h, nf_conntrack_common.h.
"""

from __future__ import annotations

import ctypes
import errno
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from netlab import bpf
from netlab.conntrack import NewConnection, Tuple
from netlab.errors import EnvironmentLacks
from netlab.kernel import netns as namespaces
from netlab.kernel.conntrack import connection
from netlab.kernel.netlink import (
    KERNEL,
    NETLINK_ADD_MEMBERSHIP,
    NETLINK_NETFILTER,
    SOL_NETLINK,
)
from netlab.kernel.nlattr import split
from netlab.kernel.receiving import make_room

_GROUP_NEW = 1
_ORIGINAL, _REPLY, _STATUS = 1, 2, 3
_ADDRESSES, _PORTS = 1, 2
_NUMBER, _SPORT, _DPORT = 1, 2, 3
_SIDES = {socket.AF_INET: (1, 2), socket.AF_INET6: (3, 4)}
_ECHOES = (4, 7)
_HEAD = 16 + 4  # of netlink, of netfilter
_DESTINATION_TRANSLATED = 0x20

_SO_MEMINFO, _DROPS = 55, 8
_SO_ATTACH_FILTER = 26
_BUFFER = 64 << 20
"""So much may wait, or twice that as the kernel counts: the messages of some 100,000 connections.
Room is taken only as it is used."""

_MESSAGE = 8192
_EVENTS = Path("/proc/sys/net/netfilter/nf_conntrack_events")

_NAMES = {
    1: "icmp", 6: "tcp", 17: "udp", 33: "dccp", 47: "gre", 58: "icmp", 132: "sctp", 136: "udplite",
}  # fmt: skip

_TRANSLATED = bpf.filled(
    bpf.assembled(
        [
            ("", "set", _HEAD, "", ""),
            ("", "set-index", _STATUS, "", ""),
            ("", "load-word", bpf.ATTRIBUTE, "", ""),
            ("", "equal", 0, "no", ""),
            ("", "to-index", 0, "", ""),
            ("", "load-word-at-index", 4, "", ""),
            ("", "any-bit", _DESTINATION_TRANSLATED, "", "no"),
            ("", "return", 0xFFFFFFFF, "", ""),
            ("no", "return", 0, "", ""),
        ]
    ),
    {},
)


class NewConnections:
    """Those of one namespace from now on, all of them, or those alone whose destination is
    translated. `EnvironmentLacks` where the kernel tells of none."""

    def __init__(self, netns: Path | int, *, translated: bool = False) -> None:
        _require_events(netns)
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        with namespaces.entered(netns):
            self._socket = socket.socket(socket.AF_NETLINK, kind, NETLINK_NETFILTER)
        try:
            make_room(self._socket, _BUFFER)
            if translated:
                _attach(self._socket)
            self._socket.bind((0, 0))
            self._socket.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, _GROUP_NEW)
        except BaseException:
            self._socket.close()
            raise

    def close(self) -> None:
        """Hear no more."""
        self._socket.close()

    def fileno(self) -> int:
        """To be waited on."""
        return self._socket.fileno()

    @property
    def lost(self) -> int:
        """How many there was no room for, since the beginning."""
        told = self._socket.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, 4 * (_DROPS + 1))
        return int(struct.unpack_from("=I", told, 4 * _DROPS)[0])

    def collect(self, at_most: int) -> list[NewConnection]:
        """Those told since the last time, in their order; what is beyond so many is left for the
        next time."""
        found: list[NewConnection] = []
        receive, now = self._socket.recvfrom, time.time()
        with suppress(BlockingIOError):
            for _ in range(at_most):
                try:
                    data, (sender, _) = receive(_MESSAGE)
                except OSError as error:
                    if error.errno != errno.ENOBUFS:  # of what is lost `lost` tells
                        raise
                    continue
                if sender == KERNEL:
                    found += told(data, now)
        return found


def _require_events(netns: Path | int) -> None:
    # Asked for anything, the kernel loads what tells of events as well; a listener alone would have
    # that done behind its back, and miss the first.
    connection(netns, "udp", Tuple("127.0.0.1", 0, "127.0.0.1", 0))
    with namespaces.entered(netns):
        try:
            value = _EVENTS.read_text().strip()
        except FileNotFoundError:
            hint = "a kernel with CONFIG_NF_CONNTRACK_EVENTS, as distributions have them"
            raise EnvironmentLacks("the kernel does not tell of connections", hint=hint) from None
    if value == "0":
        raise EnvironmentLacks(
            "connection tracking tells of no connections: net.netfilter.nf_conntrack_events is 0",
            hint="on each node: sysctl -w net.netfilter.nf_conntrack_events=2",
        )


def _attach(listener: socket.socket) -> None:
    program = b"".join(struct.pack(f"={bpf.FORMAT}", *each) for each in _TRANSLATED)
    kept = ctypes.create_string_buffer(program)
    told = struct.pack("HL", len(_TRANSLATED), ctypes.addressof(kept))
    listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, told)


def told(data: bytes, now: float) -> Iterator[NewConnection]:
    """What messages tell of."""
    offset = 0
    while offset + _HEAD <= len(data):
        length = int.from_bytes(data[offset : offset + 4], "little")
        found = _told(data[offset : offset + length], now)
        if found is not None:
            yield found
        offset += max((length + 3) & ~3, _HEAD)


def _told(data: bytes, now: float) -> NewConnection | None:
    """What a message tells of; None if that is no connection with two ends."""
    layout = _LAYOUTS.get(data[16:24])
    if layout is not None and len(data) >= layout.format.size and data[layout.at] in _WITH_PORTS:
        return _laid_out(data, layout, now)
    family = data[16]
    found = dict(split(data[_HEAD:]))
    if family not in _SIDES or _ORIGINAL not in found or _REPLY not in found:
        return None
    protocol, original = _direction(found[_ORIGINAL], family)
    return NewConnection(now, protocol, original, _direction(found[_REPLY], family)[1])


class _Layout(Struct, frozen=True):
    """Where the kernel puts what: both ways in one format, and the protocol's number."""

    format: struct.Struct
    at: int


_TUPLE4, _TUPLE6 = "12x4s4x4s16xH6xH2x", "12x16s4x16s16xH6xH2x"
_LAYOUTS = {
    bytes([socket.AF_INET, 0, 0, 0, 52, 0, 1, 0x80]): _Layout(
        struct.Struct(f">20x{_TUPLE4}{_TUPLE4}"), 52
    ),
    bytes([socket.AF_INET6, 0, 0, 0, 76, 0, 1, 0x80]): _Layout(
        struct.Struct(f">20x{_TUPLE6}{_TUPLE6}"), 76
    ),
}
"""By how such a message begins. Taken apart attribute by attribute it costs nine times as much."""

_WITH_PORTS = (6, 17, 33, 132, 136)


def _laid_out(data: bytes, layout: _Layout, now: float) -> NewConnection:
    (source, destination, sport, dport, back_source, back_destination, back_sport, back_dport) = (
        layout.format.unpack_from(data)
    )
    return NewConnection(
        now,
        _NAMES[data[layout.at]],
        Tuple(_text(source), sport, _text(destination), dport),
        Tuple(_text(back_source), back_sport, _text(back_destination), back_dport),
    )


def _direction(data: bytes, family: int) -> tuple[str, Tuple]:
    parts = dict(split(data))
    addresses, content = dict(split(parts[_ADDRESSES])), dict(split(parts[_PORTS]))
    source, destination = (_text(addresses[each]) for each in _SIDES[socket.AddressFamily(family)])
    number = content[_NUMBER][0]
    echo = next((content[each] for each in _ECHOES if each in content), b"\0")
    ends = (
        int.from_bytes(content.get(_SPORT, echo), "big"),
        int.from_bytes(content.get(_DPORT, b"\0"), "big"),
    )
    return _NAMES.get(number, str(number)), Tuple(source, ends[0], destination, ends[1])


_texts: dict[bytes, str] = {}
_MOST_TEXTS = 65536


def _text(address: bytes) -> str:
    """An address as it is written; the same few come again and again."""
    found = _texts.get(address)
    if found is None:
        if len(_texts) >= _MOST_TEXTS:
            _texts.clear()
        family = socket.AF_INET if len(address) == 4 else socket.AF_INET6
        found = _texts[address] = socket.inet_ntop(family, address)
    return found
