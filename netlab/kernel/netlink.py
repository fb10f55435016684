"""Netlink: a socket bound to one namespace, many messages in one send.

A socket stays in the namespace it was made in, whatever its thread does later, so nothing here
needs to enter anything again. The kernel works through a send before the call returns; only the
last message asks for an acknowledgement, and refusals of the others come before it.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType

from msgspec import Struct

from netlab.errors import EnvironmentLacks, KernelRefused
from netlab.kernel import netns as namespaces

NLM_F_REQUEST = 0x1
NLM_F_ACK = 0x4
NLM_F_DUMP = 0x300
NLM_F_REPLACE = 0x100
NLM_F_CREATE = 0x400
NLM_F_EXCL = 0x200

SOL_NETLINK = 270
NETLINK_NETFILTER = 12  # Python 3.11 does not name it
NETLINK_ADD_MEMBERSHIP, NETLINK_DROP_MEMBERSHIP = 1, 2

KERNEL = 0
"""The port that the kernel sends from, and nobody else can."""

_NLMSG_ERROR = 2
_NLMSG_DONE = 3
_BATCH_BEGIN = 0x10
_BATCH_END = 0x11
_NLM_F_CAPPED = 0x100
_NLM_F_ACK_TLVS = 0x200
_NLMSGERR_ATTR_MSG = 1
_NETLINK_CAP_ACK = 10
_NETLINK_EXT_ACK = 11
_NETLINK_GET_STRICT_CHK = 12

_HINTS = {
    errno.EOPNOTSUPP: "the kernel lacks support for this kind of link",
    errno.ENOENT: "netlab doctor tells what this kernel lacks",
}

_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence number, port
_ERROR = struct.Struct("=i")
_ATTRIBUTE = struct.Struct("=HH")

# A send buffer holds 208 KiB by default; refusals of a whole send must fit the receive buffer.
_SEND_LIMIT = 64 * 1024


class NetlinkMessage(Struct, frozen=True):
    """One request: what it is for (in an error's words), its type, flags and body.

    `body` is everything after the netlink header. Errors in `tolerate` count as success.
    """

    what: str
    kind: int
    flags: int
    body: bytes
    tolerate: frozenset[int] = frozenset()


class NetlinkReply(Struct, frozen=True):
    """One message of a dump: its type, and all of it with its header, as pyroute2 decodes it."""

    kind: int
    data: bytes


class NetlinkSocket:
    """A netlink socket in a namespace (descriptor or path; None: the calling thread's)."""

    def __init__(
        self, netns: int | Path | None = None, *, protocol: int = socket.NETLINK_ROUTE
    ) -> None:
        with namespaces.entered(netns):
            self._socket = socket.socket(
                socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol
            )
        for option in (_NETLINK_CAP_ACK, _NETLINK_EXT_ACK, _NETLINK_GET_STRICT_CHK):
            self._socket.setsockopt(SOL_NETLINK, option, 1)
        self._socket.bind((0, 0))
        self._sequence = 0

    def close(self) -> None:
        """Close the socket; it no longer keeps the namespace alive."""
        self._socket.close()

    def __enter__(self) -> NetlinkSocket:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def request(self, messages: Sequence[NetlinkMessage]) -> None:
        """Send and wait; raises for the first message that was refused."""
        for _, error in self.attempt(messages):
            raise error

    def attempt(
        self, messages: Sequence[NetlinkMessage]
    ) -> list[tuple[int, KernelRefused | EnvironmentLacks]]:
        """Send and wait; the refusals, each with its message's position.

        A refusal does not stop the messages after it.
        """
        refusals = []
        for start, count in _portions(messages):
            base = self._sequence + 1
            self._socket.send(self._encode(messages[start : start + count]))
            for sequence, code, detail in self._answers(self._sequence):
                message = messages[start + sequence - base]
                if code and code not in message.tolerate:
                    refusals.append((start + sequence - base, _refusal(message, code, detail)))
        return refusals

    def transact(self, subsystem: int, messages: Sequence[NetlinkMessage]) -> None:
        """Send all of a subsystem of netfilter's in one transaction; raises for the first message
        that was refused, and then nothing has been done."""
        begin, end = (self._fence(kind, subsystem) for kind in (_BATCH_BEGIN, _BATCH_END))
        base = self._sequence + 1
        self._socket.send(begin + self._encode(messages) + end)
        for sequence, code, detail in self._answers(self._sequence):
            if code:
                raise _refusal(messages[max(sequence - base, 0)], code, detail)

    def _fence(self, kind: int, subsystem: int) -> bytes:
        body = struct.pack(">BBH", 0, 0, subsystem)
        return _HEADER.pack(_HEADER.size + len(body), kind, NLM_F_REQUEST, 0, 0) + body

    def _encode(self, messages: Sequence[NetlinkMessage]) -> bytes:
        out = bytearray()
        for message in messages:
            self._sequence += 1
            length = _HEADER.size + len(message.body)
            flags = NLM_F_REQUEST | message.flags
            if message is messages[-1]:
                flags |= NLM_F_ACK
            out += _HEADER.pack(length, message.kind, flags, self._sequence, 0) + message.body
            out += bytes(-length % 4)
        return bytes(out)

    def _answers(self, last: int) -> Iterator[tuple[int, int, str]]:
        """(sequence number, errno or 0, the kernel's own words) until `last` was answered."""
        while True:
            for kind, flags, sequence, body in _split(received(self._socket)):
                if kind != _NLMSG_ERROR:
                    continue
                code = -_ERROR.unpack_from(body)[0]
                yield sequence, code, _extended(flags, body)
                if sequence == last:
                    return

    def dump(self, kind: int, body: bytes) -> list[NetlinkReply]:
        """Ask for everything of a kind (an RTM_GET type with its fixed header as `body`).

        A dump that changes while it is read is read again by the kernel's own rules; the little
        that could be missed is caught by the next reading.
        """
        self._ask(kind, NLM_F_DUMP, body)
        replies: list[NetlinkReply] = []
        while True:
            for reply, flags, sequence, content in _split(received(self._socket)):
                if sequence != self._sequence:
                    continue
                if reply == _NLMSG_DONE:
                    return replies
                if reply == _NLMSG_ERROR:
                    code = -_ERROR.unpack_from(content)[0]
                    raise _refusal(
                        NetlinkMessage("list", kind, 0, b""), code, _extended(flags, content)
                    )
                replies.append(_whole(reply, flags, sequence, content))

    def get(self, kind: int, body: bytes) -> NetlinkReply | None:
        """Ask for one thing of a kind; None when there is none such."""
        self._ask(kind, 0, body)
        while True:
            for reply, flags, sequence, content in _split(received(self._socket)):
                if sequence != self._sequence:
                    continue
                if reply != _NLMSG_ERROR:
                    return _whole(reply, flags, sequence, content)
                code = -_ERROR.unpack_from(content)[0]
                if code in (errno.ENODEV, errno.ENOENT):
                    return None
                raise _refusal(NetlinkMessage("get", kind, 0, b""), code, _extended(flags, content))

    def _ask(self, kind: int, flags: int, body: bytes) -> None:
        self._sequence += 1
        length = _HEADER.size + len(body)
        head = _HEADER.pack(length, kind, NLM_F_REQUEST | flags, self._sequence, 0)
        self._socket.send(head + body)


def _portions(messages: Sequence[NetlinkMessage]) -> Iterator[tuple[int, int]]:
    """(start, count) of runs that fit one send."""
    start, size = 0, 0
    for position, message in enumerate(messages):
        length = _HEADER.size + len(message.body) + 3
        if size + length > _SEND_LIMIT and position > start:
            yield start, position - start
            start, size = position, 0
        size += length
    if len(messages) > start:
        yield start, len(messages) - start


def received(socket_: socket.socket, size: int = 1 << 20) -> bytes:
    """The next thing that the kernel sends. In a pod's namespace the pod may send as well, to
    whatever socket it guesses the port of: that is passed over."""
    while True:
        data, (sender, _) = socket_.recvfrom(size)
        if sender == KERNEL:
            return data


def _split(data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """(type, flags, sequence, body) of each message in what one recv returned."""
    offset = 0
    while offset + _HEADER.size <= len(data):
        length, kind, flags, sequence, _ = _HEADER.unpack_from(data, offset)
        if length < _HEADER.size:
            raise OSError(errno.EBADMSG, "a netlink message shorter than its header")
        yield kind, flags, sequence, data[offset + _HEADER.size : offset + length]
        offset += (length + 3) & ~3


def _whole(reply: int, flags: int, sequence: int, content: bytes) -> NetlinkReply:
    header = _HEADER.pack(_HEADER.size + len(content), reply, flags, sequence, 0)
    return NetlinkReply(reply, header + content)


def _extended(flags: int, body: bytes) -> str:
    """The kernel's explanation in an error message (NETLINK_EXT_ACK), or ""."""
    if not flags & _NLM_F_ACK_TLVS:
        return ""
    request_length = int(_HEADER.unpack_from(body, _ERROR.size)[0])
    offset = _ERROR.size + (_HEADER.size if flags & _NLM_F_CAPPED else request_length)
    while offset + _ATTRIBUTE.size <= len(body):
        length, kind = _ATTRIBUTE.unpack_from(body, offset)
        if kind == _NLMSGERR_ATTR_MSG:
            return body[offset + _ATTRIBUTE.size : offset + length].rstrip(b"\0").decode()
        offset += max((length + 3) & ~3, _ATTRIBUTE.size)
    return ""


def _refusal(message: NetlinkMessage, code: int, detail: str) -> KernelRefused | EnvironmentLacks:
    text = f"cannot {message.what}: {os.strerror(code)}" + (f" ({detail})" if detail else "")
    if code in (errno.EPERM, errno.EACCES):
        return EnvironmentLacks(text, hint="run netlab with sudo")
    return KernelRefused(text, code, hint=_HINTS.get(code))
