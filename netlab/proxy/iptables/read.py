"""What a network namespace has now: its tables, and a cheap sign of whether they changed."""

from __future__ import annotations

import functools
import ipaddress
import socket
import struct
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from netlab.kernel import netns as namespaces
from netlab.kernel.run import find, run
from netlab.proxy.addresses import Family
from netlab.proxy.iptables.model import Ruleset
from netlab.proxy.iptables.parse import parse

Variant = Literal["nft", "legacy"]

_PREFIX: dict[Family, str] = {"ipv4": "iptables", "ipv6": "ip6tables"}


def program(family: Family, variant: Variant, what: str) -> str:
    """`ip6tables-legacy-save`: the program of that family, variant and purpose."""
    return f"{_PREFIX[family]}-{variant}-{what}"


@functools.cache
def host_variant() -> Variant:
    """The variant this machine's own `iptables` is; both may be installed, one is in use.

    What it leads to says so (`xtables-nft-multi`), or else it is asked.
    """
    said = Path(find("iptables")).resolve().name
    if "nft" not in said and "legacy" not in said:
        said = run(["iptables", "--version"]).stdout
    return "legacy" if "legacy" in said else "nft"


def read(
    netns: int | Path | None, variant: Variant, family: Family, *, table: str | None = None
) -> Ruleset:
    """All tables of the namespace with their counters, or only `table`."""
    argv = [program(family, variant, "save"), "-c", *(["-t", table] if table else [])]
    return parse(run(argv, netns=netns, timeout=300).stdout, file=argv[0])


# linux/netfilter_ipv4/ip_tables.h, linux/netfilter_ipv6/ip6_tables.h
_GET_INFO = 64
_INFO = struct.Struct("=32sI5I5III")
_RAW_SOCKET: dict[Family, tuple[int, int]] = {
    "ipv4": (socket.AF_INET, socket.IPPROTO_IP),
    "ipv6": (socket.AF_INET6, socket.IPPROTO_IPV6),
}


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


_RECENT = Path("/proc/thread-self/net/xt_recent")


def recent_clients(netns: int | Path | None) -> dict[str, frozenset[str]]:
    """The lists of `-m recent` that have an address, by the address. Of those whose time is up,
    some are still there: they go when their list is asked the next time."""
    found: dict[str, set[str]] = defaultdict(set)
    with namespaces.entered(netns):
        for each in sorted(_RECENT.iterdir()) if _RECENT.is_dir() else ():
            for line in each.read_text().splitlines():
                address = ipaddress.ip_address(line.split()[0].removeprefix("src="))
                found[str(address)].add(each.name)
    return {address: frozenset(names) for address, names in found.items()}
