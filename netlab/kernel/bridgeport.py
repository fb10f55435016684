"""Netlink requests about a bridge's ports, and what the kernel says of them.

Written byte by byte: there are several for each pod, and only their index differs.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache

from netlab import bpf
from netlab.kernel import nlattr
from netlab.kernel.netlink import (
    NLM_F_CREATE,
    NLM_F_EXCL,
    NLM_F_REPLACE,
    NetlinkMessage,
    NetlinkSocket,
)
from netlab.kernel.nlattr import NESTED, number, packed, split

RTM_SETLINK = 19
RTM_NEWNEIGH, RTM_GETNEIGH = 28, 30
RTM_NEWQDISC, RTM_DELQDISC = 36, 37
RTM_NEWTFILTER, RTM_DELTFILTER, RTM_GETTFILTER = 44, 45, 46
RTM_NEWCHAIN = 100

_HEADER_SIZE = 16
_LINK = struct.Struct("=BxHiII")  # family, type, index, flags, change
_NEIGHBOUR = struct.Struct("=BxxxiHBB")  # family, index, state, flags, type
_TRAFFIC = struct.Struct("=BxxxiIII")  # family, index, handle, parent, info

_INSTRUCTION = struct.Struct(bpf.FORMAT)

_IFLA_PROTINFO = 12
_BRPORT_STATE, _BRPORT_MODE, _BRPORT_LEARNING, _BRPORT_UNICAST_FLOOD = 1, 4, 8, 9
_NDA_LLADDR = 2
NUD_NOARP = 0x40  # what bridge(8) calls static: never moves by itself, never ages
NUD_PERMANENT = 0x80
_NTF_MASTER = 0x04
_INGRESS, _INGRESS_HANDLE, _INGRESS_FILTERS = 0xFFFFFFF1, 0xFFFF0000, 0xFFFFFFF2
_TCA_KIND, _TCA_OPTIONS = 1, 2
_BPF_OPS_LEN, _BPF_OPS, _BPF_FLAGS = 4, 5, 8
_DIRECT_ACTION = 1
_EVERY_PROTOCOL = socket.htons(3)
_FIRST = 1 << 16 | _EVERY_PROTOCOL  # preference and protocol, as a filter's `info`


def set_port(
    what: str, index: int, *, hairpin: bool, learning: bool, flood: bool
) -> NetlinkMessage:
    """How the bridge treats a port.

    `hairpin` sends a frame back to where it came from, as a pod needs that reaches itself through
    a Service; `learning` believes source addresses; `flood` sends what nobody is known to have.
    """
    body = _LINK.pack(socket.AF_BRIDGE, 0, index, 0, 0) + _manners(hairpin, learning, flood)
    return NetlinkMessage(what, RTM_SETLINK, 0, body)


@lru_cache(maxsize=8)
def _manners(hairpin: bool, learning: bool, flood: bool) -> bytes:
    flags = (
        (_BRPORT_MODE, hairpin),
        (_BRPORT_LEARNING, learning),
        (_BRPORT_UNICAST_FLOOD, flood),
    )
    # Without the nested flag the kernel takes the attribute for the old port state byte.
    return packed(
        _IFLA_PROTINFO | NESTED, b"".join(packed(kind, bytes([on])) for kind, on in flags)
    )


def disable_port(what: str, index: int) -> NetlinkMessage:
    """Let a bridge port pass nothing any more; fine when there is none.

    Takes no time, whereas deleting a link waits until no processor can still be using it.
    """
    state = packed(_IFLA_PROTINFO | NESTED, packed(_BRPORT_STATE, b"\0"))
    body = _LINK.pack(socket.AF_BRIDGE, 0, index, 0, 0) + state
    return NetlinkMessage(what, RTM_SETLINK, 0, body, frozenset({errno.ENODEV, errno.EINVAL}))


def add_station(what: str, index: int, mac: str) -> NetlinkMessage:
    """Have the bridge know for good that `mac` is behind that port, wherever it was before."""
    head = _NEIGHBOUR.pack(socket.AF_BRIDGE, index, NUD_NOARP, _NTF_MASTER, 0)
    flags = NLM_F_CREATE | NLM_F_REPLACE
    return NetlinkMessage(what, RTM_NEWNEIGH, flags, head + packed(_NDA_LLADDR, nlattr.mac(mac)))


def add_ingress(what: str, index: int) -> NetlinkMessage:
    """Give a link the place where filters see what comes in."""
    head = _TRAFFIC.pack(0, index, _INGRESS_HANDLE, _INGRESS, 0)
    body = head + packed(_TCA_KIND, b"ingress\0")
    return NetlinkMessage(what, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, body)


def delete_ingress(what: str, index: int) -> NetlinkMessage:
    """Take that place away, with all filters; fine when there is none."""
    gone = frozenset({errno.ENOENT, errno.EINVAL})
    body = _TRAFFIC.pack(0, index, _INGRESS_HANDLE, _INGRESS, 0)
    return NetlinkMessage(what, RTM_DELQDISC, 0, body, gone)


def add_filter(what: str, index: int, program: Sequence[bpf.Instruction]) -> NetlinkMessage:
    """Have a program say of each frame that comes in what becomes of it, before all other filters.

    It returns a verdict of traffic control: TC_ACT_SHOT (2) drops, TC_ACT_UNSPEC (-1) has no say.
    """
    code = b"".join([_INSTRUCTION.pack(*instruction) for instruction in program])
    options = (
        packed(_BPF_OPS_LEN, struct.pack("=H", len(program)))
        + packed(_BPF_OPS, code)
        + packed(_BPF_FLAGS, number(_DIRECT_ACTION))
    )
    head = _TRAFFIC.pack(0, index, 0, _INGRESS_FILTERS, _FIRST)
    body = head + packed(_TCA_KIND, b"bpf\0") + packed(_TCA_OPTIONS, options)
    return NetlinkMessage(what, RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL, body)


def stations(socket_: NetlinkSocket, index: int = 0) -> dict[int, tuple[str, ...]]:
    """The hardware addresses known for good to be behind each port of a namespace, by its index;
    with an `index` of that port alone."""
    found: dict[int, list[str]] = defaultdict(list)
    body = _NEIGHBOUR.pack(socket.AF_BRIDGE, index, 0, 0, 0)
    for reply in socket_.dump(RTM_GETNEIGH, body):
        _, index, state, _, _ = _NEIGHBOUR.unpack_from(reply.data, _HEADER_SIZE)
        attributes = dict(split(reply.data[_HEADER_SIZE + _NEIGHBOUR.size :]))
        if state == NUD_NOARP and _NDA_LLADDR in attributes:
            found[index].append(attributes[_NDA_LLADDR].hex(":"))
    return {index: tuple(macs) for index, macs in found.items()}


def first_filter(socket_: NetlinkSocket, index: int) -> tuple[bpf.Instruction, ...]:
    """The program that `add_filter` gave a link; none when another filter, or none, is there."""
    body = _TRAFFIC.pack(0, index, 0, _INGRESS_FILTERS, _FIRST)
    for reply in socket_.dump(RTM_GETTFILTER, body):
        info = _TRAFFIC.unpack_from(reply.data, _HEADER_SIZE)[4]
        attributes = dict(split(reply.data[_HEADER_SIZE + _TRAFFIC.size :]))
        if info == _FIRST and _TCA_OPTIONS in attributes:
            return _program(dict(split(attributes[_TCA_OPTIONS])))
    return ()


def _program(options: dict[int, bytes]) -> tuple[bpf.Instruction, ...]:
    if options.get(_BPF_FLAGS) != number(_DIRECT_ACTION):
        return ()
    return tuple(_INSTRUCTION.iter_unpack(options.get(_BPF_OPS, b"")))
