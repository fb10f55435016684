"""What is listened on in a network namespace: /proc/net, as `ss -lntu` shows it."""

from __future__ import annotations

import ipaddress
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from netlab.kernel import netns as namespaces

_TCP_LISTEN, _UDP_UNCONNECTED = "0A", "07"
_TABLES: tuple[tuple[str, Literal["TCP", "UDP"], str], ...] = (
    ("tcp", "TCP", _TCP_LISTEN),
    ("tcp6", "TCP", _TCP_LISTEN),
    ("udp", "UDP", _UDP_UNCONNECTED),
    ("udp6", "UDP", _UDP_UNCONNECTED),
)


class Listening(NamedTuple):
    """One socket that waits for whoever comes; `address` may be `0.0.0.0` or `::` for all."""

    protocol: Literal["TCP", "UDP"]
    address: str
    port: int


def listening(netns: Path | int) -> frozenset[Listening]:
    """The listening TCP and the unconnected UDP sockets of a namespace (path or descriptor).

    `KernelRefused` when there is no such namespace.
    """
    with namespaces.entered(netns):
        return frozenset(
            Listening(protocol, address, port)
            for table, protocol, state in _TABLES
            for address, port in _entries(table, state)
        )


def _entries(table: str, state: str) -> Iterator[tuple[str, int]]:
    try:
        text = Path(f"/proc/thread-self/net/{table}").read_text()
    except FileNotFoundError:  # a kernel without IPv6
        return
    for line in text.splitlines()[1:]:
        _, local, _, found, *_ = line.split()
        if found == state:
            address, _, port = local.partition(":")
            yield _address(address), int(port, 16)


def _address(text: str) -> str:
    """An address as the kernel prints it: words of 32 bits, each in the machine's byte order."""
    words = (bytes.fromhex(text[start : start + 8]) for start in range(0, len(text), 8))
    packed = b"".join(word[::-1] if sys.byteorder == "little" else word for word in words)
    return str(ipaddress.ip_address(packed))
