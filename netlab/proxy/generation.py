"""Did anybody change rules? nf_tables counts its transactions."""

from __future__ import annotations

import socket
import struct
from pathlib import Path

from netlab.kernel import netns as namespaces

# linux/netfilter/nfnetlink.h, nf_tables.h
_NETLINK_NETFILTER = 12
_GET_GENERATION = (10 << 8) | 16
_REQUEST = 1
_HEADER = struct.Struct("=IHHII")
_GENERATION_ID = 1


def nft_generation(netns: int | Path | None) -> int:
    """nf_tables' generation number: it grows by one with every commit of anybody's."""
    with namespaces.entered(netns):
        asking = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER)
    with asking:
        asking.settimeout(5)
        length = _HEADER.size + 4
        asking.send(_HEADER.pack(length, _GET_GENERATION, _REQUEST, 1, 0) + bytes(4))
        answer = asking.recv(4096)
    at = _HEADER.size + 4
    size, kind = struct.unpack_from("=HH", answer, at)
    if (size, kind) != (8, _GENERATION_ID):
        raise OSError("nf_tables does not tell its generation")
    return int(struct.unpack_from(">I", answer, at + 4)[0])
