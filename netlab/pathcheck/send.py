"""Leaving a namespace: raw sockets for probes, a real connection, the address one would use."""

from __future__ import annotations

import errno
import os
import socket
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Protocol

from msgspec import Struct

from netlab.kernel import netns as namespaces
from netlab.pathcheck.decode import endpoint
from netlab.pathcheck.packets import ProbePacket, build

_LONGEST_REPLY = 4096


class Sender(Protocol):
    """Who sends a probe."""

    def send(self, netns: Path | int, probe: ProbePacket) -> str:
        """Send it from within a namespace; "" or why the kernel would not."""


class Senders:
    """Raw sockets, one for each namespace and IP version; a context manager.

    An AF_INET raw socket passes through OUTPUT and its NAT like any program's packet; one of
    AF_PACKET would not.
    """

    def __init__(self) -> None:
        self._sockets: dict[tuple[Path | int, int], socket.socket] = {}

    def __enter__(self) -> Senders:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for sock in self._sockets.values():
            sock.close()

    def send(self, netns: Path | int, probe: ProbePacket) -> str:
        """Send a probe; "" or why the kernel would not.

        A packet that a rule drops in OUTPUT gives EPERM: that is no error but a silence, since
        a program's connection would meet silence too.
        """
        try:
            self._socket(netns, probe).sendto(build(probe), (probe.dst, 0))
        except OSError as error:
            return "" if error.errno == errno.EPERM else os.strerror(error.errno or 0)
        return ""

    def _socket(self, netns: Path | int, probe: ProbePacket) -> socket.socket:
        family = _family(probe.dst)
        key = (netns, family)
        if key not in self._sockets:
            with namespaces.entered(netns):
                # IPPROTO_RAW: the IP header is ours.
                self._sockets[key] = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW)
        return self._sockets[key]


def source_address(netns: Path | int, dst: str, dport: int) -> str | None:
    """The address from which this namespace would speak to `dst`; None without a route."""
    with namespaces.entered(netns):
        sock = socket.socket(_family(dst), socket.SOCK_DGRAM)
    with sock, suppress(OSError):
        sock.connect((dst, dport))
        return str(sock.getsockname()[0])
    return None


class Talk(Struct, frozen=True):
    """A real TCP connection: whether it came about, and what a web server then said first."""

    connected: bool
    said: str = ""
    error: str = ""


def talk(netns: Path | int, dst: str, dport: int, seconds: float) -> Talk:
    """Connect from a namespace, ask for `/`, and read what comes within `seconds`.

    A server that speaks no HTTP is connected to all the same.
    """
    with namespaces.entered(netns):
        sock = socket.socket(_family(dst), socket.SOCK_STREAM)
    with sock:
        sock.settimeout(seconds)
        try:
            sock.connect((dst, dport))
        except OSError as error:
            return Talk(False, error="timed out" if not error.errno else os.strerror(error.errno))
        request = f"GET / HTTP/1.1\r\nHost: {endpoint(dst, dport)}\r\nConnection: close\r\n\r\n"
        with suppress(OSError):
            sock.sendall(request.encode())
        return Talk(True, said=_first_line(_read(sock, seconds)))


def _read(sock: socket.socket, seconds: float) -> bytes:
    data = b""
    deadline = time.monotonic() + seconds
    with suppress(OSError):
        while len(data) < _LONGEST_REPLY and time.monotonic() < deadline:
            chunk = sock.recv(_LONGEST_REPLY)
            if not chunk:
                break
            data += chunk
    return data


def _first_line(reply: bytes) -> str:
    """The first line of an HTTP body, or of whatever else was said."""
    head, separator, body = reply.partition(b"\r\n\r\n")
    text = (body if separator else head).decode(errors="replace").strip()
    return text.splitlines()[0][:100] if text else ""


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET
