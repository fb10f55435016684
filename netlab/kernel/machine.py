"""What the machine is: the facts that every node of a lab reports as its own."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from msgspec import Struct

# uname's word for a processor → Go's, which Kubernetes uses.
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}


class MachineFacts(Struct, frozen=True):
    """`memory` and `storage`, the root file system's, are in KiB; `boot_id` is another after each
    start of the machine."""

    kernel: str
    os_image: str
    architecture: str
    boot_id: str
    cpus: int
    memory: int
    storage: int


def facts() -> MachineFacts:
    """Ask the running system."""
    word = platform.machine()
    disk = os.statvfs("/")
    return MachineFacts(
        kernel=platform.release(),
        os_image=platform.freedesktop_os_release().get("PRETTY_NAME", "Linux"),
        architecture=_ARCHITECTURES.get(word, word),
        boot_id=Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
        cpus=os.cpu_count() or 1,
        memory=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 1024,
        storage=disk.f_blocks * disk.f_frsize // 1024,
    )


def resolv_conf() -> str:
    """The machine's /etc/resolv.conf; "" if it has none."""
    try:
        return Path("/etc/resolv.conf").read_text()
    except OSError:
        return ""
