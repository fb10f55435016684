"""Captures: one AF_PACKET socket in each namespace, opened before the probe leaves.

A socket that is bound to no interface hears all of its namespace, in the order in which packets
passed, and says at which interface. A filter in the kernel lets through what can be a probe or
its answer, so that a busy lab does not overrun it.

Silence proves nothing until the instrument is known to work: `prove` sends a canary over each
namespace's loopback and raises `InstrumentError` unless every capture shows its own.
"""

from __future__ import annotations

import ctypes
import select
import socket
import struct
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType, TracebackType

from msgspec import Struct

from netlab.errors import NetlabError
from netlab.kernel import netns as namespaces
from netlab.kernel.receiving import make_room
from netlab.pathcheck import bpf
from netlab.pathcheck.decode import Decode, Observation, decode

_ETH_P_ALL = 0x0003
_SO_ATTACH_FILTER = 26
_SO_TIMESTAMPNS = 35
_SOL_PACKET = 263
_PACKET_STATISTICS = 6
_PACKET_OTHERHOST = 3
_PACKET_OUTGOING = 4
_BRIDGE_PORT = "veth"  # how the names of pods' ports begin
_BUFFER = 4 << 20
_CLOSERS = 250
CANARY = 0xCA4A51E5
"""The key of what `Capture.prove` sends."""

_CANARY_SECONDS = 1.0
_CANARY_PAUSE = 0.001
_DISCARD = 9


class InstrumentError(NetlabError):
    """The captures cannot be trusted, so a check can neither pass nor fail: could not run."""

    exit_code = 2


class _Tap(Struct):
    place: str
    socket: socket.socket
    snap: int


class Capture:
    """Captures in the namespaces of `places` (name → path or descriptor), of what is wanted, as
    `read` reads it; a context manager. `at` says of what else, of some of them."""

    def __init__(
        self,
        places: Mapping[str, Path | int],
        wanted: bpf.Filter = bpf.PROBES,
        read: Decode = decode,
        at: Mapping[str, bpf.Filter] = MappingProxyType({}),
    ) -> None:
        self._places = dict(places)
        self._filter = wanted
        self._at = at
        self._read = read
        self._taps: dict[int, _Tap] = {}
        self._epoll: select.epoll | None = None

    def __enter__(self) -> Capture:
        self._epoll = select.epoll()
        try:
            with namespaces.travelling() as go:
                for place, netns in self._places.items():
                    go(netns)
                    wanted = self._at.get(place, self._filter)
                    tap = _Tap(place, _opened_here(wanted), wanted.snap)
                    self._taps[tap.socket.fileno()] = tap
                    self._epoll.register(tap.socket, select.EPOLLIN)
                    _send_canary()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all. Idempotent."""
        close_together([tap.socket for tap in self._taps.values()])
        self._taps.clear()
        if self._epoll is not None:
            self._epoll.close()
            self._epoll = None

    def collect(self, seconds: float) -> list[Observation]:
        """Wait until something passes, at most `seconds`; everything there is to see then."""
        assert self._epoll is not None, "use it in a with statement"
        seen: list[Observation] = []
        for descriptor, _ in self._epoll.poll(max(0.0, seconds)):
            self._drain(self._taps[descriptor], seen)
        return seen

    def _drain(self, tap: _Tap, seen: list[Observation]) -> None:
        for frame in heard(tap.socket, tap.snap):
            packet = self._read(frame.data)
            if packet is not None:
                where = (tap.place, frame.ifname, frame.outgoing)
                seen.append(Observation(*where, frame.time, packet, frame.data))

    def prove(self) -> list[Observation]:
        """What was seen at the end of it. Raise `InstrumentError` unless every capture shows a
        canary sent in its namespace: the first was when it was opened.

        It must also bear the time at which it passed. The kernel begins to stamp packets a moment
        after the first socket asks for it; until then they get the time at which they are read,
        which tells nothing of their order.
        """
        missing = set(self._places)
        deadline = time.monotonic() + _CANARY_SECONDS
        while True:
            sent = time.time_ns()
            time.sleep(_CANARY_PAUSE)
            seen = self.collect(0)
            missing -= {one.place for one in seen if one.packet.key == CANARY and one.time <= sent}
            if not missing:
                return seen
            if time.monotonic() > deadline:
                break
            with namespaces.travelling() as go:
                for place in missing:
                    go(self._places[place])
                    _send_canary()
        raise InstrumentError(
            f"the capture does not see a packet sent to 127.0.0.1 in {_listed(missing)}",
            hint="is its loopback up (`ip -n NAME link set lo up`), and does the namespace "
            "still belong to the lab? `netlab doctor` tells",
        )

    def require_complete(self) -> None:
        """Raise `InstrumentError` if a capture lost packets since the last time of asking."""
        blind = {tap.place for tap in self._taps.values() if lost(tap.socket)}
        if blind:
            raise InstrumentError(
                f"the capture lost packets in {_listed(blind)}",
                hint="run the check again while the lab carries less traffic",
            )


def opened(netns: Path | int, wanted: bpf.Filter) -> socket.socket:
    """A socket that hears all of a namespace that the filter lets through, from its IP header on,
    and stamps it; the caller closes it."""
    with namespaces.entered(netns):
        return _opened_here(wanted)


def _opened_here(wanted: bpf.Filter) -> socket.socket:
    # It hears all at once; what comes before the filter is in place is merely not a probe.
    kind = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK
    sock = socket.socket(socket.AF_PACKET, kind, socket.htons(_ETH_P_ALL))
    try:
        attach(sock, wanted)
        sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        make_room(sock, _BUFFER)
    except BaseException:
        sock.close()
        raise
    return sock


def close_together(taps: Sequence[socket.socket]) -> None:
    """The kernel lets each wait until nobody looks at it any more, which is long for many in a
    row."""
    if not taps:
        return
    with ThreadPoolExecutor(max_workers=min(len(taps), _CLOSERS)) as threads:
        list(threads.map(socket.socket.close, taps))


def attach(sock: socket.socket, wanted: bpf.Filter) -> None:
    """Let through what a filter does, in place of any other's."""
    code = _code(wanted)
    fprog = struct.pack("HP", wanted.instructions, ctypes.addressof(code))
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, fprog)


