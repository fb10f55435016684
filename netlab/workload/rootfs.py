"""What a pod's processes see as their file system: this machine's, read-only, and private places.

A pod has no image to unpack: its root is the machine's own `/`, without anything mounted below
it, so that neither /run (labs, sockets) nor other disks are there, and without what `hidden` says.
It is written as an fstab, which sandbox.sh mounts in one go in the pod's own mount namespace.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from netlab.errors import EnvironmentLacks
from netlab.workload import hidden, mounts
from netlab.workload.mounts import Mount

DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
POD_FILES = ("hostname", "hosts", "resolv.conf", "nsswitch.conf")
_REQUIRED = ("hosts", "resolv.conf")

# The machine's own may ask systemd-resolved or mDNS first, which know nothing of the cluster.
_NSSWITCH = """\
passwd: files
group: files
shadow: files
hosts: files dns
networks: files
protocols: files
services: files
"""

# Mount points of the machine that belong to its programs and libraries, if they are such.
_SYSTEM = ("/usr", "/usr/local", "/opt", "/etc", "/var", "/nix")
# Of these, root could change the machine, whatever its capabilities: docker hides them too.
_PROC_READ_ONLY = ("sys", "bus", "fs", "irq")
_PROC_HIDDEN = ("sysrq-trigger", "kcore", "keys", "timer_list", "sched_debug", "latency_stats")


@dataclass(frozen=True)
class Root:
    """Where the pieces of one container's root lie: all in its own directory."""

    directory: Path

    @property
    def mount_point(self) -> Path:
        """Becomes `/`."""
        return self.directory / "root"

    @property
    def fstab(self) -> Path:
        """The list of mounts."""
        return self.directory / "fstab"

    @property
    def dev(self) -> Path:
        """Becomes /dev."""
        return self.directory / "dev"

    @property
    def shadow(self) -> Path:
        """Becomes /etc/shadow."""
        return self.directory / "shadow"

    @property
    def run(self) -> Path:
        """Becomes /run."""
        return self.directory / "run"


def write_pod_files(directory: Path, *, hostname: str, hosts: str, resolv_conf: str) -> None:
    """The files that every container of a pod shares, in the pod's directory.

    Written in place: containers that run have them bind-mounted.
    """
    directory.mkdir(parents=True, exist_ok=True)
    texts = (f"{hostname}\n", hosts, resolv_conf, _NSSWITCH)
    for name, text in zip(POD_FILES, texts, strict=True):
        (directory / name).write_text(text)


def hosts_file(hostname: str, ips: tuple[str, ...]) -> str:
    """/etc/hosts as the kubelet writes it."""
    lines = [
        "# Kubernetes-managed hosts file.",
        "127.0.0.1\tlocalhost",
        "::1\tlocalhost ip6-localhost ip6-loopback",
        "fe00::0\tip6-localnet",
        "fe00::0\tip6-mcastprefix",
        "fe00::1\tip6-allnodes",
        "fe00::2\tip6-allrouters",
        *(f"{ip}\t{hostname}" for ip in ips),
    ]
    return "\n".join(lines) + "\n"


def prepare(directory: Path, pod_directory: Path, volumes: Sequence[Mount] = ()) -> Root:
    """Lay out a container's root in `directory`, with these volumes; nothing of it is in use yet.

    What it wrote in an earlier life is gone, as the links it may have left for us to follow.
    `EnvironmentLacks` when the machine has no file where a pod's own is to appear.
    """
    root = Root(directory)
    shutil.rmtree(root.run, ignore_errors=True)
    for path in (root.mount_point, root.dev / "pts", root.dev / "shm", root.run / "lock"):
        path.mkdir(parents=True, exist_ok=True)
    for name in DEVICES:
        (root.dev / name).touch()
    for link, target in (
        ("ptmx", "pts/ptmx"),
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    ):
        with contextlib.suppress(FileExistsError):
            (root.dev / link).symlink_to(target)
    own = {"/run": root.run, "/dev": root.dev}
    private = hidden.private_directories()
    planned = mounts.plan(volumes, own, list(private), directory / "skeletons")
    lines = _mounts(root, pod_directory, planned, private)
    root.fstab.write_text("".join(f"{line}\n" for line in lines))
    return root


