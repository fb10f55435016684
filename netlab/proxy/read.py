"""What a network namespace has now: its tables, and a cheap sign of whether they changed."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from netlab.kernel import netns as namespaces
from netlab.kernel.run import run
from netlab.proxy.model import Family, Ruleset
from netlab.proxy.parse import parse

Variant = Literal["nft", "legacy"]

_PREFIX: dict[Family, str] = {"ipv4": "iptables", "ipv6": "ip6tables"}


def program(family: Family, variant: Variant, what: str) -> str:
    """`ip6tables-legacy-save`: the program of that family, variant and purpose."""
    return f"{_PREFIX[family]}-{variant}-{what}"


def host_variant() -> Variant:
    """The variant this machine's own `iptables` is; both may be installed, one is in use."""
    return "legacy" if "legacy" in run(["iptables", "--version"]).stdout else "nft"


def read(
    netns: int | Path | None, variant: Variant, family: Family, *, table: str | None = None
) -> Ruleset:
    """All tables of the namespace with their counters, or only `table`."""
    argv = [program(family, variant, "save"), "-c", *(["-t", table] if table else [])]
    return parse(run(argv, netns=netns, timeout=300).stdout, file=argv[0])


# linux/netfilter/nfnetlink.h, nf_tables.h
_NETLINK_NETFILTER = 12
_GET_GENERATION = (10 << 8) | 16
_REQUEST = 1
_HEADER = struct.Struct("=IHHII")
_GENERATION_ID = 1

# linux/netfilter_ipv4/ip_tables.h, linux/netfilter_ipv6/ip6_tables.h
_GET_INFO = 64
_INFO = struct.Struct("=32sI5I5III")
_RAW_SOCKET: dict[Family, tuple[int, int]] = {
    "ipv4": (socket.AF_INET, socket.IPPROTO_IP),
    "ipv6": (socket.AF_INET6, socket.IPPROTO_IPV6),
}


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


def legacy_layout(
    netns: int | Path | None, family: Family, tables: Iterable[str]
) -> tuple[bytes, ...]:
    """Offsets and sizes of legacy tables: any rule added or deleted by hand moves them."""
    domain, level = _RAW_SOCKET[family]
    with namespaces.entered(netns):
        asking = socket.socket(domain, socket.SOCK_RAW, socket.IPPROTO_RAW)
    with asking:
        return tuple(_layout(asking, level, table) for table in tables)


def _layout(asking: socket.socket, level: int, table: str) -> bytes:
    question = table.encode().ljust(32, b"\0").ljust(_INFO.size, b"\0")
    return _getsockopt_in_out(asking, level, _GET_INFO, question)


def _getsockopt_in_out(asking: socket.socket, level: int, option: int, question: bytes) -> bytes:
    """getsockopt whose buffer carries the question in and the answer out; Python's cannot."""
    import ctypes
    import os

    buffer = ctypes.create_string_buffer(question, len(question))
    size = ctypes.c_uint32(len(question))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.getsockopt(asking.fileno(), level, option, buffer, ctypes.byref(size)):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return buffer.raw
