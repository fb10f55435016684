"""Network sysctls of a namespace, written from a thread that entered it; gone with it.

/proc/sys/net shows each thread the values of the namespace it is in, so no process is needed.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from netlab.errors import EnvironmentLacks, KernelRefused, NetlabError
from netlab.kernel import files, mounts
from netlab.kernel import netns as namespaces

_SHARED = "/proc/sys"
_PLACE = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
_LONGEST = 4096

# What to load when a sysctl is not there.
_MODULES = {"net.bridge.": "br_netfilter", "net.netfilter.": "nf_conntrack"}


class SysctlTree:
    """/proc/sys by way of a procfs of our own, where this machine lets us have one; to be closed.

    In the procfs that all share, the directories of all namespaces stand in one row: the first
    look into those of the thousandth takes a millisecond, here twenty microseconds. It is for some
    hundred namespaces, and lives as long as one of its files is open.
    """

    def __init__(self) -> None:
        try:
            with mounts.fresh("proc") as root:
                self._root = os.open("sys", _PLACE, dir_fd=root)
        except (NetlabError, OSError):  # Linux before 5.2, or root in a user namespace alone
            self._root = os.open(_SHARED, _PLACE)

    def close(self) -> None:
        """Let go of it; files that were opened stay open."""
        os.close(self._root)

    def open(self, name: str) -> int:
        """A descriptor of the sysctl's file, of the namespace that the calling thread is in."""
        return os.open(_within(name), os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._root)

    def write(self, name: str, value: str, *, missing_ok: bool = False) -> None:
        """Set one sysctl in the namespace that the calling thread is in (`set`)."""
        try:
            files.tell(_within(name), value, below=self._root)
        except FileNotFoundError as error:
            if not missing_ok:
                raise _missing(name) from error
        except OSError as error:
            raise _refused(name, value, error) from error

    def read(self, name: str) -> str | None:
        """The value in that namespace, or None where the kernel has no such sysctl."""
        try:
            with files.closing(self.open(name)) as file:
                return os.read(file, _LONGEST).decode().strip()
        except (FileNotFoundError, NotADirectoryError):
            return None


@contextlib.contextmanager
def tree() -> Iterator[SysctlTree]:
    """A `SysctlTree`, closed when the body ends."""
    with contextlib.closing(SysctlTree()) as made:
        yield made


def set(netns: int | Path | None, values: Mapping[str, str], *, missing_ok: bool = False) -> None:
    """Set sysctls (`net.ipv4.ip_forward` → "1") in a namespace (None: the calling thread's).

    With `missing_ok`, one that this kernel was built, or booted, without is passed over.
    """
    with namespaces.entered(netns), tree() as made:
        for name, value in values.items():
            made.write(name, value, missing_ok=missing_ok)


def get(netns: int | Path | None, name: str) -> str | None:
    """The value in a namespace, or None where the kernel has no such sysctl."""
    with namespaces.entered(netns), tree() as made:
        return made.read(name)


class Kept:
    """Some sysctls of a namespace (descriptor), kept open: to read one takes a microsecond then.

    `tree` may be closed afterwards.
    """

    def __init__(self, netns: int, names: Iterable[str], tree: SysctlTree) -> None:
        self._files: dict[str, int] = {}
        try:
            with namespaces.entered(netns):
                for name in names:
                    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                        self._files[name] = tree.open(name)
        except BaseException:
            self.close()
            raise

    def read(self) -> dict[str, str]:
        """The values of those that the kernel has."""
        return {
            name: os.pread(file, _LONGEST, 0).decode().strip() for name, file in self._files.items()
        }

    def close(self) -> None:
        """Keep them no longer."""
        for file in self._files.values():
            os.close(file)
        self._files = {}


def file_of(name: str) -> Path:
    """`net.ipv4.ip_forward` → /proc/sys/net/ipv4/ip_forward; a `/` stands for a dot in a name."""
    return Path(_SHARED, _within(name))


@functools.lru_cache(maxsize=512)  # each pod has the same few
def _within(name: str) -> str:
    return name.translate(str.maketrans("./", "/."))


def _missing(name: str) -> EnvironmentLacks:
    module = next((m for prefix, m in _MODULES.items() if name.startswith(prefix)), None)
    return EnvironmentLacks(
        f"the kernel has no {name}", hint=f"modprobe {module}" if module else None
    )


def _refused(name: str, value: str, error: OSError) -> KernelRefused | EnvironmentLacks:
    message = f"cannot set {name}={value}: {error.strerror}"
    if error.errno in (errno.EPERM, errno.EACCES, errno.EROFS):
        return EnvironmentLacks(message, hint="run netlab as root, with /proc/sys writable")
    return KernelRefused(message, error.errno or 0)