def _mounts(
    root: Root, pod_directory: Path, volumes: mounts.Plan, private: Mapping[str, str]
) -> Iterator[str]:
    base = str(root.mount_point)
    yield entry("/", base, "none", "bind,ro")
    overlays = list(mounts.overlay_entries(volumes, base))
    yield from (entry(*each) for each in overlays if each[1] == base)  # would cover the next
    for path in _SYSTEM:
        if os.path.ismount(path):
            yield entry(path, base + path, "none", "bind,ro")
    yield from (entry(*each) for each in overlays if each[1] != base)
    yield from _secrets(root, private)
    yield from _proc_and_sys(base)
    yield entry(str(root.dev), f"{base}/dev", "none", "bind,ro")
    for name in DEVICES:
        yield entry(f"/dev/{name}", f"{base}/dev/{name}", "none", "bind")
    yield entry("devpts", f"{base}/dev/pts", "devpts", "nosuid,noexec,mode=620,ptmxmode=666")
    yield entry("tmpfs", f"{base}/dev/shm", "tmpfs", "nosuid,nodev,mode=1777")
    yield entry(str(root.run), f"{base}/run", "none", "bind")
    for path, mode in private.items():
        yield entry("tmpfs", base + path, "tmpfs", f"nosuid,nodev,{mode}")
    for name in POD_FILES:
        yield from _pod_file(root, pod_directory, name)
    yield from (entry(*each) for each in mounts.bind_entries(volumes, base))


def _secrets(root: Root, private: Container[str]) -> Iterator[str]:
    root.shadow.write_text(hidden.shadow(Path("/etc/passwd").read_text()))
    for path, is_directory in hidden.secrets():
        target = f"{root.mount_point}{path}"
        if is_directory and path not in private:
            yield entry("tmpfs", target, "tmpfs", "nosuid,nodev,noexec,ro,mode=0555")
        elif not is_directory:
            source = str(root.shadow) if path == "/etc/shadow" else "/dev/null"
            yield entry(source, target, "none", "bind,ro")


def _proc_and_sys(base: str) -> Iterator[str]:
    yield entry("proc", f"{base}/proc", "proc", "nosuid,nodev,noexec")
    for name in _PROC_READ_ONLY:
        if Path("/proc", name).is_dir():
            yield entry(f"{base}/proc/{name}", f"{base}/proc/{name}", "none", "bind,ro")
    for name in _PROC_HIDDEN:
        if Path("/proc", name).exists():
            yield entry("/dev/null", f"{base}/proc/{name}", "none", "bind")
    yield entry("sysfs", f"{base}/sys", "sysfs", "ro,nosuid,nodev,noexec")


def _pod_file(root: Root, pod_directory: Path, name: str) -> Iterator[str]:
    """Show a pod's file under /etc, where that name may be a link (into /run with systemd)."""
    source = pod_directory / name
    target = os.path.realpath(Path("/etc", name))
    if target.startswith("/run/"):
        inside = root.run / target.removeprefix("/run/")
        inside.parent.mkdir(parents=True, exist_ok=True)
        inside.touch()
    elif not os.path.exists(target):  # noqa: PTH110 - a plain string, as realpath gave it
        if name not in _REQUIRED:
            return
        raise EnvironmentLacks(
            f"this machine has no /etc/{name}, so a pod cannot have its own",
            hint=f"create an empty one: sudo touch /etc/{name}",
        )
    yield entry(str(source), f"{root.mount_point}{target}", "none", "bind")


def entry(source: str, target: str, kind: str, options: str) -> str:
    """One line of an fstab."""
    return f"{escaped(source)} {escaped(target)} {kind} {options} 0 0"


def escaped(path: str) -> str:
    """A path as fstab(5) wants it: blanks and backslashes in octal."""
    for character in "\\ \t\n#":
        path = path.replace(character, f"\\{ord(character):03o}")
    return path
