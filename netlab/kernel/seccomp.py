"""System calls that a process which only answers on sockets it has been given never makes.

A filter of classic BPF, as seccomp(2) has it, which looks at nothing but the call's number: the
kernel then decides most calls without running it. A machine whose numbers are not known here, or
whose kernel has no filters, goes without one; it is a second wall, not the first.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import struct

from netlab.errors import KernelRefused
from netlab.kernel import syscalls

_PR_SET_SECCOMP, _MODE_FILTER = 22, 2
_LOAD, _JUMP_IF_EQUAL, _JUMP_IF_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_NUMBER, _ARCHITECTURE, _FIRST = 0, 4, 16  # where in struct seccomp_data
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | errno.EPERM
_X32 = 0x40000000  # x86-64 has its calls a second time from here

# (on x86-64, elsewhere); calls since Linux 5.1 have the same number everywhere.
_CALLS = {
    "socket": (41, 198), "connect": (42, 203), "bind": (49, 200),
    "clone": (56, 220), "fork": (57, None), "vfork": (58, None), "clone3": (435, 435),
    "execve": (59, 221), "execveat": (322, 281), "personality": (135, 92),
    "unshare": (272, 97), "setns": (308, 268), "chroot": (161, 51), "pivot_root": (155, 41),
    "mount": (165, 40), "umount2": (166, 39), "open_tree": (428, 428), "move_mount": (429, 429),
    "fsopen": (430, 430), "fspick": (433, 433), "mount_setattr": (442, 442),
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "pidfd_open": (434, 434), "pidfd_getfd": (438, 438), "open_by_handle_at": (304, 265),
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425), "add_key": (248, 217), "request_key": (249, 218),
    "keyctl": (250, 219), "kexec_load": (246, 104), "init_module": (175, 105),
    "finit_module": (313, 273), "shmget": (29, 194), "semget": (64, 190), "msgget": (68, 186),
    "mq_open": (240, 180),
}  # fmt: skip
_ASKING = ("socket", "connect")
_AF_INET, _AF_INET6 = 2, 10
_AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7, "riscv64": 0xC00000F3}


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def answer_only(*, asks: bool = False) -> None:
    """Refuse (EPERM), from now on, whatever is not needed to answer on sockets that are open.

    Who `asks` may make IP sockets of its own, and connect them.
    """
    machine = os.uname().machine
    if machine in _AUDIT:
        with contextlib.suppress(KernelRefused):  # EINVAL: this kernel has no filters
            _install(_program(machine, asks=asks))


def _program(machine: str, *, asks: bool) -> bytes:
    numbers = {name: both[machine != "x86_64"] for name, both in _CALLS.items()}
    calls = {name: number for name, number in numbers.items() if number is not None}
    refused = [number for name, number in calls.items() if not (asks and name in _ASKING)]
    rest = _families(calls["socket"]) if asks else []
    checks = len(refused) + len(rest)
    steps = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_JUMP_IF_EQUAL, 0, checks + 3, _AUDIT[machine]),
        (_LOAD, 0, 0, _NUMBER),
        (_JUMP_IF_AT_LEAST, checks + 1, 0, _X32),
    ]
    for place, number in enumerate(refused):
        steps.append((_JUMP_IF_EQUAL, checks - place, 0, number))
    steps += [*rest, (_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _REFUSE)]
    return b"".join(struct.pack("=HBBI", *step) for step in steps)


def _families(socket: int) -> list[tuple[int, int, int, int]]:
    """What lets sockets of the internet's families alone be made; then comes yes, then no."""
    return [
        (_JUMP_IF_EQUAL, 0, 3, socket),
        (_LOAD, 0, 0, _FIRST),  # the lower half: all of these machines have it there
        (_JUMP_IF_EQUAL, 1, 0, _AF_INET),
        (_JUMP_IF_EQUAL, 0, 1, _AF_INET6),
    ]


def _install(program: bytes) -> None:
    described = _Program(len(program) // 8, program)
    syscalls.control_process(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.addressof(described))
