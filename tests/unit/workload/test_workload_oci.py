"""What crun is told: all that holds a container is there, and no pod can ask it away."""

from __future__ import annotations

from pathlib import Path

import pytest

from netlab.kernel.userns import IdRange
from netlab.workload import oci
from netlab.workload.sandbox import DEFAULT_CAPABILITIES

IDS = IdRange(0x7000_0000)


def process_of(**how: object) -> oci.Json:
    return oci.process(("sh", "-c", "true"), {"A": "1", "B": "x=y"}, **how)  # type: ignore[arg-type]


def config_of(**how: object) -> oci.Json:
    wanted: dict[str, object] = {"netns": "/n", "userns": "/u", "ids": IDS, **how}
    return oci.config(process_of(), Path("/root"), "web-0", **wanted)  # type: ignore[arg-type]


def test_a_process_is_told_whole() -> None:
    assert process_of(groups=(5, 6), directory="/d", terminal=True) == {
        "terminal": True,
        "user": {"uid": 0, "gid": 0, "additionalGids": [5, 6]},
        "args": ["sh", "-c", "true"],
        "env": ["A=1", "B=x=y"],
        "cwd": "/d",
        "capabilities": {"bounding": [], "effective": [], "permitted": []},
        "noNewPrivileges": True,
        "oomScoreAdj": 500,
        "rlimits": [],
    }


def test_root_has_its_capabilities_and_nobody_else_any_to_begin_with() -> None:
    names = [f"CAP_{name.upper()}" for name in DEFAULT_CAPABILITIES]
    own = process_of(capabilities=DEFAULT_CAPABILITIES)["capabilities"]
    assert own == {"bounding": names, "effective": names, "permitted": names}
    other = process_of(capabilities=DEFAULT_CAPABILITIES, user=1000)["capabilities"]
    assert other == {"bounding": names, "effective": [], "permitted": []}
    assert not {"inheritable", "ambient"} & set(own), "they would survive an exec"


def test_every_namespace_is_the_pods_or_the_containers_own() -> None:
    spaces = {space["type"]: space.get("path") for space in config_of()["linux"]["namespaces"]}
    assert spaces == {
        "user": "/u", "network": "/n",
        "mount": None, "pid": None, "uts": None, "ipc": None, "cgroup": None,
    }  # fmt: skip
    assert config_of()["linux"]["namespaces"][0]["type"] == "user", "the others belong to it"
    line = [{"containerID": 0, "hostID": 0x7000_0000, "size": 65536}]
    assert config_of()["linux"]["uidMappings"] == config_of()["linux"]["gidMappings"] == line


def test_without_user_namespaces_nothing_is_said_of_them() -> None:
    linux = config_of(userns=None, ids=None)["linux"]
    assert "user" not in {space["type"] for space in linux["namespaces"]}
    assert not {"uidMappings", "gidMappings"} & set(linux)


@pytest.mark.parametrize("users", [{}, {"userns": None, "ids": None}])
def test_what_tells_of_the_machine_is_masked_and_what_changes_it_read_only(
    users: dict[str, object],
) -> None:
    config = config_of(**users)
    assert {"/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware"} <= set(
        config["linux"]["maskedPaths"]
    )
    assert {"/proc/sys", "/proc/sysrq-trigger", "/proc/bus", "/proc/irq"} <= set(
        config["linux"]["readonlyPaths"]
    )
    options = {mount["destination"]: mount["options"] for mount in config["mounts"]}
    assert set(options) == {"/proc", "/sys", "/dev/pts", "/dev/mqueue"}
    assert "ro" in options["/sys"]
    assert all({"nosuid", "noexec"} <= set(each) for each in options.values())
    assert config["linux"]["seccomp"]["defaultAction"] == "SCMP_ACT_ERRNO"
    assert config["process"]["noNewPrivileges"] is True


@pytest.mark.parametrize(
    ("covered", "left_out"),
    [
        (["/data", "/dev/shm", "/dev/ptsx"], set()),
        (["/dev/pts"], {"/dev/pts"}),
        (["/dev/mqueue/deeper"], {"/dev/mqueue"}),
    ],
)
def test_what_would_cover_a_volume_is_left_out(covered: list[str], left_out: set[str]) -> None:
    mounts = {mount["destination"] for mount in config_of(covered=covered)["mounts"]}
    assert {"/proc", "/sys", "/dev/pts", "/dev/mqueue"} - mounts == left_out


@pytest.mark.parametrize("target", ["/proc", "/proc/sys", "/sys/kernel"])
def test_no_volume_takes_proc_and_sys_away(target: str) -> None:
    mounts = {mount["destination"] for mount in config_of(covered=[target])["mounts"]}
    assert {"/proc", "/sys"} <= mounts


