"""The system calls Python 3.11 does not have: setns, unshare, mount, umount2, prctl.

Each raises `KernelRefused` with a sentence that names what was asked for.
"""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path

from netlab.errors import EnvironmentLacks, KernelRefused

CLONE_NEWNET = 0x40000000

MS_BIND = 0x1000
MS_MOVE = 0x2000
MS_REC = 0x4000
MS_PRIVATE = 0x40000
MS_NOSUID = 0x2
MS_NODEV = 0x4
MNT_DETACH = 0x2

M_TRIM_THRESHOLD = -1

_libc = ctypes.CDLL(None, use_errno=True)
# What takes a microsecond does not give up the interpreter: to get it back may take milliseconds.
_quick = ctypes.PyDLL(None, use_errno=True)
_quick.setns.argtypes = (ctypes.c_int, ctypes.c_int)
_libc.unshare.argtypes = (ctypes.c_int,)
_libc.mount.argtypes = (
    ctypes.c_char_p,
    ctypes.c_char_p,
    ctypes.c_char_p,
    ctypes.c_ulong,
    ctypes.c_char_p,
)
_libc.umount2.argtypes = (ctypes.c_char_p, ctypes.c_int)


def refused(what: str, code: int) -> KernelRefused | EnvironmentLacks:
    """The error for a system call that failed with errno `code` while trying to `what`."""
    message = f"cannot {what}: {os.strerror(code)}"
    if code in (errno.EPERM, errno.EACCES):
        return EnvironmentLacks(message, hint="run netlab with sudo")
    return KernelRefused(message, code)


def give_back_freed_memory(above: int) -> None:
    """From now on return memory to the kernel once so many bytes lie free at the heap's end.

    glibc's own limit grows with every large block that is freed. Other C libraries have no such
    setting, and no such habit.
    """
    if hasattr(_libc, "mallopt"):
        _libc.mallopt(M_TRIM_THRESHOLD, above)


def setns(descriptor: int, kind: int = CLONE_NEWNET) -> None:
    """Move the calling thread, and no other, into a namespace."""
    if _quick.setns(descriptor, kind) != 0:
        raise refused("enter the namespace", ctypes.get_errno())


def unshare(flags: int) -> None:
    """Give the calling thread fresh namespaces of the kinds in `flags`."""
    if _libc.unshare(flags) != 0:
        raise refused("make a namespace", ctypes.get_errno())


def mount(source: str, target: Path, kind: str = "", flags: int = 0, options: str = "") -> None:
    """mount(2); empty strings stand for NULL."""
    outcome = _libc.mount(
        source.encode() or None,
        os.fsencode(target),
        kind.encode() or None,
        flags,
        options.encode() or None,
    )
    if outcome != 0:
        raise refused(f"mount {source or 'nothing'} on {target}", ctypes.get_errno())


def unmount(target: Path, flags: int = MNT_DETACH) -> None:
    """umount2(2), by default lazily and with everything mounted beneath."""
    if _libc.umount2(os.fsencode(target), flags) != 0:
        raise refused(f"unmount {target}", ctypes.get_errno())


def control_process(option: int, value: int, further: int = 0) -> None:
    """prctl(2) with one argument, or two."""
    if _quick.prctl(option, ctypes.c_ulong(value), ctypes.c_ulong(further), 0, 0) != 0:
        raise refused("change what this process may do", ctypes.get_errno())
