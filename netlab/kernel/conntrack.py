"""What connection tracking remembers of one connection, asked by its tuple.

The kernel finds it in its hash by the tuple alone, so a big table is not gone through but for
`flows_to`. Numbers and layouts: linux/netfilter/nfnetlink_conntrack.h.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from netlab.conntrack import Tuple as Tuple
from netlab.kernel import netns as namespaces
from netlab.kernel.netlink import NETLINK_NETFILTER, NetlinkSocket
from netlab.kernel.nlattr import NESTED, packed, split

_GET = 1 << 8 | 1
_ORIGINAL, _REPLY, _STATUS, _PROTOCOL, _TIMEOUT, _MARK = 1, 2, 3, 4, 7, 8
_ADDRESSES, _PORTS = 1, 2
_NUMBER, _SPORT, _DPORT = 1, 2, 3
# Address attributes (source, destination) and those of an echo (identifier, type, code), by version
_SIDES = {4: (1, 2), 6: (3, 4)}
_ECHO = {4: (4, 5, 6), 6: (7, 8, 9)}
_ECHO_REQUEST = {4: 8, 6: 128}
_TCP = 1
_HEAD = 16 + 4  # of netlink, of netfilter

_NUMBERS = {"tcp": 6, "udp": 17, "sctp": 132}
_ICMP = {4: 1, 6: 58}
_SEEN_REPLY, _ASSURED = 0x2, 0x4
_STATES = (
    "NONE", "SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK",
    "TIME_WAIT", "CLOSE", "SYN_SENT2",
)  # fmt: skip


class Connection(Struct, frozen=True):
    """An entry: how its first packet came, and how its replies do. `state` is TCP's, or "";
    `timeout` the seconds that it is still remembered for."""

    original: Tuple
    reply: Tuple
    seen_reply: bool
    assured: bool
    state: str
    timeout: int
    mark: int

    @property
    def is_plain(self) -> bool:
        """Whether replies come from where it goes to, to where it comes from: nothing is
        translated."""
        there, back = self.original, self.reply
        same = (there.source, there.destination) == (back.destination, back.source)
        return same and there.dport in (0, back.sport)


def is_empty(netns: Path | int | None) -> bool:
    """Whether nothing is remembered in that namespace, or the kernel tracks nothing at all."""
    with namespaces.entered(netns):
        try:
            lines = Path("/proc/thread-self/net/stat/nf_conntrack").read_text().splitlines()
        except FileNotFoundError:
            return True
    return len(lines) < 2 or int(lines[1].split()[0], 16) == 0


def connection(netns: Path | int, protocol: str, original: Tuple) -> Connection | None:
    """The entry of that tuple in that namespace; None where nothing is remembered."""
    return _entry(netns, protocol, _ORIGINAL, original)


def replied_by(netns: Path | int, protocol: str, reply: Tuple) -> Connection | None:
    """The entry of a connection by its replies' tuple; None where nothing is remembered."""
    return _entry(netns, protocol, _REPLY, reply)


def _entry(netns: Path | int, protocol: str, side: int, wanted: Tuple) -> Connection | None:
    version = ipaddress.ip_address(wanted.source).version
    body = _about(version) + packed(side | NESTED, _tuple(protocol, wanted, version))
    with NetlinkSocket(netns, protocol=NETLINK_NETFILTER) as asking:
        found = asking.get(_GET, body)
    return _read(found.data[_HEAD:], version) if found is not None else None


def flows_to(netns: Path | int, protocol: str, address: str, port: int) -> Iterator[Tuple]:
    """How the first packets came of all that is remembered of those to there; of any port, if that
    is 0."""
    to = ipaddress.ip_address(address)
    with NetlinkSocket(netns, protocol=NETLINK_NETFILTER) as asking:
        entries = [
            one.data for one in asking.dump(_GET, _about(to.version)) if to.packed in one.data
        ]
    for data in entries:
        original = dict(split(data[_HEAD:]))[_ORIGINAL]
        first = _direction(original, to.version)
        number = dict(split(dict(split(original))[_PORTS]))[_NUMBER][0]
        there = first.destination == address and port in (0, first.dport)
        if there and number == _NUMBERS[protocol]:
            yield first


def _about(version: int) -> bytes:
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    return struct.pack(">BBH", family, 0, 0)


def _tuple(protocol: str, wanted: Tuple, version: int) -> bytes:
    source, destination = _SIDES[version]
    addresses = packed(source, ipaddress.ip_address(wanted.source).packed)
    addresses += packed(destination, ipaddress.ip_address(wanted.destination).packed)
    if protocol == "icmp":
        identifier, kind, code = _ECHO[version]
        content = packed(_NUMBER, bytes([_ICMP[version]]))
        content += packed(identifier, struct.pack(">H", wanted.sport))
        content += packed(kind, bytes([_ECHO_REQUEST[version]])) + packed(code, b"\0")
    else:
        content = packed(_NUMBER, bytes([_NUMBERS[protocol]]))
        content += packed(_SPORT, struct.pack(">H", wanted.sport))
        content += packed(_DPORT, struct.pack(">H", wanted.dport))
    return packed(_ADDRESSES | NESTED, addresses) + packed(_PORTS | NESTED, content)


def _read(data: bytes, version: int) -> Connection:
    found = dict(split(data))
    status = _number(found.get(_STATUS))
    return Connection(
        original=_direction(found[_ORIGINAL], version),
        reply=_direction(found[_REPLY], version),
        seen_reply=bool(status & _SEEN_REPLY),
        assured=bool(status & _ASSURED),
        state=_state(found.get(_PROTOCOL, b"")),
        timeout=_number(found.get(_TIMEOUT)),
        mark=_number(found.get(_MARK)),
    )


def _direction(data: bytes, version: int) -> Tuple:
    parts = dict(split(data))
    addresses, content = dict(split(parts[_ADDRESSES])), dict(split(parts[_PORTS]))
    source, destination = (str(ipaddress.ip_address(addresses[each])) for each in _SIDES[version])
    identifier = content.get(_ECHO[version][0])
    return Tuple(
        source,
        _number(content.get(_SPORT, identifier)),
        destination,
        _number(content.get(_DPORT)),
    )


def _state(data: bytes) -> str:
    """TCP's, of what a protocol has to say of a connection."""
    of_tcp = dict(split(dict(split(data)).get(_TCP, b"")))
    number = of_tcp.get(1, b"\0")[0]
    return _STATES[number] if number < len(_STATES) and of_tcp else ""


def _number(data: bytes | None) -> int:
    return int.from_bytes(data or b"\0", "big")
