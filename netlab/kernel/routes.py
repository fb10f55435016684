"""The kernel's word on where a packet goes: route, neighbour, the port of a bridge.

Each is asked for by itself, as `ip route get`, `ip neigh get` and `bridge fdb get` do, and no
table is read. Of a route the kernel gives the entry that it used (RTM_F_FIB_MATCH).
"""

from __future__ import annotations

import errno
import ipaddress
import socket
import struct
from pathlib import Path
from types import TracebackType

from msgspec import Struct

from netlab.errors import EnvironmentLacks, KernelRefused
from netlab.kernel import netns as namespaces
from netlab.kernel.messages import RTM_GETLINK, RTM_GETNEIGH, RTM_GETROUTE
from netlab.kernel.netlink import NetlinkReply, NetlinkSocket
from netlab.kernel.nlattr import number, packed, split

# family, destination's and source's length, TOS, table, protocol, scope, type, flags
_ROUTE = struct.Struct("=BBBBBBBBI")
_NEIGHBOUR = struct.Struct("=BxxxiHBB")  # family, index, state, flags, type
_LINK = struct.Struct("=BxHiII")  # family, type, index, flags, change
_HEADER_SIZE = 16
_FIB_MATCH, _LOOKUP_TABLE = 0x2000, 0x1000
# IPv6 tells the table unasked, and refuses to be asked.
_FLAGS = {socket.AF_INET: _FIB_MATCH | _LOOKUP_TABLE, socket.AF_INET6: _FIB_MATCH}
_RTA_DST, _RTA_SRC, _RTA_IIF, _RTA_OIF, _RTA_GATEWAY = 1, 2, 3, 4, 5
_RTA_TABLE, _RTA_MARK, _RTA_VIA = 15, 16, 18
_NDA_DST, _NDA_LLADDR, _NDA_MASTER = 1, 2, 9
_IFLA_MASTER = 10
_AF_BRIDGE = 7
_KINDS = {1: "unicast", 2: "local", 3: "broadcast", 5: "multicast", 6: "blackhole",
          7: "unreachable", 8: "prohibit"}  # fmt: skip
_INCOMPLETE, _FAILED = 0x01, 0x20


class Route(Struct, frozen=True):
    """The entry used: its `kind` (unicast, local, blackhole, …; `none` for no route), its
    `destination` (a network, or `default`), the next machine's address ("" for on link), the link
    by name, and the table's number."""

    kind: str
    destination: str = ""
    gateway: str = ""
    link: str = ""
    table: int = 0


class Neighbour(Struct, frozen=True):
    """Whom an address belongs to on a link: the hardware address, "" where nobody answers for it
    or nobody asked yet (`known`: the kernel has an entry)."""

    mac: str
    known: bool


class Routing:
    """Asks one namespace; a context manager."""

    def __init__(self, netns: Path | int) -> None:
        self._socket = NetlinkSocket(netns)
        with namespaces.entered(netns):
            self._names = dict(socket.if_nameindex())
        self._indexes = {name: index for index, name in self._names.items()}

    def __enter__(self) -> Routing:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._socket.close()

    def route(self, destination: str, *, source: str = "", iif: str = "", mark: int = 0) -> Route:
        """For a packet that came in by `iif`; without one, for one that begins here."""
        to = ipaddress.ip_address(destination)
        bits, family = to.max_prefixlen, _family(destination)
        head = _ROUTE.pack(family, bits, bits if source else 0, 0, 0, 0, 0, 0, _FLAGS[family])
        asked = packed(_RTA_DST, to.packed)
        if source:
            asked += packed(_RTA_SRC, ipaddress.ip_address(source).packed)
        if iif:
            asked += packed(_RTA_IIF, number(self._indexes[iif]))
        if mark:
            asked += packed(_RTA_MARK, number(mark))
        try:
            found = self._socket.get(RTM_GETROUTE, head + asked)
        except EnvironmentLacks:  # EACCES, which a missing right has as well
            return Route("prohibit")
        except KernelRefused as error:
            return Route("blackhole" if error.errno == errno.EINVAL else "none")
        return self._read(found) if found is not None else Route("none")

    def _read(self, found: NetlinkReply) -> Route:
        _, length, _, _, table, _, _, kind, _ = _ROUTE.unpack_from(found.data, _HEADER_SIZE)
        parts = _attributes(found, _ROUTE)
        network = parts.get(_RTA_DST)
        destination = f"{ipaddress.ip_address(network)}/{length}" if network else "default"
        gateway = parts.get(_RTA_GATEWAY) or parts.get(_RTA_VIA, b"")[2:]
        return Route(
            kind=_KINDS.get(kind, str(kind)),
            destination=destination,
            gateway=str(ipaddress.ip_address(gateway)) if gateway else "",
            link=self._names.get(_whole(parts.get(_RTA_OIF)), ""),
            table=_whole(parts.get(_RTA_TABLE)) or table,
        )

    def neighbour(self, link: str, address: str) -> Neighbour:
        """Who has an address on a link."""
        head = _NEIGHBOUR.pack(_family(address), self._indexes[link], 0, 0, 0)
        asked = packed(_NDA_DST, ipaddress.ip_address(address).packed)
        try:
            found = self._socket.get(RTM_GETNEIGH, head + asked)
        except KernelRefused:  # of a link that asks nobody, as loopback
            found = None
        if found is None:
            return Neighbour("", known=False)
        state = int(_NEIGHBOUR.unpack_from(found.data, _HEADER_SIZE)[2])
        mac = _attributes(found, _NEIGHBOUR).get(_NDA_LLADDR, b"")
        return Neighbour("" if state & (_INCOMPLETE | _FAILED) else mac.hex(":"), known=True)

    def bridge_of(self, port: str) -> str:
        """The bridge (or other master) that a link is a port of; "" for none."""
        found = self._socket.get(RTM_GETLINK, _LINK.pack(0, 0, self._indexes[port], 0, 0))
        parts = _attributes(found, _LINK) if found is not None else {}
        return self._names.get(_whole(parts.get(_IFLA_MASTER)), "")

    def port_of(self, bridge: str, mac: str) -> str:
        """The port behind which a bridge knows a hardware address; "" where it does not."""
        head = _NEIGHBOUR.pack(_AF_BRIDGE, 0, 0, 0, 0)
        asked = packed(_NDA_LLADDR, bytes.fromhex(mac.replace(":", "")))
        asked += packed(_NDA_MASTER, number(self._indexes[bridge]))
        try:
            found = self._socket.get(RTM_GETNEIGH, head + asked)
        except (KernelRefused, EnvironmentLacks):  # it is no bridge
            return ""
        if found is None:
            return ""
        return self._names.get(_NEIGHBOUR.unpack_from(found.data, _HEADER_SIZE)[1], "")

    def has(self, link: str) -> bool:
        """Whether there is a link of that name."""
        return link in self._indexes


def _attributes(found: NetlinkReply, head: struct.Struct) -> dict[int, bytes]:
    return dict(split(found.data[_HEADER_SIZE + head.size :]))


def _whole(data: bytes | None) -> int:
    return int(struct.unpack("=I", data)[0]) if data else 0


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET
