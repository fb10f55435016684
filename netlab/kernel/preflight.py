"""What a lab needs of its machine, each thing with the command that mends it.

Looks and changes nothing: the namespace made for looking is gone with its descriptor, the control
groups are removed.
"""

from __future__ import annotations

import contextlib
import os
import resource
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

from netlab.errors import EnvironmentLacks, NetlabError
from netlab.kernel import (
    basedir,
    bridgeport,
    cgroups,
    drops,
    elsewhere,
    files,
    lablock,
    lock,
    namesakes,
    netns,
    paths,
    process,
    run,
    surroundings,
    syscalls,
    sysctl,
    tools,
    userns,
)
from netlab.kernel.finding import Finding
from netlab.kernel.hierarchies import Found, GroupHome, Lacking
from netlab.kernel.netlink import NetlinkSocket

LITTLE = 64 << 10
"""Bytes: a file system with less than this is full, as far as a lab goes."""

_DROPS_ALL = ((0x06, 0, 0, 2),)  # return TC_ACT_SHOT


def checks() -> list[Finding]:
    """Everything `netlab doctor` says of this machine."""
    able = privileges()
    return [
        able,
        *tools.required(),
        *tools.optional(),
        *(_tries() if able.ok else ()),
        open_files(),
        surroundings.modules(),
        surroundings.init(),
        *namesakes.findings(),
        *leftovers(),
        *elsewhere.findings(),
    ]


def _tries() -> Iterator[Finding]:
    """What is found out by trying: without privileges all would fail, whatever the machine is."""
    yield from kernel_features()
    yield user_namespaces()
    yield from bounds(cgroups.detect())
    yield surroundings.overlays()
    yield drop_reasons()


def privileges() -> Finding:
    """Whether namespaces and mounts may be made."""
    wanted = {12: "CAP_NET_ADMIN", 21: "CAP_SYS_ADMIN"}
    effective = _effective_capabilities()
    lacking = [name for bit, name in wanted.items() if not effective >> bit & 1]
    detail = (
        f"lacks {', '.join(lacking)}: the kernel's features are not tried"
        if lacking
        else "may make namespaces and mounts"
    )
    return Finding("privileges", not lacking, detail, "run it with sudo" if lacking else "")


def _effective_capabilities() -> int:
    for line in files.text("/proc/self/status").split("\n"):
        if line.startswith("CapEff:"):
            return int(line.split()[1], 16)
    return 0


def kernel_features() -> list[Finding]:
    """What the kernel must offer, tried in a namespace of its own."""
    try:
        with _scratch_namespace():
            return [*_features()]
    except NetlabError as error:
        return [Finding("network namespaces", False, error.message, error.hint or "")]


@contextlib.contextmanager
def _scratch_namespace() -> Iterator[None]:
    """Run the body in a namespace without a name, gone with the block."""
    home = netns.current()
    try:
        syscalls.unshare(syscalls.CLONE_NEWNET)
        try:
            yield
        finally:
            syscalls.setns(home)
    finally:
        os.close(home)


def _features() -> Iterator[Finding]:
    yield Finding("network namespaces", True, "can be made and entered")
    yield _link_kind("veth", ["ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1"])
    yield _link_kind("bridge", ["ip", "link", "add", "br0", "type", "bridge"])
    yield _port_guard("v0")
    nf = "net.bridge.bridge-nf-call-iptables"
    yield _sysctl("bridge netfilter", nf, "br_netfilter", "pods of one node reaching each other")
    yield _rules("iptables", ["-m", "statistic", "--mode", "random", "--probability", "0.5"])
    yield _rules("conntrack match", ["-m", "conntrack", "--ctstate", "NEW"])
    yield _rules("recent match", ["-m", "recent", "--name", "x", "--rcheck"], "session affinity")
    ipv6 = sysctl.get(None, "net.ipv6.conf.all.disable_ipv6") is not None
    detail = "available" if ipv6 else "switched off at boot; wanted for dual-stack labs"
    yield Finding("IPv6", ipv6, detail, "" if ipv6 else "boot without ipv6.disable=1", False)


def drop_reasons() -> Finding:
    """Whether `netlab trace` can tell why the kernel dropped a packet."""
    try:
        with drops.Drops([drops.Mark(0, b"netlab")]):
            return Finding("reasons of drops", True, "told by traces", required=False)
    except EnvironmentLacks as error:
        fix = "a kernel from 5.17 on with CONFIG_BPF_SYSCALL and CONFIG_DEBUG_INFO_BTF"
        return Finding("reasons of drops", False, error.message, fix, required=False)


def user_namespaces() -> Finding:
    """Whether pods' root can be nobody outside its pod."""
    if userns.available():
        return Finding("user namespaces", True, "root in a pod is nobody outside")
    detail = "none with ids of their own: what holds a pod's root are capabilities and seccomp"
    fix = "sysctl user.max_user_namespaces=10000, a container with more ids, or no chroot"
    return Finding("user namespaces", False, detail, fix, required=False)


def _link_kind(kind: str, argv: Sequence[str]) -> Finding:
    return _tried(f"{kind} links", argv, surroundings.modprobe(kind))


def _port_guard(link: str) -> Finding:
    """Whether a port can let in its own pod's frames alone; without that no pod gets one."""
    name, fix = "port guards", surroundings.modprobe("sch_ingress", "cls_bpf")
    try:
        index = socket.if_nametoindex(link)
        with NetlinkSocket() as netlink:
            netlink.request(
                [
                    bridgeport.add_ingress(f"make room for a guard at {link}", index),
                    bridgeport.add_filter(f"guard {link}", index, _DROPS_ALL),
                ]
            )
    except (NetlabError, OSError) as error:
        return Finding(name, False, str(error), fix)
    return Finding(name, True, "works")


