"""What a container keeps from the labs in it: modules, an init, overlays. `netlab doctor` says it.

Most privileged CI runs in one. None of this keeps a lab from standing up; what it costs is said.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

from netlab.errors import NetlabError
from netlab.kernel.finding import Finding
from netlab.kernel.run import run

_ON_THE_MACHINE = "on the machine itself, not in this container: "

# In a mount namespace of its own: an overlay over /usr, as pods get for places it does not have.
_OVERLAY = """
mount -t tmpfs none /tmp
mkdir /tmp/more
mount -t overlay -o lowerdir=/tmp/more:/usr none /usr
"""


def modules_can_be_loaded() -> bool:
    """Whether modprobe finds this kernel's modules."""
    return Path("/lib/modules", os.uname().release, "modules.dep").exists()


def modprobe(*names: str) -> str:
    """The command that loads these modules, and where it is to be typed."""
    command = f"modprobe {'-a ' * (len(names) > 1)}{' '.join(names)}"
    return command if modules_can_be_loaded() else _ON_THE_MACHINE + command


def modules() -> Finding:
    """Whether what the kernel has not loaded yet could be loaded from here."""
    name = "kernel modules"
    if modules_can_be_loaded():
        return Finding(name, True, "can be loaded", required=False)
    detail = f"none can be loaded from here: there is no /lib/modules/{os.uname().release}; "
    return Finding(name, False, detail + "what the kernel has now is all", required=False)


def init(status: Path = Path("/proc/1/status")) -> Finding:
    """Whether somebody collects processes whose parents have ended.

    Who does catches, awaits or ignores the signal that a child has ended; `sleep`, say, does not.
    """
    fields = dict(
        line.split(":\t", 1)
        for line in status.read_text(errors="replace").split("\n")
        if ":\t" in line
    )
    who = f"process 1, {fields['Name']},"
    if any(_has_sigchld(fields[name]) for name in ("SigBlk", "SigIgn", "SigCgt")):
        detail = f"{who} collects what is left to it"
        return Finding("init", True, detail, required=False)
    detail = f"{who} awaits no child's end: what a lab leaves to it may stay listed as a zombie"
    return Finding("init", False, detail, "podman run --init, docker run --init", required=False)


def _has_sigchld(mask: str) -> bool:
    return bool(int(mask, 16) >> (signal.SIGCHLD - 1) & 1)


def overlays() -> Finding:
    """Whether another overlay can lie over the machine's own files: the kernel stacks two."""
    name = "overlays"
    try:
        run(["unshare", "--mount", "--propagation", "private", "sh", "-ec", _OVERLAY])
    except NetlabError as error:
        detail = f"no pod with a volume at a new place in /usr or /etc starts: {error.message}"
        fix = "run in a container whose root is not an overlay over another overlay"
        return Finding(name, False, detail, fix, required=False)
    return Finding(name, True, "a volume may be at any place in a pod", required=False)
