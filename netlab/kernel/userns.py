"""User namespaces for pods: their root is root over what is theirs, and nobody on the machine.

All pods of a lab have the same range of the machine's ids, so that what one writes into a shared
volume another can read; each has a namespace of its own, so that no capability reaches further
than its pod. A pod's network namespace is owned by it.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import functools
import os
import signal
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from netlab.errors import NetlabError
from netlab.kernel import files, syscalls

CLONE_NEWUSER = 0x10000000
_CLONE_VM, _CLONE_FILES = 0x100, 0x400
_NS_GET_USERNS = 0xB701
_WALL = 0x40000000
_HOLD_SECONDS = 10
_PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP = 28, 4
_SETRESUID = {"x86_64": 117, "aarch64": 147}

# Above what distributions give to people, containers and systemd-nspawn, and below 2^31, where
# net.ipv4.ping_group_range ends. Two labs of the same ids (1 in 1,024) still share no namespace.
_FIRST, _SLOTS, _SLOT = 0x7000_0000, 1024, 0x4_0000
PODS = 0x1_0000
"""How many ids a pod has: 0 to 65535."""


RESPONDER, CLUSTER_DNS, INTERNET_DNS, CLUSTER_NAMES, NODE_CACHE, INGRESS = 0, 1, 2, 3, 5, 8
"""The numbers of the lab's own daemons: each is somebody else."""

NOBODY = 65534
"""Who daemons are where labs have no ids of their own."""


class IdRange(Struct, frozen=True):
    """The machine's ids of one lab. Users and groups have the same numbers.

    `further` are ids that a pod has beside the first 65536, as some clusters number their users.
    """

    first: int
    size: int = PODS
    further: tuple[int, ...] = ()

    @property
    def text(self) -> str:
        """The lines for uid_map and gid_map."""
        chosen = {self.outside(inside): inside for inside in sorted(self.further, reverse=True)}
        lines = (f"{inside} {outside} 1\n" for outside, inside in chosen.items())
        return f"0 {self.first} {self.size}\n" + "".join(lines)

    def outside(self, inside: int) -> int:
        """The machine's id for one inside a pod."""
        return self.first + (inside if inside < self.size else 2 * PODS + inside % PODS)

    def beyond(self, ids: Iterable[int]) -> IdRange:
        """The same with those of `ids` that need to be mapped by themselves."""
        return replace(self, further=tuple({each for each in ids if each >= self.size}))

    def daemon(self, number: int) -> int:
        """An id for one of the lab's own daemons, which no pod has."""
        return self.first + PODS + number

    def somebody(self) -> int:
        """An id as whose a pod counts towards the machine's limits, most likely no other's."""
        return self.first + 3 * PODS + int.from_bytes(os.urandom(2), "big")


def id_range(owner: str) -> IdRange | None:
    """The ids of the lab with that uid; None where this machine gives no user namespaces."""
    if not available():
        return None
    return IdRange(_FIRST + uuid.UUID(owner).int % _SLOTS * _SLOT)


def daemon_id(owner: str, number: int) -> int:
    """Who one of a lab's own daemons is.

    Where labs have no ids of their own it is nobody; where there is nobody either (in a user
    namespace of one user) it is who we are.
    """
    ids = id_range(owner)
    if ids is not None:
        return ids.daemon(number)
    return NOBODY if is_known(NOBODY) else os.geteuid()


def is_known(uid: int) -> bool:
    """Whether the user namespace that we are in has that user."""
    lines = Path("/proc/self/uid_map").read_text().splitlines()
    ranges = [(int(first), int(size)) for first, _, size in map(str.split, lines)]
    return any(first <= uid < first + size for first, size in ranges)


@functools.cache
def available() -> bool:
    """Whether user namespaces with ids of their own can be made here; tried once."""
    try:
        with holder(IdRange(_FIRST)) as pid:
            return Path(f"/proc/{pid}/uid_map").read_text() != ""
    except (NetlabError, OSError):
        return False


