"""nf_tables' generation, asked of the kernel in one message: whether rules are still as they were.

Whoever only programs rules needs no more of netlink than this, and imports no more.
"""

from __future__ import annotations

import socket
import struct
from pathlib import Path

from netlab.kernel import netns as namespaces
from netlab.kernel.netlink import NETLINK_NETFILTER, received

_NFT_SUBSYSTEM, _GET_GENERATION, _GENERATION_ID = 10, 16, 1
_ASKING = struct.Struct("=IHHII")  # a message's header: length, type, flags, number, port


def rules_generation(netns: int | Path | None) -> int:
    """nf_tables' generation number: it grows by one with every transaction of anybody's."""
    with namespaces.entered(netns):
        asking = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
    with asking:
        asking.settimeout(5)
        length = _ASKING.size + 4
        asking.send(_ASKING.pack(length, _NFT_SUBSYSTEM << 8 | _GET_GENERATION, 1, 1, 0) + bytes(4))
        answer = received(asking, 4096)
    at = _ASKING.size + 4
    if struct.unpack_from("=HH", answer, at) != (8, _GENERATION_ID):
        raise OSError("nf_tables does not tell its generation")
    return int(struct.unpack_from(">I", answer, at + 4)[0])
