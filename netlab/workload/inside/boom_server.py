"""What provokes a fault of old kube-proxies: data from outside of the window, in the first reply.

A router that takes such a packet for nobody's passes it on as it stands, with the pod's own
address; the client, who knows nothing of that, answers with a reset, and the connection is lost.
Rules that drop what conntrack calls invalid prevent it. Without them the server says
`ERROR: RST received`.

Source: the image regression-issue-74839 of Kubernetes' tests, by what it does on the wire.
"""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Sequence

from netlab.workload.inside.web import in_background, listening, log

PORT = 9000
_OPEN_SECONDS = 10.0
_OUTSIDE = 100_000
"""Bytes before what the client expects."""

_RST, _SYN, _PSH, _ACK = 0x04, 0x02, 0x08, 0x10
_HEADER = struct.Struct("!HHIIHHHH")


def main(_: Sequence[str]) -> None:
    """Listen, and watch the addresses that `POD_IPS` or `POD_IP` has."""
    addresses = (os.environ.get("POD_IPS") or os.environ.get("POD_IP") or "").split(",")
    opened = listening(PORT)
    for address in filter(None, addresses):
        in_background(_watch, address, _raw(address))
        log(f"external ip: {address}")
    log(f"listen on 0.0.0.0:{PORT}")
    while True:
        connection, _ = opened.accept()
        in_background(_close_later, connection)


def _close_later(connection: socket.socket) -> None:
    time.sleep(_OPEN_SECONDS)
    connection.close()


def _raw(address: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_TCP)
    opened.bind((address, 0))
    return opened


def _watch(address: str, opened: socket.socket) -> None:
    """Answer the last packet of each handshake with one that should never arrive."""
    pending: dict[tuple[str, int], int] = {}
    while True:
        data, sender = opened.recvfrom(4096)
        if opened.family == socket.AF_INET:
            data = data[(data[0] & 0xF) * 4 :]
        if len(data) < _HEADER.size:
            continue
        source, target, sequence, acknowledged, flags, window, _, _ = _HEADER.unpack_from(data)
        if target != PORT:
            continue
        client = (str(sender[0]), source)
        if flags & _SYN:
            pending[client] = (sequence + 1) % 2**32
            continue
        if flags & _RST:
            log("ERROR: RST received")
        if flags & _ACK and client in pending:
            log("connection established")
            wrong = (acknowledged - _OUTSIDE) % 2**32
            segment = _segment(address, client, wrong, pending.pop(client), window)
            opened.sendto(segment, (client[0], 0))
            log("boom packet injected")


def _segment(
    own: str, client: tuple[str, int], sequence: int, acknowledged: int, window: int
) -> bytes:
    flags = 5 << 12 | _PSH | _ACK
    fields = [PORT, client[1], sequence, acknowledged, flags, window, 0, 0]
    data = b"boom!!!"
    fields[6] = _checksum(own, client[0], _HEADER.pack(*fields) + data)
    return _HEADER.pack(*fields) + data


def _checksum(own: str, other: str, segment: bytes) -> int:
    """Over the pseudo header as well (RFC 9293, 3.1)."""
    family = socket.AF_INET6 if ":" in own else socket.AF_INET
    ends = b"".join(socket.inet_pton(family, address) for address in (own, other))
    whole = ends + struct.pack("!II", len(segment), socket.IPPROTO_TCP) + segment
    whole += b"\0" * (len(whole) % 2)
    total: int = sum(struct.unpack(f"!{len(whole) // 2}H", whole))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
