"""Descriptors that come over a unix socket (SCM_RIGHTS), none of which a child would inherit.

Python's own `socket.recv_fds` leaves its flags out, so what it receives stays open in every program
that is started before somebody has said otherwise.
"""

from __future__ import annotations

import array
import socket


def receive(connection: socket.socket, length: int, most: int) -> tuple[bytes, list[int]]:
    """As many bytes as come next, up to a length, and the descriptors that came with them. They are
    the caller's; those beyond the `most` are closed by the kernel."""
    descriptors = array.array("i")
    room = socket.CMSG_LEN(most * descriptors.itemsize)
    content, ancillary, _, _ = connection.recvmsg(length, room, socket.MSG_CMSG_CLOEXEC)
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            descriptors.frombytes(data[: len(data) - len(data) % descriptors.itemsize])
    return content, list(descriptors)