def _rules(name: str, match: Sequence[str], purpose: str = "") -> Finding:
    argv = ["iptables", "-w", "5", "-t", "nat", "-A", "POSTROUTING", *match, "-j", "RETURN"]
    fix = "install the full kernel (linux-image-generic), which has the netfilter modules"
    return _tried(name, argv, fix, purpose)


def _tried(name: str, argv: Sequence[str], fix: str, purpose: str = "") -> Finding:
    try:
        run.run(argv)
    except NetlabError as error:
        return Finding(name, False, error.message, error.hint or fix, not purpose)
    return Finding(name, True, "works", required=not purpose)


def _sysctl(name: str, entry: str, module: str, purpose: str) -> Finding:
    if sysctl.get(None, entry) is not None:
        return Finding(name, True, f"{entry} is there")
    if _loadable(module):
        detail = f"the module {module} is not loaded yet; netlab up does that"
        return Finding(name, False, detail, surroundings.modprobe(module), required=False)
    detail = f"the kernel has no {entry}; wanted for {purpose}"
    return Finding(name, False, detail, surroundings.modprobe(module))


def _loadable(module: str) -> bool:
    try:
        return run.run(["modprobe", "--dry-run", module], check=False).returncode == 0
    except EnvironmentLacks:
        return False


def open_files() -> Finding:
    """The limit that a lab's controller may raise its own open files to: two or three a pod."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = hard == resource.RLIM_INFINITY or hard >= 4096
    return Finding(
        "open files",
        enough,
        f"up to {'any number' if hard == resource.RLIM_INFINITY else hard}",
        "" if enough else "ulimit -Hn 20000, in a new login as root",
        required=False,
    )


# What holds where no controller does.
_WITHOUT = {
    "memory": "each process of a pod by RLIMIT_DATA, and the kernel ends pods' processes first; "
    "no pod as a whole",
    "pids": "each user of a pod by RLIMIT_NPROC; no pod as a whole",
    "cpu": "nothing: one pod may slow everything",
}


def bounds(found: Found) -> list[Finding]:
    """What bounds the memory, the processes, the processor time and the disk of a pod here."""
    disk = "a tmpfs with a size for each volume and container, and one for all that outlives pods"
    return [
        *(_bound(*entry) for entry in found.items()),
        Finding("disk bound", True, disk, required=False),
    ]


def _bound(controller: str, place: GroupHome | Lacking) -> Finding:
    name = f"{controller} bound"
    if isinstance(place, GroupHome):
        reason = cgroups.trial(place)
        if not reason:
            return Finding(name, True, f"each pod and the lab, by {place}", required=False)
        place = Lacking(controller, reason)
    detail = f"{_WITHOUT[controller]}: {place.reason}"
    return Finding(name, False, detail, place.fix, required=False)


def leftovers() -> list[Finding]:
    """Labs without a controller, and names in /run/netns that lead nowhere."""
    return [*_abandoned_labs(), *_dangling_links()]


def _abandoned_labs() -> Iterator[Finding]:
    for directory in basedir.lab_dirs():
        name = f"lab {directory.name}"
        try:
            runs = lock.controller_runs(directory)
        except EnvironmentLacks:
            yield Finding(name, True, "another user's", required=False)
            continue
        if runs:
            yield from _troubles(name, directory)
        elif busy := lablock.holder(directory):
            yield Finding(name, True, f"{busy} is at work on it", required=False)
        else:
            fix = f"netlab up FILE (adopts it), or netlab down --lab {directory.name}"
            yield Finding(name, False, "stands without its controller", fix, required=False)


def _troubles(name: str, directory: Path) -> Iterator[Finding]:
    """Of a lab that runs, which of its file systems are full, and which processes are stopped."""
    full = [place for place in netns.file_systems(directory) if free_bytes(place) < LITTLE]
    stopped = _stopped(directory)
    if not full and not stopped:
        yield Finding(name, True, "running", required=False)
    for pid in stopped:
        what = f"its process {pid} is stopped, and what that does for the lab hangs"
        yield Finding(name, False, what, f"kill -CONT {pid}", required=False)
    for place in full:
        what = "nothing can be saved" if place == directory else "what pods write fails"
        fix = f"make room in {place} (du -x {place}); the lab then goes on by itself"
        yield Finding(name, False, f"{place} is full: {what}", fix, required=False)


def _stopped(directory: Path) -> list[int]:
    try:
        return process.stopped(netns.owner(directory) or "")
    except PermissionError:  # root's to see
        return []


def free_bytes(place: Path) -> int:
    """What may still be written to the file system there."""
    found = os.statvfs(place)
    return found.f_bavail * found.f_frsize


def _dangling_links() -> Iterator[Finding]:
    try:
        entries = sorted(paths.netns_dir().iterdir())
    except FileNotFoundError:
        return
    run_dir = paths.run_dir()
    for link in entries:
        if link.is_symlink() and run_dir in link.readlink().parents and _leads_nowhere(link):
            yield Finding(str(link), False, "leads nowhere", f"rm {link}", required=False)


def _leads_nowhere(link: Path) -> bool:
    try:
        return not link.exists()
    except PermissionError:  # into a lab, where root alone sees what is there
        return False
