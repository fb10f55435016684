"""Room for what a socket has yet to read."""

from __future__ import annotations

import socket

_SO_RCVBUFFORCE = 33  # linux/asm-generic/socket.h


def make_room(receiver: socket.socket, size: int) -> None:
    """A receive buffer of so many bytes; in a user namespace as many as the machine allows."""
    try:
        receiver.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, size)
    except PermissionError:
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
