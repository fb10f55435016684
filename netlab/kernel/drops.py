"""Why the kernel dropped a packet: its own reason, of that packet alone.

The event of a packet that is dropped (`skb:kfree_skb`) belongs to the whole machine and names no
packet. A program of ours is run at it, which looks into the packet for bytes that no other has, and
keeps the reason of those that have them. It belongs to the descriptors that hold it: the kernel
takes it away when they are closed, be it because their process was killed.

Numbers and layouts: linux/bpf.h. Where a packet's header is, the kernel's own types say.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import platform
import struct
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from msgspec import Struct

from netlab.errors import EnvironmentLacks
from netlab.kernel import files
from netlab.kernel.btf import Types

_TYPES = Path("/sys/kernel/btf/vmlinux")
_EVENT = b"kfree_skb\0"

_MAP_CREATE, _TAKE, _LOAD, _OPEN = 0, 21, 5, 17
_QUEUE, _RAW_TRACEPOINT = 22, 17
_KTIME, _PUSH, _READ = 5, 87, 113
_NUMBERS = {"x86_64": 321, "aarch64": 280, "riscv64": 280, "ppc64le": 361, "s390x": 351}
_ROOM = 1024  # drops that are kept until somebody asks
_KEPT = struct.Struct("=QII")  # when, the reason, which of the marks
_LONGEST = 8

_NOTHING_SAID = ("NOT_SPECIFIED", "CONSUMED", "NOT_DROPPED_YET")


class Mark(Struct, frozen=True):
    """At most eight bytes, at an offset of the transport header, that only one packet has."""

    offset: int
    value: bytes


class Drop(Struct, frozen=True):
    """A packet that had the mark of that number was dropped, for a reason as the kernel calls it:
    `NETFILTER_DROP`."""

    mark: int
    reason: str


class Layout(Struct, frozen=True):
    """Where a packet (`struct sk_buff`) has the address of its buffer, and in that its IP header;
    reasons by their numbers."""

    head: int
    network_header: int
    reasons: dict[int, str]


def layout(cache: Path | None = None) -> Layout:
    """This kernel's, which takes a twentieth of a second to find: it is kept in a directory
    `cache`. `EnvironmentLacks` where the kernel does not describe itself."""
    kept = cache / "packets.json" if cache is not None else None
    kernel = f"{platform.release()} {platform.version()}"
    if kept is not None:
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            known = json.loads(kept.read_text())
            if known["kernel"] == kernel:
                reasons = {int(number): name for number, name in known["reasons"].items()}
                return Layout(int(known["head"]), int(known["network_header"]), reasons)
    found = _read()
    if kept is not None:
        told = {"kernel": kernel, "head": found.head, "network_header": found.network_header}
        files.write(kept, json.dumps(told | {"reasons": found.reasons}))
    return found


def _read() -> Layout:
    try:
        types = Types(_TYPES.read_bytes())
        head = types.offset("sk_buff", "head")
        network = types.offset("sk_buff", "network_header")
        reasons = types.values("skb_drop_reason")
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise EnvironmentLacks(f"the kernel says no reasons of drops: {error}") from None
    return Layout(head, network, {n: name.removeprefix("SKB_DROP_REASON_").removeprefix("SKB_")
                                  for n, name in reasons.items()})  # fmt: skip


class Drops:
    """Told of the packets that have one of the marks; a context manager. `EnvironmentLacks` where
    this kernel, or whoever we are, has no such programs."""

    def __init__(self, marks: Sequence[Mark], cache: Path | None = None) -> None:
        self._marks = marks
        self._cache = cache
        self._stack = contextlib.ExitStack()
        self._queue = -1

    def __enter__(self) -> Drops:
        found = layout(self._cache)
        self._reasons = found.reasons
        with contextlib.ExitStack() as stack:
            # Type, size of a key and of a value, how many.
            self._queue = _descriptor(
                stack, _MAP_CREATE, struct.pack("=IIII", _QUEUE, 0, _KEPT.size, _ROOM)
            )
            code = _program(found, self._marks, self._queue)
            program = _loaded(stack, code)
            name = ctypes.create_string_buffer(_EVENT)
            _descriptor(stack, _OPEN, struct.pack("=QI", ctypes.addressof(name), program))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    def collect(self) -> list[Drop]:
        """Those told since the last time, in their order, that have a reason."""
        found = []
        value = ctypes.create_string_buffer(_KEPT.size)
        asked = struct.pack("=IIQQQ", self._queue, 0, 0, ctypes.addressof(value), 0)
        while True:
            try:
                _bpf(_TAKE, asked)
            except OSError:  # ENOENT: that was all
                break
            found.append(_KEPT.unpack(value.raw))
        names = ((mark, self._reasons.get(reason, "")) for _, reason, mark in sorted(found))
        return [Drop(mark, name) for mark, name in names if name and name not in _NOTHING_SAID]


def _descriptor(stack: contextlib.ExitStack, command: int, attributes: bytes) -> int:
    try:
        found = _bpf(command, attributes)
    except OSError as error:
        raise EnvironmentLacks(f"the kernel runs no program of ours at drops: {error}") from None
    stack.callback(os.close, found)
    return found


def _loaded(stack: contextlib.ExitStack, code: bytes) -> int:
    program, licence = ctypes.create_string_buffer(code), ctypes.create_string_buffer(b"GPL")
    addresses = (ctypes.addressof(program), ctypes.addressof(licence))
    # Type, instructions, where they and the licence are; no log.
    attributes = struct.pack("=IIQQIIQII", _RAW_TRACEPOINT, len(code) // 8, *addresses, *[0] * 5)
    return _descriptor(stack, _LOAD, attributes)


def _bpf(command: int, attributes: bytes) -> int:
    number = _NUMBERS.get(platform.machine())
    if number is None:
        raise OSError(0, f"no number of bpf(2) is known for {platform.machine()}")
    libc = ctypes.CDLL(None, use_errno=True)
    whole = ctypes.create_string_buffer(attributes, max(len(attributes), 128))
    found = int(libc.syscall(number, command, whole, len(whole)))
    if found < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return found


# -- the program ---------------------------------------------------------------------------

_R0, _R1, _R2, _R3, _PACKET, _REASON, _AT, _STACK = 0, 1, 2, 3, 6, 7, 8, 10
_CALL, _EXIT, _MOVE, _SET, _ADD, _ADD_IT = 0x85, 0x95, 0xBF, 0xB7, 0x07, 0x0F
_AND, _SHIFT, _WIDE, _UNEQUAL, _EQUAL = 0x57, 0x67, 0x18, 0x5D, 0x15
_LOAD_8, _LOAD_2, _LOAD_1, _STORE_8, _STORE_4, _STORE_IMMEDIATE = 0x79, 0x69, 0x71, 0x7B, 0x63, 0x62


def _line(code: int, to: int = 0, source: int = 0, offset: int = 0, value: int = 0) -> bytes:
    return struct.pack("=BBhi", code, to | source << 4, offset, value)


def _wide(register: int, value: int, kind: int = 0) -> bytes:
    low, high = value & 0xFFFFFFFF, value >> 32
    return struct.pack("=BBhI", _WIDE, register | kind << 4, 0, low) + struct.pack(
        "=BBhI", 0, 0, 0, high
    )


def _read_to(place: int, size: int) -> bytes:
    """Read so much from the address in R3 to that place of the stack."""
    return b"".join(
        (
            _line(_MOVE, _R1, _STACK),
            _line(_ADD, _R1, value=place),
            _line(_SET, _R2, value=size),
            _line(_CALL, value=_READ),
        )
    )


def _program(found: Layout, marks: Sequence[Mark], queue: int) -> bytes:
    """Of IPv4 and IPv6 alike: where the transport header is, the first byte says."""
    head, number, first, read, kept = -8, -16, -24, -32, -48
    code = [
        _line(_LOAD_8, _PACKET, _R1, 0),
        _line(_LOAD_8, _REASON, _R1, 16),
        _line(_MOVE, _R3, _PACKET), _line(_ADD, _R3, value=found.head), _read_to(head, 8),
        _line(_MOVE, _R3, _PACKET), _line(_ADD, _R3, value=found.network_header),
        _read_to(number, 2),
        _line(_LOAD_8, _AT, _STACK, head),
        _line(_LOAD_2, _R1, _STACK, number),
        _line(_ADD_IT, _AT, _R1),
        _line(_MOVE, _R3, _AT), _read_to(first, 1),
        _line(_LOAD_1, _R1, _STACK, first),
        _line(_MOVE, _R2, _R1),
        _line(_AND, _R2, value=0xF0),
        _line(_AND, _R1, value=0x0F),
        _line(_SHIFT, _R1, value=2),
        _line(_EQUAL, _R2, offset=1, value=0x40),
        _line(_SET, _R1, value=40),
        _line(_ADD_IT, _AT, _R1),
    ]  # fmt: skip
    for position, mark in enumerate(marks):
        keeping = _keep(position, kept, queue)
        code += [
            _line(_SET, _R1, value=0), _line(_STORE_8, _STACK, _R1, read),
            _line(_MOVE, _R3, _AT), _line(_ADD, _R3, value=mark.offset),
            _read_to(read, len(mark.value)),
            _line(_LOAD_8, _R1, _STACK, read),
            _wide(_R2, int.from_bytes(mark.value.ljust(_LONGEST, b"\0"), "little")),
            _line(_UNEQUAL, _R1, _R2, len(keeping) // 8),
            keeping,
        ]  # fmt: skip
    return b"".join([*code, _line(_SET, _R0), _line(_EXIT)])


def _keep(mark: int, place: int, queue: int) -> bytes:
    """Put what is to be known of it into the queue, and end."""
    return b"".join(
        (
            _line(_CALL, value=_KTIME),
            _line(_STORE_8, _STACK, _R0, place),
            _line(_STORE_4, _STACK, _REASON, place + 8),
            _line(_STORE_IMMEDIATE, _STACK, offset=place + 12, value=mark),
            _wide(_R1, queue, kind=1),
            _line(_MOVE, _R2, _STACK),
            _line(_ADD, _R2, value=place),
            _line(_SET, _R3),
            _line(_CALL, value=_PUSH),
            _line(_SET, _R0),
            _line(_EXIT),
        )
    )
