"""Network sysctls of a namespace, written from a thread that entered it; gone with it.

/proc/sys/net shows each thread the values of the namespace it is in, so neither a mount nor a
process is needed.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from netlab.errors import EnvironmentLacks, KernelRefused
from netlab.kernel import files
from netlab.kernel import netns as namespaces

# What to load when a sysctl is not there.
_MODULES = {"net.bridge.": "br_netfilter", "net.netfilter.": "nf_conntrack"}


def set(netns: int | Path | None, values: Mapping[str, str], *, missing_ok: bool = False) -> None:
    """Set sysctls (`net.ipv4.ip_forward` → "1") in a namespace (None: the calling thread's).

    With `missing_ok`, one that this kernel was built, or booted, without is passed over.
    """
    with namespaces.entered(netns):
        for name, value in values.items():
            write(name, value, missing_ok=missing_ok)


def write(name: str, value: str, *, missing_ok: bool = False) -> None:
    """Set one sysctl in the namespace the calling thread is in."""
    try:
        files.tell(file_of(name), value)
    except FileNotFoundError as error:
        if not missing_ok:
            raise _missing(name) from error
    except OSError as error:
        raise _refused(name, value, error) from error


def get(netns: int | Path | None, name: str) -> str | None:
    """The value in a namespace, or None where the kernel has no such sysctl."""
    with namespaces.entered(netns):
        return read(name)


def read(name: str) -> str | None:
    """`get` in the namespace the calling thread is in."""
    try:
        return file_of(name).read_text().strip()
    except (FileNotFoundError, NotADirectoryError):
        return None


class Kept:
    """Some sysctls of a namespace (descriptor), kept open. Reading one takes a microsecond then;
    finding its file takes the longer the more namespaces there are, a tenth of a millisecond with
    500."""

    def __init__(self, netns: int, names: Iterable[str]) -> None:
        self._files: dict[str, int] = {}
        with namespaces.entered(netns):
            for name in names:
                with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                    self._files[name] = os.open(file_of(name), os.O_RDONLY | os.O_CLOEXEC)

    def read(self) -> dict[str, str]:
        """The values of those that the kernel has."""
        return {
            name: os.pread(file, 4096, 0).decode().strip() for name, file in self._files.items()
        }

    def close(self) -> None:
        """Keep them no longer."""
        for file in self._files.values():
            os.close(file)
        self._files = {}


@functools.lru_cache(maxsize=512)  # each pod has the same few
def file_of(name: str) -> Path:
    """`net.ipv4.ip_forward` → /proc/sys/net/ipv4/ip_forward; a `/` stands for a dot in a name."""
    return Path("/proc/sys") / name.translate(str.maketrans("./", "/."))


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