# -- the filter of system calls --------------------------------------------------------------------

# What docker's default profile denies to a container without further capabilities, on x86_64 and
# aarch64: each reaches the machine's kernel, its clocks, its keys, its disks, or namespaces.
DENIED = frozenset((
    "acct", "add_key", "afs_syscall", "bpf", "clock_adjtime", "clock_adjtime64",
    "clock_settime", "clock_settime64", "create_module", "delete_module", "fanotify_init",
    "finit_module", "fsconfig", "fsmount", "fsopen", "fspick", "get_kernel_syms", "get_mempolicy",
    "init_module", "io_uring_enter", "io_uring_register", "io_uring_setup", "ioperm", "iopl",
    "kcmp", "kexec_file_load", "kexec_load", "keyctl", "lookup_dcookie", "lsm_set_self_attr",
    "mbind", "migrate_pages", "mount", "mount_setattr", "move_mount", "move_pages", "nfsservctl",
    "open_by_handle_at", "open_tree", "perf_event_open", "pivot_root", "process_madvise",
    "query_module", "quotactl", "quotactl_fd", "reboot", "request_key", "set_mempolicy",
    "set_mempolicy_home_node", "setdomainname", "sethostname", "setns", "settimeofday", "stime",
    "swapoff", "swapon", "sysfs", "syslog", "_sysctl", "umount", "umount2", "unshare", "uselib",
    "userfaultfd", "ustat", "vhangup", "vm86", "vm86old", "vserver",
))  # fmt: skip

# Some of what ordinary programs do, by the names of both architectures.
ALLOWED = frozenset((
    "accept4", "bind", "brk", "capset", "chroot", "clock_gettime", "connect", "dup2", "dup3",
    "epoll_pwait", "epoll_wait", "execve", "exit_group", "fork", "futex", "getrandom", "ioctl",
    "kill", "mmap", "mprotect", "newfstatat", "openat", "openat2", "pidfd_open", "pipe2", "ppoll",
    "prctl", "ptrace", "recvmsg", "renameat2", "rseq", "rt_sigaction", "seccomp", "sendmmsg",
    "setgroups", "setresuid", "setsockopt", "socketpair", "statx", "tgkill", "vfork", "wait4",
))  # fmt: skip


def rules_of(name: str) -> list[oci.Json]:
    return [rule for rule in oci.seccomp()["syscalls"] if name in rule["names"]]


def test_what_is_not_allowed_is_not_permitted() -> None:
    assert oci.seccomp()["defaultAction"] == "SCMP_ACT_ERRNO"
    assert oci.seccomp()["defaultErrnoRet"] == 1
    assert "architectures" not in oci.seccomp(), "the machine's own alone"
    assert {rule["action"] for rule in oci.seccomp()["syscalls"]} == {
        "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO",
    }  # fmt: skip


def test_what_reaches_beyond_a_container_is_denied() -> None:
    assert [name for name in sorted(DENIED) if rules_of(name)] == []


def test_what_programs_do_is_allowed_without_conditions() -> None:
    plain = [{"action": "SCMP_ACT_ALLOW", "args": None}]
    odd = [
        name
        for name in sorted(ALLOWED)
        if [{"action": rule["action"], "args": rule.get("args")} for rule in rules_of(name)]
        != plain
    ]
    assert odd == []


def test_no_name_is_there_twice() -> None:
    names = [name for rule in oci.seccomp()["syscalls"] for name in rule["names"]]
    assert {name for name in names if names.count(name) > 1} == {"personality"}


def test_no_new_namespaces_come_of_clone() -> None:
    """clone3's flags lie where no filter sees them: it is as if it did not exist."""
    (clone,) = rules_of("clone")
    (condition,) = clone["args"]
    namespaces = 0x7E02_0000  # user, pid, net, mount, uts, ipc, cgroup
    assert condition == {
        "index": 0, "value": namespaces, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ",
    }  # fmt: skip
    (clone3,) = rules_of("clone3")
    assert (clone3["action"], clone3["errnoRet"]) == ("SCMP_ACT_ERRNO", 38)


def test_sockets_are_of_families_that_namespaces_hold() -> None:
    """AF_ALG (38) and what came later, AF_VSOCK (40) foremost, reach the machine."""
    (rule,) = rules_of("socket")
    assert rule["args"] == [{"index": 0, "value": 38, "op": "SCMP_CMP_LT"}]


def test_personalities_keep_randomised_addresses() -> None:
    values = {rule["args"][0]["value"] for rule in rules_of("personality")}
    assert values == {0, 8, 0x20000, 0x20008, 0xFFFFFFFF}
    assert {rule["args"][0]["op"] for rule in rules_of("personality")} == {"SCMP_CMP_EQ"}
