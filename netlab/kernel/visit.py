"""To become a process of a node: in its network, under its name, with its files for names."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping
from pathlib import Path

from netlab.kernel import netns, syscalls
from netlab.kernel.mounts import CLONE_NEWNS

_CLONE_NEWUTS = 0x04000000
_MS_SLAVE = 0x80000


def enter(namespace: Path, hostname: str, files: Mapping[Path, Path]) -> None:
    """Move this process, which must have one thread, into a node for good.

    `files` says what each file of the machine looks like there: another one. The machine sees
    nothing of it; what it unmounts is unmounted here, too.
    """
    with netns.opened(namespace) as descriptor:
        syscalls.setns(descriptor)
    syscalls.unshare(CLONE_NEWNS | _CLONE_NEWUTS)
    syscalls.mount("", Path("/"), flags=syscalls.MS_REC | _MS_SLAVE)
    socket.sethostname(hostname)
    for place, content in files.items():
        with contextlib.suppress(FileNotFoundError):  # a machine without such a file
            target = place.resolve(strict=True)
            syscalls.mount(os.fspath(content), target, flags=syscalls.MS_BIND)
