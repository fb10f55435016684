"""Pure: a container as crun wants it told, in the OCI runtime specification's own terms.

https://github.com/opencontainers/runtime-spec/blob/main/config-linux.md
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from netlab.kernel.userns import IdRange
from netlab.workload.bounds import OOM_SCORE_ADJ

Json = dict[str, Any]

_PROC_AND_SYS: tuple[Json, ...] = (
    {
        "destination": "/proc",
        "type": "proc",
        "source": "proc",
        "options": ["nosuid", "nodev", "noexec"],
    },
    {
        "destination": "/sys",
        "type": "sysfs",
        "source": "sysfs",
        "options": ["nosuid", "nodev", "noexec", "ro"],
    },
)
_OF_DEV: tuple[Json, ...] = (
    {
        "destination": "/dev/pts",
        "type": "devpts",
        "source": "devpts",
        "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "max=64"],
    },
    {
        "destination": "/dev/mqueue",
        "type": "mqueue",
        "source": "mqueue",
        "options": ["nosuid", "nodev", "noexec"],
    },
)

DEVICES = ("null", "zero", "full", "random", "urandom", "tty")

# What docker and containerd mask: each tells of the machine, or reaches it, whoever asks.
MASKED = (
    "/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys",
    "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi", "/proc/timer_list",
    "/proc/timer_stats", "/sys/devices/virtual/powercap", "/sys/firmware",
)  # fmt: skip
READ_ONLY = (
    "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
    # crun shows the machine's own: to be written to, but not to be changed.
    *(f"/dev/{name}" for name in DEVICES),
)  # fmt: skip


def process(
    argv: Sequence[str],
    env: Mapping[str, str],
    *,
    user: int = 0,
    group: int = 0,
    groups: Sequence[int] = (),
    capabilities: Sequence[str] = (),
    directory: str = "/",
    terminal: bool = False,
) -> Json:
    """What runs, and what it may: also for a command executed beside a container's own.

    `capabilities` (in small letters, without `cap_`) are the most it can ever have; one that is
    not root has none to begin with, as with other runtimes.
    """
    names = [f"CAP_{name.upper()}" for name in capabilities]
    own = names if user == 0 else []
    return {
        "terminal": terminal,
        "user": {"uid": user, "gid": group, "additionalGids": list(groups)},
        "args": list(argv),
        "env": [f"{name}={value}" for name, value in env.items()],
        "cwd": directory,
        "capabilities": {"bounding": names, "effective": own, "permitted": own},
        "noNewPrivileges": True,
        "oomScoreAdj": OOM_SCORE_ADJ,
    }


def limited(process: Json, limits: Mapping[str, int]) -> Json:
    """The process with these limits (setrlimit(2)), which are both soft and hard."""
    entries = [{"type": name, "soft": most, "hard": most} for name, most in limits.items()]
    return {**process, "rlimits": entries}


def without(process: Json, capabilities: Sequence[str]) -> Json:
    """The process without these capabilities."""
    sets = {
        name: [each for each in names if each not in capabilities]
        for name, names in process["capabilities"].items()
    }
    return {**process, "capabilities": sets}


def config(
    process: Json,
    root: Path,
    hostname: str,
    *,
    netns: str,
    userns: str | None,
    ids: IdRange | None,
    pids: str | None = None,
    covered: Sequence[str] = (),
) -> Json:
    """config.json of a container whose root stands at `root`.

    `netns`, `userns` and `pids` are paths of namespaces that are there (no `userns`: the machine's;
    no `pids`: processes of its own), and `ids` what the users' maps. `covered` are mount points of
    volumes: what would cover one is left out.
    """
    mounts = [each for each in _OF_DEV if not _covers(each["destination"], covered)]
    return {
        "ociVersion": "1.0.2",
        "process": process,
        "root": {"path": str(root)},
        "hostname": hostname,
        "mounts": [*_PROC_AND_SYS, *mounts],
        "linux": {
            "namespaces": list(_namespaces(netns, userns, pids)),
            **(_mappings(ids) if ids else {}),
            "maskedPaths": list(MASKED),
            "readonlyPaths": list(READ_ONLY),
            "seccomp": seccomp(),
        },
    }


def _covers(place: str, volumes: Sequence[str]) -> bool:
    return any(volume == place or volume.startswith(f"{place}/") for volume in volumes)


def _namespaces(netns: str, userns: str | None, pids: str | None) -> Iterator[Json]:
    paths = {"user": userns, "network": netns, "pid": pids}
    yield from ({"type": kind, "path": path} for kind, path in paths.items() if path)
    own = ("mount", "uts", "ipc", "cgroup") if pids else ("mount", "pid", "uts", "ipc", "cgroup")
    yield from ({"type": kind} for kind in own)


def _mappings(ids: IdRange) -> Json:
    line = {"containerID": 0, "hostID": ids.first, "size": ids.size}
    return {"uidMappings": [line], "gidMappings": [line]}


@cache
def seccomp() -> Json:
    """The filter of system calls, for this machine's own architecture and no older one."""
    text: Json = json.loads(Path(__file__).with_name("seccomp.json").read_text())
    return text