@lru_cache(maxsize=4)
def _code(wanted: bpf.Filter) -> ctypes.Array[ctypes.c_char]:
    return ctypes.create_string_buffer(wanted.assembled())


class Frame(Struct, frozen=True):
    """What a socket heard at an interface: in which direction, when (ns since 1970), what from its
    IP header on."""

    ifname: str
    outgoing: bool
    time: int
    data: bytes


def heard(sock: socket.socket, snap: int) -> Iterator[Frame]:
    """All that a socket has heard by now, at most `snap` bytes of each."""
    while True:
        try:
            data, ancillary, _, address = sock.recvmsg(snap, 64)
        except BlockingIOError:
            return
        ifname, kind = address[0], address[2]
        # A switch that does not know a frame's receiver shows it to everybody. (To a port of a
        # bridge, all that it passes on is somebody else's.)
        if kind == _PACKET_OTHERHOST and not ifname.startswith(_BRIDGE_PORT):
            continue
        yield Frame(ifname, kind == _PACKET_OUTGOING, _stamp(ancillary), data)


def _stamp(ancillary: list[tuple[int, int, bytes]]) -> int:
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS):
            seconds, nanoseconds = struct.unpack("qq", data[:16])
            return int(seconds) * 1_000_000_000 + int(nanoseconds)
    return time.time_ns()


def lost(sock: socket.socket) -> int:
    """How many packets it had no room for since the last time of asking."""
    _, drops = struct.unpack("II", sock.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8))
    return int(drops)


def _send_canary() -> None:
    """In the namespace that the calling thread is in."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with sock, suppress(OSError):  # unreachable: then it is not seen, which is what counts
        sock.sendto(f"netlab-{CANARY:08x}".encode(), ("127.0.0.1", _DISCARD))


def _listed(places: set[str]) -> str:
    names = sorted(places)
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
