"""SCTP: by the kernel's sockets where it has them, by packets where it has not."""

from __future__ import annotations

import socket
from collections.abc import Callable

from netlab.workload.inside import sctp_packets


def opened(family: int = socket.AF_INET) -> socket.socket:
    """A socket; `OSError` where the kernel has none."""
    return socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_SCTP)


def is_there() -> bool:
    """Whether it can be spoken here in either way."""
    return _is_kernels() or _opens(sctp_packets.opened)


def _is_kernels() -> bool:
    return _opens(opened)


def _opens(way: Callable[[], socket.socket]) -> bool:
    try:
        way().close()
    except OSError:
        return False
    return True


def listening(port: int) -> socket.socket | sctp_packets.Listener:
    """What takes associations."""
    if not _is_kernels():
        return sctp_packets.Listener(port)
    listener = opened()
    listener.bind(("0.0.0.0", port))
    listener.listen(128)
    return listener


def ask(host: str, port: int, message: str, seconds: float) -> str:
    """What a message is answered with; without an answer to wait for, `message` is empty."""
    if not _is_kernels():
        return sctp_packets.ask(host, port, message, seconds)
    with opened(socket.AF_INET6 if ":" in host else socket.AF_INET) as asking:
        asking.settimeout(seconds or None)
        asking.connect((host, port))
        asking.sendall(message.encode())
        return asking.recv(1024).decode(errors="replace")