def is_of_a_lab(uid: int) -> bool:
    """True for an id that is given to labs, whichever it is of."""
    return _FIRST <= uid < _FIRST + _SLOTS * _SLOT


def of_namespace(descriptor: int) -> int:
    """A descriptor of the user namespace that owns a namespace; the caller closes it."""
    return fcntl.ioctl(descriptor, _NS_GET_USERNS)


def is_ours(descriptor: int) -> bool:
    """True when a user namespace's descriptor is that of this process."""
    return os.fstat(descriptor).st_ino == Path("/proc/self/ns/user").stat().st_ino


_libc = ctypes.CDLL(None, use_errno=True)
_libc.clone.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)
# What takes a microsecond does not give up the interpreter: to get it back may take milliseconds.
_quick = ctypes.PyDLL(None, use_errno=True)

# Enough for sleep(3).
_STACK = 16 * 1024
# The dead that may wait to be buried together.
_TOGETHER = 32


class Holders:
    """Processes in new user namespaces, one after the other; at the end none is left.

    A thread cannot move into a new user namespace and come back, so a child does: it shares our
    memory (nothing is copied: 0.1 ms) and runs nothing but sleep(3), never a line of Python. Should
    we be killed meanwhile, it is found by our mark, which it shares too, and ends by itself soon.

    For one thread at a time.
    """

    def __init__(self) -> None:
        self._ended: dict[int, ctypes.Array[ctypes.c_char]] = {}

    @contextlib.contextmanager
    def one(self, ids: IdRange, kinds: int = 0) -> Iterator[int]:
        """The id of a process in a new user namespace, and in new ones of `kinds`.

        It is killed afterwards. To see it die would take as long as all else here (and far longer
        on a busy machine), so that is put off.
        """
        stack = ctypes.create_string_buffer(_STACK)
        with _counted_as(ids.somebody()):
            pid = _clone(CLONE_NEWUSER | kinds, stack)
        try:
            for name in ("uid_map", "gid_map"):
                files.tell(f"/proc/{pid}/{name}", ids.text)
            yield pid
        finally:
            os.kill(pid, signal.SIGKILL)
            self._ended[pid] = stack
            if len(self._ended) == _TOGETHER:
                self.close()

    def close(self) -> None:
        """Wait for those that were ended; only then nobody needs their stacks."""
        while self._ended:
            pid, stack = self._ended.popitem()
            os.waitpid(pid, _WALL)
            del stack


@contextlib.contextmanager
def holder(ids: IdRange, kinds: int = 0) -> Iterator[int]:
    """One of `Holders` alone, gone afterwards."""
    with contextlib.closing(Holders()) as holders, holders.one(ids, kinds) as pid:
        yield pid


@contextlib.contextmanager
def _counted_as(uid: int) -> Iterator[None]:
    """Let this thread be somebody else while it makes a user namespace, with all its rights.

    What is limited for each user (inotify instances, timers, message queues …) counts, for all in
    the namespace, as its maker's too: were that root, one pod could leave root none.
    """
    syscalls.control_process(_PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP)
    try:
        _become(uid)
        try:
            yield
        finally:
            _become(os.getuid())
    finally:
        syscalls.control_process(_PR_SET_SECUREBITS, 0)


def _become(uid: int) -> None:
    """Change the effective user of this thread alone: glibc's function would change all."""
    number = _SETRESUID.get(os.uname().machine)
    if number is None:
        return
    if _quick.syscall(number, -1, ctypes.c_uint(uid), -1) != 0:
        raise syscalls.refused(f"be user {uid}", ctypes.get_errno())


def _clone(kinds: int, stack: ctypes.Array[ctypes.c_char]) -> int:
    top = (ctypes.addressof(stack) + len(stack)) & ~15
    sleep = ctypes.cast(_libc.sleep, ctypes.c_void_p)
    pid: int = _libc.clone(sleep, top, _CLONE_VM | _CLONE_FILES | kinds, _HOLD_SECONDS)
    if pid < 0:
        raise syscalls.refused("make a user namespace", ctypes.get_errno())
    return pid
