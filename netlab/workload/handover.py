"""Sockets that go from one process to another, over a unix socket (SCM_RIGHTS).

Each message is one byte, and as many descriptors as the kernel takes with one.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence

from netlab.kernel import descriptors

_MOST = 253  # SCM_MAX_FD


def send(connection: socket.socket, sockets: Sequence[socket.socket]) -> None:
    """Send sockets, which stay ours too; blocks until the other side has room for them."""
    numbers = [each.fileno() for each in sockets]
    for first in range(0, len(numbers), _MOST):
        socket.send_fds(connection, [b"\0"], numbers[first : first + _MOST])


async def receive(connection: socket.socket, count: int) -> list[socket.socket]:
    """The sockets that are sent; `ConnectionError` if it is not so many that come."""
    received: list[socket.socket] = []
    for _ in range(0, count, _MOST):
        await _readable(connection)
        received += _next(connection)
    return _all(received, count)


def take(connection: socket.socket, count: int) -> list[socket.socket]:
    """`receive`, waiting for as long as the connection lets us."""
    received: list[socket.socket] = []
    for _ in range(0, count, _MOST):
        received += _next(connection)
    return _all(received, count)


def _next(connection: socket.socket) -> list[socket.socket]:
    _, received = descriptors.receive(connection, 1, _MOST)
    return [_socket(each) for each in received]


def _all(received: list[socket.socket], count: int) -> list[socket.socket]:
    if len(received) != count:
        for each in received:
            each.close()
        raise ConnectionError(f"{len(received)} sockets came, not {count}")
    return received


def _socket(descriptor: int) -> socket.socket:
    received = socket.socket(fileno=descriptor)
    received.setblocking(False)
    return received


async def _readable(connection: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(connection, readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(connection)
