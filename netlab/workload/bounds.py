"""What a pod may use of the machine: memory, processes, and room in what it may write to. Pure.

A pod's control group holds the first two (`kernel.cgroups`); each thing that it may write to is a
tmpfs of its own, which has a size. Pages of a tmpfs count as memory of the pod that wrote them, so
without a word of the manifest's a tmpfs gets at most half of it: a full disk is then an error that
the pod sees (ENOSPC), and not its end. What outlives pods (hostPath, claims) shares a tmpfs of the
lab.

Where a controller is missing, limits of single processes stand in for it. They are no bound of the
pod: RLIMIT_DATA counts for each process (RLIMIT_AS would hit what only reserves, as Go does), and
RLIMIT_NPROC for each user of the pod's own user namespace.

Source: the limits of a pod as in k8s.io/component-helpers/resource (PodLimits); setrlimit(2);
Documentation/filesystems/tmpfs.rst.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from msgspec import Struct

MEMORY = 1 << 30
"""Bytes for a pod whose containers do not all have a limit."""

LEAST_MEMORY = 16 << 20
"""Bytes that a runtime needs to begin a container, whatever its limit."""

PIDS = 512
"""Processes and threads of a pod."""

DISK = 256 << 20
"""Bytes in a volume or a container's writable place without a limit."""

OOM_SCORE_ADJ = 1000
"""When the machine itself has no memory left, the kernel ends pods before anything else."""

_LIMITS = {
    # 1 keeps a core from being written and from being piped to a program of the machine's.
    "RLIMIT_CORE": 1,
    # What the whole machine has only so much of, and no control group counts.
    "RLIMIT_NOFILE": 4096,
    "RLIMIT_SIGPENDING": 4096,
    "RLIMIT_MSGQUEUE": 819200,
}

_MOST = 1 << 50
_BYTES_PER_INODE = 4096
_BEYOND = 16 << 20


class Tmpfs(Struct, frozen=True):
    """How much one tmpfs holds: bytes, and files with directories."""

    size: int

    @property
    def inodes(self) -> int:
        """As many as there would be files of a page each; each takes about 1 KiB of memory."""
        return max(self.size // _BYTES_PER_INODE, 128)

    @property
    def options(self) -> str:
        """For mount(2)."""
        return f"size={self.size},nr_inodes={self.inodes}"


class Bounds(Struct, frozen=True):
    """What one pod may use: bytes of memory, swap included, and processes, threads counted.

    `containers` says for each container, by name, how large each place is that it may write to
    (its root, /tmp, /run); `volumes` the same for each emptyDir, by the volume's name.
    """

    memory: int
    pids: int
    containers: Mapping[str, Tmpfs]
    volumes: Mapping[str, Tmpfs]

    @property
    def disk(self) -> int:
        """Bytes in all, if a container has one place to write to."""
        return sum(each.size for each in (*self.containers.values(), *self.volumes.values()))

    @property
    def inodes(self) -> int:
        """Files in all, likewise."""
        return sum(each.inodes for each in (*self.containers.values(), *self.volumes.values()))

    def to_json(self, container: str) -> dict[str, Any]:
        """For the runtime: what concerns the pod and one of its containers."""
        disk = self.containers.get(container) or Tmpfs(min(DISK, self.memory // 2))
        return {"memory": self.memory, "pids": self.pids, "disk": disk.options}


def rlimits(memory: int, pids: int, held: Collection[str]) -> dict[str, int]:
    """Soft and hard limits for each process, by the names of the OCI runtime specification.

    `memory` and `pids` are the pod's, `held` the controllers that bound it already by these.
    """
    limits = dict(_LIMITS)
    if "memory" not in held:
        limits["RLIMIT_DATA"] = memory
    if "pids" not in held:
        limits["RLIMIT_NPROC"] = pids
    return limits


def bounds(spec: Mapping[str, Any]) -> Bounds:
    """The bounds of a pod with this spec; any spec has some, also one that says nonsense."""
    memory = _memory(spec)
    usual = min(DISK, memory // 2)
    return Bounds(
        memory=memory,
        pids=PIDS,
        containers={
            each["name"]: _disk(_amount(each, "limits", "ephemeral-storage"), usual, memory)
            for field in ("initContainers", "containers", "ephemeralContainers")
            for each in spec.get(field) or ()
        },
        volumes={
            volume["name"]: _volume(volume["emptyDir"], usual, memory)
            for volume in spec.get("volumes") or ()
            if volume.get("emptyDir") is not None
        },
    )


def _memory(spec: Mapping[str, Any]) -> int:
    limits, requests = (_effective(spec, field, "memory") for field in ("limits", "requests"))
    if limits.complete:
        return max(limits.amount, LEAST_MEMORY)
    return max(limits.amount, requests.amount, MEMORY)


def _disk(limit: int, usual: int, memory: int) -> Tmpfs:
    """What is limited holds more than that: who exceeds it is evicted, as from a disk."""
    return Tmpfs(min(limit + max(limit, _BEYOND), memory) if limit else usual)


def _volume(empty: Mapping[str, Any], usual: int, memory: int) -> Tmpfs:
    """An empty volume; one in memory has its limit as its size."""
    limit = bytes_of(empty.get("sizeLimit"))
    if limit and empty.get("medium"):
        return Tmpfs(max(min(limit, memory), _BYTES_PER_INODE))
    return _disk(limit, usual, memory)


class _Effective(Struct, frozen=True):
    amount: int
    complete: bool


def _effective(spec: Mapping[str, Any], field: str, resource: str) -> _Effective:
    """What all containers have together, and whether each of them says so.

    Init containers run one by one before the others, but for those that stay beside them.
    """
    whole = _amount(spec, field, resource)
    if whole:
        return _Effective(whole, True)
    inits = spec.get("initContainers") or ()
    beside = [each for each in inits if each.get("restartPolicy") == "Always"]
    before = [each for each in inits if each not in beside]
    main = [*(spec.get("containers") or ()), *beside]
    staying = sum(_amount(each, field, resource) for each in beside)
    amounts = [_amount(each, field, resource) for each in (*main, *before)]
    most = max(sum(amounts[: len(main)]), *(staying + amount for amount in amounts[len(main) :]), 0)
    return _Effective(min(most, _MOST), bool(amounts) and all(amounts))


def _amount(holder: Mapping[str, Any], field: str, resource: str) -> int:
    return bytes_of(((holder.get("resources") or {}).get(field) or {}).get(resource))


def bytes_of(asked: object) -> int:
    """A quantity as a number of bytes; 0 for none, as for one of zero or less."""
    if asked is None:
        return 0
    from netlab.objects import quantity  # its fractions are slow to import, and few pods ask

    return max(0, min(int(quantity.parse(asked)), _MOST))
