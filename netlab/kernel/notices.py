"""Hearing of changes: netlink's notifications, without looking and without a process.

A socket stays in the namespace it was made in and keeps that alive, also when its mount was taken
away: `namespace` opens it.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import select
import socket
import struct
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path

from msgspec import Struct, field

from netlab import bpf
from netlab.kernel import bridgeport, messages
from netlab.kernel import netns as namespaces
from netlab.kernel.netlink import (
    KERNEL,
    NETLINK_ADD_MEMBERSHIP,
    NETLINK_DROP_MEMBERSHIP,
    NETLINK_NETFILTER,
    NLM_F_REPLACE,
    SOL_NETLINK,
    NetlinkSocket,
)
from netlab.kernel.nlattr import number, packed, split
from netlab.kernel.receiving import make_room

# linux/rtnetlink.h: links, neighbours, traffic control, addresses, routes, netconf.
_ROUTE_GROUPS = (1, 3, 4, 5, 7, 9, 11, 24, 25)
# linux/netfilter/nfnetlink.h: NFNLGRP_NFTABLES, and the one message that ends each transaction.
_NFTABLES_GROUPS = (7,)
_NFT_SUBSYSTEM, _NEW_GENERATION = 10, 15

_NETLINK_LISTEN_ALL_NSID = 8
_EXTRA = socket.CMSG_SPACE(4)
_SIOCGSKNS = 0x894C
_SO_ATTACH_FILTER = 26

_TYPE, _SUBSYSTEM, _FLAGS, _BODY = 4, 5, 6, 16  # where things are in a message
_INDEX = struct.Struct("=i")
_AT_INDEX = _BODY + 4  # in those about links, neighbours and traffic control alike
_AT_FLAGS = _AT_STATE = _BODY + 8  # of a link; of a neighbour
_AT_NETCONF_INDEX = _BODY + 8  # of a link, or negative: all, or those to come
_RTM_NEWNETCONF, _RTM_GETNSID = 80, 90
_NETNSA_NSID, _NETNSA_FD = 1, 3
_IFF_LOWER_UP = 0x10000
_OF_PORTS = 0x40  # in the highest byte of an index: it is a pod's port
_ABOUT_NEIGHBOURS = frozenset((bridgeport.RTM_NEWNEIGH, messages.RTM_DELNEIGH))
_INDEXED = _ABOUT_NEIGHBOURS | frozenset(
    (messages.RTM_NEWLINK, messages.RTM_DELLINK)
    + (bridgeport.RTM_NEWQDISC, bridgeport.RTM_DELQDISC)
    + (bridgeport.RTM_NEWTFILTER, bridgeport.RTM_DELTFILTER)
)
_KEPT = 28  # bytes: of each message no more is looked at
_NEXT = ""
_MESSAGES = 1024
"""So many are taken at once; whoever makes more, makes others wait no longer."""


OWN = -1
"""The number of a socket's own namespace in what it heard."""


class Heard(Struct):
    """What a namespace told of: the indexes of links that something happened to; `others` when it
    was about something else: addresses, routes, sysctls."""

    indexes: set[int] = field(default_factory=set)
    others: bool = False


class Notes(Struct):
    """What was heard, by the number of the namespace that told.

    `more` when there is more to take already, `lost` when it was too much to be kept.
    """

    heard: dict[int, Heard] = field(default_factory=lambda: defaultdict(Heard))
    lost: bool = False
    more: bool = False


class Notices:
    """A socket that hears of changes in one namespace (descriptor or path); see `of_links` and
    `of_rules`."""

    def __init__(
        self,
        netns: int | Path,
        protocol: int,
        groups: Iterable[int],
        buffer: int,
        program: bpf.Template,
    ) -> None:
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        with namespaces.entered(netns):
            self._socket = socket.socket(socket.AF_NETLINK, kind, protocol)
        try:
            make_room(self._socket, buffer)
            self._filter(bpf.filled(program, {}))
            self._groups = tuple(groups)
            self._socket.bind((0, sum(1 << group - 1 for group in self._groups)))
        except BaseException:
            self._socket.close()
            raise

    @contextlib.contextmanager
    def deaf(self) -> Iterator[None]:
        """Hear nothing while the body runs: what nobody hears of the kernel does not put in words,
        which takes it a tenth of the time of writing many rules."""
        for group in self._groups:
            self._socket.setsockopt(SOL_NETLINK, NETLINK_DROP_MEMBERSHIP, group)
        try:
            yield
        finally:
            for group in self._groups:
                self._socket.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group)

    def hear_neighbours(self) -> None:
        """Hear also of the namespaces at the other ends of this one's links, by their numbers."""
        self._socket.setsockopt(SOL_NETLINK, _NETLINK_LISTEN_ALL_NSID, 1)

    def close(self) -> None:
        """Hear no more, and let go of the namespace."""
        self._socket.close()

    def fileno(self) -> int:
        """What becomes readable when there is something to hear."""
        return self._socket.fileno()

    def namespace(self) -> int:
        """A descriptor of the namespace; the caller closes it."""
        return fcntl.ioctl(self._socket.fileno(), _SIOCGSKNS)

    def take(self) -> Notes:
        """What was heard since the last call. Does not wait."""
        notes = Notes()
        for _ in range(_MESSAGES):
            try:
                data, extra, _, (sender, _) = self._socket.recvmsg(_KEPT, _EXTRA)
            except BlockingIOError:
                return notes
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                notes.lost = True
                continue
            if sender == KERNEL:  # a pod that may speak netlink says what it likes, to us as well
                _note(notes.heard[_number(extra)], data)
        notes.more = True
        return notes

    def _filter(self, program: Sequence[bpf.Instruction]) -> None:
        code = b"".join(struct.pack(bpf.FORMAT, *each) for each in program)
        kept = ctypes.create_string_buffer(code, len(code))
        argument = struct.pack("HxxxxxxQ", len(program), ctypes.addressof(kept))
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, argument)


