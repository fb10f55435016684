"""The netlink requests netlab makes; the rarer ones are encoded by pyroute2's message classes.

Interface indexes are always given, never looked up: whoever plans a link chooses its index.
`what` is the phrase an error uses: "cannot <what>: File exists".
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from netlab.kernel import nlattr
from netlab.kernel.netlink import NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, NetlinkMessage
from netlab.kernel.nlattr import packed
from netlab.kernel.rtnetlink import ifinfmsg

RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK = 16, 17, 18
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
RTM_DELNEIGH, RTM_GETNEIGH = 29, 30

IFF_UP = 0x1
_IFA_F_NODAD = 0x02
_FOREVER = 0xFFFFFFFF
_RT_TABLE_MAIN = 254
_RTPROT_STATIC = 4
_RT_SCOPE_UNIVERSE, _RT_SCOPE_LINK = 0, 253
_RTN_UNICAST = 1
_HEADER_SIZE = 16

_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MASTER, _IFLA_LINKINFO, _IFLA_NET_NS_FD = 1, 3, 10, 18, 28
_NDA_DST = 1
_IFLA_INFO_KIND, _IFLA_INFO_DATA, _VETH_INFO_PEER = 1, 2, 1
_IFA_ADDRESS, _IFA_LOCAL, _IFA_CACHEINFO, _IFA_FLAGS = 1, 2, 6, 8
_RTA_DST, _RTA_OIF, _RTA_GATEWAY = 1, 4, 5

_ADDRESS_HEAD = struct.Struct("=BBBBI")  # family, prefix length, flags, scope, index
# family, destination's and source's length, TOS, table, protocol, scope, type, flags
_ROUTE_HEAD = struct.Struct("=BBBBBBBBI")

Attributes = list[tuple[Any, ...]]


def add_bridge(what: str, name: str, index: int, mac: str) -> NetlinkMessage:
    """A bridge, up, without spanning tree and multicast snooping (both only cost time here)."""
    data: Attributes = [("IFLA_BR_STP_STATE", 0), ("IFLA_BR_MCAST_SNOOPING", 0)]
    attributes = [
        ("IFLA_IFNAME", name),
        ("IFLA_ADDRESS", mac),
        _link_info("bridge", {"attrs": data}),
    ]
    return _link(what, RTM_NEWLINK, index, attributes, up=True, flags=NLM_F_CREATE | NLM_F_EXCL)


def add_dummy(what: str, name: str, index: int, mac: str) -> NetlinkMessage:
    """A link that leads nowhere, up. Not every kernel has them."""
    kind = ("IFLA_LINKINFO", {"attrs": [("IFLA_INFO_KIND", "dummy")]})
    attributes: Attributes = [("IFLA_IFNAME", name), ("IFLA_ADDRESS", mac), kind]
    return _link(what, RTM_NEWLINK, index, attributes, up=True, flags=NLM_F_CREATE | NLM_F_EXCL)


def add_veth(
    what: str,
    *,
    name: str,
    index: int,
    mac: str,
    master: int | None,
    peer_name: str,
    peer_index: int,
    peer_mac: str,
    peer_netns: int,
) -> NetlinkMessage:
    """A veth pair: this end here and up, a port of bridge `master`; the other in `peer_netns`.

    `peer_netns` is a descriptor of ours, read by the kernel when the message is sent. The kernel
    does not allow the peer to be up from the start.
    """
    # By hand, and not by pyroute2: there is one for each pod.
    there = (
        _link_head(peer_index)
        + packed(_IFLA_IFNAME, nlattr.text(peer_name))
        + packed(_IFLA_ADDRESS, nlattr.mac(peer_mac))
        + packed(_IFLA_NET_NS_FD, nlattr.number(peer_netns))
    )
    data = packed(_IFLA_INFO_DATA, packed(_VETH_INFO_PEER, there))
    body = (
        _link_head(index, IFF_UP)
        + packed(_IFLA_IFNAME, nlattr.text(name))
        + packed(_IFLA_ADDRESS, nlattr.mac(mac))
        + (packed(_IFLA_MASTER, nlattr.number(master)) if master is not None else b"")
        + packed(_IFLA_LINKINFO, packed(_IFLA_INFO_KIND, nlattr.text("veth")) + data)
    )
    return NetlinkMessage(what, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, body)


def _link_head(index: int, flags: int = 0) -> bytes:
    return struct.pack("=BxHiII", 0, 0, index, flags, flags)


def set_up(what: str, index: int) -> NetlinkMessage:
    """Bring a link up."""
    return NetlinkMessage(what, RTM_NEWLINK, 0, _up_body(index))


@lru_cache(maxsize=64)  # each pod has its lo and its eth0 brought up: the same two bodies
def _up_body(index: int) -> bytes:
    return _link("", RTM_NEWLINK, index, [], up=True).body


def set_master(what: str, index: int, master: int) -> NetlinkMessage:
    """Make a link a port of the bridge `master` (0: of none)."""
    return _link(what, RTM_NEWLINK, index, [("IFLA_MASTER", master)])


def set_mac(what: str, index: int, mac: str) -> NetlinkMessage:
    """Give a link its hardware address."""
    return _link(what, RTM_NEWLINK, index, [("IFLA_ADDRESS", mac)])


def set_mtu(what: str, index: int, mtu: int) -> NetlinkMessage:
    """Set the largest packet that a link takes, in bytes."""
    return _link(what, RTM_NEWLINK, index, [("IFLA_MTU", mtu)])


def rename(what: str, index: int, name: str) -> NetlinkMessage:
    """Bring a link down and call it `name`; before Linux 6.2 one that is up keeps its name."""
    body = struct.pack("=BxHiII", 0, 0, index, 0, IFF_UP) + packed(_IFLA_IFNAME, nlattr.text(name))
    return NetlinkMessage(what, RTM_NEWLINK, 0, body)


def delete_neighbour(what: str, index: int, ip: str) -> NetlinkMessage:
    """Forget where `ip` is found on a link; fine when nobody knew."""
    family, content = _ip(ip)
    body = struct.pack("=BxxxiHBB", family, index, 0, 0, 0) + packed(_NDA_DST, content)
    return NetlinkMessage(what, RTM_DELNEIGH, 0, body, frozenset({errno.ENOENT}))


def delete_link(what: str, index: int) -> NetlinkMessage:
    """Delete a link, and with a veth its peer; fine when there is none."""
    gone = frozenset({errno.ENODEV})
    return _link(what, RTM_DELLINK, index, [], tolerate=gone)


def add_address(
    what: str, index: int, address: str, *, flags: int = NLM_F_CREATE, passive: bool = False
) -> NetlinkMessage:
    """`address` with its prefix length, on a link; an IPv6 one is usable at once (nodad).

    A `passive` one is answered for, but not chosen as a packet's source while there is another.
    """
    tolerate = frozenset({errno.EEXIST})
    return _address(what, RTM_NEWADDR, index, address, flags, tolerate, passive=passive)


def delete_address(what: str, index: int, address: str) -> NetlinkMessage:
    """Take an address from a link; fine when it has none such."""
    return _address(what, RTM_DELADDR, index, address, 0, frozenset({errno.EADDRNOTAVAIL}))


def add_route(what: str, destination: str, index: int, gateway: str | None) -> NetlinkMessage:
    """A route in the main table; `gateway` None is a route to what is on the link itself.

    It takes the place of another one to the same destination.
    """
    flags = NLM_F_CREATE | NLM_F_REPLACE
    return _route(what, RTM_NEWROUTE, destination, index, gateway, flags, frozenset())


def delete_route(what: str, destination: str, index: int, gateway: str | None) -> NetlinkMessage:
    """Take a route from the main table; fine when there is none such."""
    return _route(
        what, RTM_DELROUTE, destination, index, gateway, 0, frozenset({errno.ESRCH, errno.ENODEV})
    )


def _link_info(kind: str, data: Mapping[str, Any]) -> tuple[Any, ...]:
    return ("IFLA_LINKINFO", {"attrs": [("IFLA_INFO_KIND", kind), ("IFLA_INFO_DATA", data)]})


def _link(
    what: str,
    kind: int,
    index: int,
    attributes: Attributes,
    *,
    up: bool = False,
    flags: int = 0,
    tolerate: frozenset[int] = frozenset(),
) -> NetlinkMessage:
    message = ifinfmsg()
    message["index"] = index
    if up:
        message["flags"] = message["change"] = IFF_UP
    message["attrs"] = attributes
    return _encoded(what, kind, flags, message, tolerate)


def _address(
    what: str,
    kind: int,
    index: int,
    address: str,
    flags: int,
    tolerate: frozenset[int],
    *,
    passive: bool = False,
) -> NetlinkMessage:
    # By hand, and not by pyroute2, as the routes are: there are some for each pod.
    ip, _, length = address.partition("/")
    family, content = _ip(ip)
    v6 = family == socket.AF_INET6
    body = _ADDRESS_HEAD.pack(family, int(length), _IFA_F_NODAD if v6 else 0, 0, index)
    body += packed(_IFA_ADDRESS, content)
    body += packed(_IFA_FLAGS, nlattr.number(_IFA_F_NODAD)) if v6 else packed(_IFA_LOCAL, content)
    if passive:
        # IPv6 avoids what is no longer preferred. IPv4 takes the address that the gateway's range
        # belongs to, else the first: a narrower scope would put this one there.
        body += packed(_IFA_CACHEINFO, struct.pack("=IIII", 0, _FOREVER, 0, 0))
    return NetlinkMessage(what, kind, flags, body, tolerate)


def _route(
    what: str,
    kind: int,
    destination: str,
    index: int,
    gateway: str | None,
    flags: int,
    tolerate: frozenset[int],
) -> NetlinkMessage:
    network, _, length = destination.partition("/")
    family, content = _ip(network)
    scope = _RT_SCOPE_UNIVERSE if gateway or family == socket.AF_INET6 else _RT_SCOPE_LINK
    head = (family, int(length), 0, 0, _RT_TABLE_MAIN, _RTPROT_STATIC, scope, _RTN_UNICAST, 0)
    body = _ROUTE_HEAD.pack(*head) + packed(_RTA_OIF, nlattr.number(index))
    if int(length):
        body += packed(_RTA_DST, content)
    if gateway:
        body += packed(_RTA_GATEWAY, _ip(gateway)[1])
    return NetlinkMessage(what, kind, flags, body, tolerate)


def _ip(text: str) -> tuple[int, bytes]:
    """The family of an address, and its bytes."""
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    return family, socket.inet_pton(family, text)


def _encoded(
    what: str, kind: int, flags: int, message: Any, tolerate: frozenset[int] = frozenset()
) -> NetlinkMessage:
    message["header"]["type"] = kind
    message.encode()
    return NetlinkMessage(what, kind, flags, bytes(message.data[_HEADER_SIZE:]), tolerate)
