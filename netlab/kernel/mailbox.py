"""Datagrams received into a file: one that is not answered yet outlives the process that has it.

recvmmsg(2) takes a datagram off its socket and puts sender, length and bytes into memory in one
step, which no `kill -9` cuts in two. The memory is a mapped file here, so whoever opens the mailbox
next finds in it what was received and not answered.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import socket
import struct
import sys
from pathlib import Path

from netlab.kernel import files

SLOTS = 2048
"""How many can wait for their answers at a time: what one asks while nobody is there to answer."""

_ADDRESS, _STAMP, _PACKET = 32, 32, 1280
_MAPPED = bytes(10) + b"\xff\xff"
"""How an IPv6 socket begins the addresses of IPv4."""

_MSG_TRUNC, _MSG_DONTWAIT = 0x20, 0x40
_SO_TIMESTAMPNS = 35  # asm-generic/socket.h; what it gives is a struct cmsghdr, then a timespec
_TIME = struct.Struct("=16xqq")

_libc = ctypes.CDLL(None, use_errno=True)


class _Where(ctypes.Structure):
    """struct iovec."""

    _fields_ = (("start", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Slot(ctypes.Structure):
    """struct mmsghdr, then what it points to.

    The pointers are those of the process that has the mailbox open.
    """

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("vector", ctypes.c_void_p),
        ("vector_length", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_long),  # an int, and room up to where the header ends
        ("received", ctypes.c_uint32),
        ("where", _Where),
        ("address", ctypes.c_uint8 * _ADDRESS),
        ("stamp", ctypes.c_uint8 * _STAMP),
        ("packet", ctypes.c_uint8 * _PACKET),
    )

    def point(self) -> None:
        """Let the pointers be ours."""
        self.name = ctypes.addressof(self.address)
        self.vector, self.vector_length = ctypes.addressof(self.where), 1
        self.where.start, self.where.length = ctypes.addressof(self.packet), _PACKET
        self.control = ctypes.addressof(self.stamp)


_SIZE = ctypes.sizeof(_Slot)
_V6 = socket.AF_INET6.to_bytes(2, sys.byteorder)

_libc.recvmmsg.argtypes = (
    ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p,
)  # fmt: skip
_libc.sendto.argtypes = (
    ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_void_p, ctypes.c_uint32,
)  # fmt: skip


class Mailbox:
    """The datagrams that are being answered, each in a slot of that number.

    `left` are the slots in which the one who had the file before left some.
    """

    def __init__(self, path: Path) -> None:
        size = _SIZE * SLOTS
        descriptor = files.opened(path, os.O_RDWR)
        try:
            os.posix_fallocate(descriptor, 0, size)  # or a write could meet a full disk later
            # With all of its pages there no fault, which a signal would end, comes in between.
            memory = mmap.mmap(descriptor, size, mmap.MAP_SHARED | mmap.MAP_POPULATE)
        finally:
            os.close(descriptor)
        self._memory = memory
        self._slots = (_Slot * SLOTS).from_buffer(memory)
        for slot in self._slots:
            slot.point()
        self.left = [number for number, slot in enumerate(self._slots) if slot.received]
        self._free = sorted({*range(SLOTS)} - {*self.left}, reverse=True)

    @property
    def full(self) -> bool:
        """Whether there is no room for one more."""
        return not self._free

    def receive(self, source: socket.socket) -> int | None:
        """Take the next datagram off a socket, into the slot returned; None if there is none, or
        no room. What is longer than a slot is thrown away."""
        while self._free:
            number: int = self._free[-1]
            slot = self._slots[number]
            slot.name_length, slot.control_length = _ADDRESS, _STAMP
            if _libc.recvmmsg(source.fileno(), ctypes.byref(slot), 1, _MSG_DONTWAIT, None) != 1:
                code = ctypes.get_errno()
                if code == errno.EAGAIN:
                    return None
                raise OSError(code, os.strerror(code))
            if slot.received and not slot.flags & _MSG_TRUNC:
                self._free.pop()
                return number
            slot.received = 0
        return None

    def packet(self, number: int) -> bytes:
        """The datagram in a slot."""
        slot = self._slots[number]
        return ctypes.string_at(ctypes.addressof(slot.packet), min(slot.received, _PACKET))

    def sender(self, number: int) -> bytes:
        """The address that a datagram came from, without the port."""
        start = number * _SIZE + _Slot.address.offset
        if self._memory[start : start + 2] == _V6:
            return self._memory[start + 8 : start + 24]
        return self._memory[start + 4 : start + 8]

    def came(self, number: int) -> float:
        """When a datagram came to its socket, as `time.time` has it; see `stamp`."""
        start = number * _SIZE + _Slot.stamp.offset
        seconds, nanoseconds = _TIME.unpack_from(self._memory, start)
        return float(seconds + nanoseconds / 1e9)

    def family(self, number: int) -> str:
        """`1` if a datagram came over IPv4, `2` if over IPv6 (IANA's numbers of families)."""
        address = bytes(self._slots[number].address[:20])
        v6 = int.from_bytes(address[:2], sys.byteorder) == socket.AF_INET6
        return "2" if v6 and not address[8:].startswith(_MAPPED) else "1"

    def answer(self, number: int, packet: bytes, source: socket.socket) -> None:
        """Send to whom the datagram came from, as it were from where it went to; free the slot."""
        slot = self._slots[number]
        length = min(slot.name_length, _ADDRESS)
        # What cannot be sent is lost, as it would be on its way.
        _libc.sendto(source.fileno(), packet, len(packet), _MSG_DONTWAIT, slot.name, length)
        self.release(number)

    def release(self, number: int) -> None:
        """Free a slot; its datagram gets no answer."""
        self._slots[number].received = 0
        self._free.append(number)


def stamp(source: socket.socket) -> None:
    """Have the kernel note when each datagram comes to a socket, for mailboxes."""
    source.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