def of_links(netns: int | Path) -> Notices:
    """Hears of links, ports, addresses, routes, neighbours, guards and some sysctls (forwarding,
    rp_filter and others that netconf tells of)."""
    return Notices(netns, socket.NETLINK_ROUTE, _ROUTE_GROUPS, 1 << 22, _link_filter())


def of_rules(netns: int | Path) -> Notices:
    """Hears of every transaction of nf_tables, whoever's; of nothing in legacy tables."""
    return Notices(netns, NETLINK_NETFILTER, _NFTABLES_GROUPS, 1 << 12, _rule_filter())


def _number(extra: Sequence[tuple[int, int, bytes]]) -> int:
    """Whose namespace told."""
    for level, kind, data in extra:
        if (level, kind) == (SOL_NETLINK, _NETLINK_LISTEN_ALL_NSID):
            return int(_INDEX.unpack(data)[0])
    return OWN


def _note(heard: Heard, data: bytes) -> None:
    if data[_TYPE] not in _INDEXED:
        heard.others = True
    elif data[_TYPE] not in _ABOUT_NEIGHBOURS or _is_said(data):
        heard.indexes.add(_INDEX.unpack_from(data, _AT_INDEX)[0])


def _is_said(data: bytes) -> bool:
    """Whether somebody said it of a neighbour; all else the kernel finds out by itself."""
    is_station = data[_BODY] == socket.AF_BRIDGE
    return bool(
        data[_AT_STATE] & (bridgeport.NUD_NOARP if is_station else bridgeport.NUD_PERMANENT)
    )


@cache
def _link_filter() -> bpf.Template:
    """Without most of what is told of a pod that is being attached: routes that are merely added,
    stations, room for guards, what becomes of a port until its other end is up, the sysctls of
    single links."""
    return bpf.assembled(
        [
            ("", "load-byte", _TYPE, _NEXT, _NEXT),
            ("", "equal", messages.RTM_NEWLINK, "link", _NEXT),
            ("", "equal", messages.RTM_NEWROUTE, "route", _NEXT),
            ("", "equal", bridgeport.RTM_NEWNEIGH, "neighbour", _NEXT),
            ("", "equal", bridgeport.RTM_NEWQDISC, "drop", _NEXT),
            ("", "equal", bridgeport.RTM_NEWCHAIN, "drop", _NEXT),
            ("", "equal", _RTM_NEWNETCONF, "sysctl", "pass"),
            ("link", "load-byte", _AT_INDEX + 3, _NEXT, _NEXT),
            ("", "any-bit", _OF_PORTS, _NEXT, "pass"),
            ("", "load-byte", _AT_FLAGS, _NEXT, _NEXT),
            ("", "any-bit", messages.IFF_UP, _NEXT, "pass"),
            ("", "load-byte", _AT_FLAGS + 2, _NEXT, _NEXT),
            ("", "any-bit", _IFF_LOWER_UP >> 16, "pass", "drop"),
            ("route", "load-byte", _FLAGS + 1, _NEXT, _NEXT),
            ("", "any-bit", NLM_F_REPLACE >> 8, "pass", "drop"),
            ("neighbour", "load-byte", _BODY, _NEXT, _NEXT),
            ("", "equal", socket.AF_BRIDGE, "drop", _NEXT),
            ("", "load-byte", _AT_STATE, _NEXT, _NEXT),
            ("", "any-bit", bridgeport.NUD_PERMANENT, "pass", "drop"),
            ("sysctl", "load-byte", _AT_NETCONF_INDEX + 3, _NEXT, _NEXT),
            ("", "any-bit", 0x80, "pass", "drop"),
            ("pass", "return", _KEPT, _NEXT, _NEXT),
            ("drop", "return", 0, _NEXT, _NEXT),
        ]
    )


@cache
def _rule_filter() -> bpf.Template:
    return bpf.assembled(
        [
            ("", "load-byte", _SUBSYSTEM, _NEXT, _NEXT),
            ("", "equal", _NFT_SUBSYSTEM, _NEXT, "drop"),
            ("", "load-byte", _TYPE, _NEXT, _NEXT),
            ("", "equal", _NEW_GENERATION, "pass", "drop"),
            ("pass", "return", _KEPT, _NEXT, _NEXT),
            ("drop", "return", 0, _NEXT, _NEXT),
        ]
    )


class MountNotices:
    """Becomes readable when something was mounted or unmounted where this process can see it."""

    def __init__(self) -> None:
        # /proc/…/mountinfo can always be read; that it changed is an exceptional condition.
        self._mounts = os.open("/proc/thread-self/mountinfo", os.O_RDONLY | os.O_CLOEXEC)
        self._poll = select.epoll()
        self._poll.register(self._mounts, select.EPOLLPRI | select.EPOLLET)
        self.take()

    def close(self) -> None:
        """Hear no more."""
        self._poll.close()
        os.close(self._mounts)

    def fileno(self) -> int:
        """What becomes readable."""
        return self._poll.fileno()

    def take(self) -> None:
        """Note what happened as heard."""
        self._poll.poll(0)


def number_of(socket_: NetlinkSocket, namespace: int) -> int:
    """The number by which a socket's namespace knows another (a descriptor); negative if it
    does not: they have no link in common."""
    body = b"\0\0\0\0" + packed(_NETNSA_FD, number(namespace))
    reply = socket_.get(_RTM_GETNSID, body)
    attributes = dict(split(reply.data[_BODY + 4 :])) if reply else {}
    return int(_INDEX.unpack(attributes[_NETNSA_NSID])[0]) if _NETNSA_NSID in attributes else -1
