"""SCTP, where the kernel has it."""

from __future__ import annotations

import socket


def opened(family: int = socket.AF_INET) -> socket.socket:
    """A socket; `OSError` where the kernel has none."""
    return socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_SCTP)


def is_there() -> bool:
    """Whether this kernel speaks it."""
    try:
        opened().close()
    except OSError:
        return False
    return True


def listening(port: int) -> socket.socket:
    """A socket that takes associations."""
    listener = opened()
    listener.bind(("0.0.0.0", port))
    listener.listen(128)
    return listener


def ask(host: str, port: int, message: str, seconds: float) -> str:
    """What a message is answered with; without an answer to wait for, `message` is empty."""
    with opened(socket.AF_INET6 if ":" in host else socket.AF_INET) as asking:
        asking.settimeout(seconds or None)
        asking.connect((host, port))
        asking.sendall(message.encode())
        return asking.recv(1024).decode(errors="replace")
