"""Pods' own processes on the real kernel: what they see, what they cannot reach, how they end."""

from __future__ import annotations

import asyncio
import os
import select
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from kernel.sandboxes import (
    RESOLV_CONF,
    Lab,
    finished,
    logged,
    processes_in,
    read_until,
    said,
    text_of,
)

from netlab.agents.runtime_keeper import RuntimeKeeper
from netlab.errors import NetlabError
from netlab.tasks import cancel
from netlab.workload import crilog, masked_paths, oci
from netlab.workload.etc_files import POD_FILES
from netlab.workload.sandbox import (
    Command,
    ContainerPlace,
    Privileges,
    Sandboxes,
    base_environment,
    privileges,
)
from netlab.workload.session import ExecSession

pytestmark = pytest.mark.root


async def test_a_process_sees_its_pod_and_nothing_else(lab: Lab) -> None:
    assert await lab.output("hostname", name="web-0") == (0, "web-0\n")
    assert await lab.output("cat", "/etc/hostname", name="web-0") == (0, "web-0\n")
    assert await lab.output("cat", "/etc/resolv.conf") == (0, RESOLV_CONF)
    assert "10.244.1.7\tweb-0\n" in (await lab.output("cat", "/etc/hosts", name="web-0"))[1]
    _, processes = await lab.output("ps", "-e", "-o", "pid=,comm=")
    assert processes.split() == ["1", "ps"]
    assert await lab.output("ls", "/sys/class/net") == (0, "lo\n")
    said = await lab.output("sh", "-c", "echo $$ $HOSTNAME $HOME; pwd", name="web-0")
    assert said == (0, "1 web-0 /root\n/\n")


async def test_the_labs_state_and_the_machines_places_are_out_of_sight(lab: Lab) -> None:
    (lab.directory / "secret").write_text("secret")
    assert (await lab.output("ls", str(lab.directory)))[0] == 2
    for place in ("/run", "/tmp", "/root", "/home", "/var/tmp"):
        _, listed = await lab.output("ls", "-A", place)
        # where /etc/resolv.conf is a link to systemd-resolved's, the pod's own is in /run
        assert set(listed.split()) <= {"lock", "systemd"}, place
    _, devices = await lab.output("ls", "/dev")
    assert set(devices.split()) == {
        *oci.DEVICES, "core", "fd", "mqueue", "ptmx", "pts", "shm", *STDIO,
    }  # fmt: skip
    _, mounts = await lab.output("cat", "/proc/mounts")
    assert str(lab.directory) not in mounts
    for name in ("sysrq-trigger", "kcore"):
        if Path("/proc", name).exists():
            assert await lab.output("sh", "-c", f"wc -c </proc/{name}") == (0, "0\n")


@pytest.mark.parametrize("users", [True, False], ids=["user namespace", "none"])
async def test_what_not_everybody_may_read_here_nobody_may_read_there(
    lab: Lab, users: bool
) -> None:
    """With a user namespace its root is nobody here; without, what it could read is hidden."""
    shared = [Path(place) for place in ("/etc", "/opt", "/usr/local")]
    secrets = [*masked_paths.secrets(shared)]
    directories = [path for path in secrets if path.is_dir()]
    directories += map(Path, ("/home", "/root", "/srv", "/var/log", "/var/lib", "/var/cache"))
    own = [Path("/etc", name) for name in POD_FILES]  # whatever becomes of the machine's
    files = [path for path in secrets if path not in (*directories, *own)]
    assert Path("/etc/shadow") in files
    if not users:
        lab.use_namespace_without_users()
    _, listed = await lab.output("find", *map(str, directories), "-mindepth", "1")
    assert [line for line in listed.splitlines() if "Permission denied" not in line] == []
    files.remove(Path("/etc/shadow"))
    _, read = await lab.output("sh", "-c", 'cat "$@" 2>/dev/null', "sh", *map(str, files))
    assert read == ""
    _, shadow = await lab.output("cat", "/etc/shadow")
    assert "root:*:::::::" in shadow.splitlines()
    assert {line.split(":")[1] for line in shadow.splitlines()} == {"*"}
    said = await lab.output("su", "nobody", "-s", "/bin/sh", "-c", "id -un")
    assert said == (0, "nobody\n")


STDIO = ("stdin", "stdout", "stderr")


@pytest.fixture
def bait() -> Iterator[Path]:
    """A file of the machine's that everybody may write."""
    path = Path("/opt") / f"netlab-test-{uuid.uuid4().hex}"
    path.write_text("mine")
    path.chmod(0o666)
    yield path
    path.unlink()


async def test_the_machines_files_and_settings_cannot_be_written(lab: Lab, bait: Path) -> None:
    assert await lab.output("cat", str(bait)) == (0, "mine")
    everybodys = await lab.output("sh", "-c", f"echo broken >>{bait}; cat {bait}")
    assert everybodys == (0, "minebroken\n"), "a copy of its own"
    assert bait.read_text() == "mine"
    # Of what is root's here, a pod's root is not even the owner: that the kernel says first.
    for target in ("/usr/bin/env", "/proc/sys/kernel/hostname"):
        code, said = await lab.output("sh", "-c", f"echo broken >>{target}")
        assert (code, "Permission denied" in said) == (2, True), target
    for place in ("/sys", "/proc/sys/net"):
        code, said = await lab.output("touch", f"{place}/new")
        assert (code, "cannot touch" in said) == (1, True), place
    for attempt in (
        "mount -o remount,rw /",
        "umount /proc/sys",
        "mknod /tmp/disk b 254 0",
        "ip link add dummy0 type dummy",
        "unshare --mount true",
    ):
        code, said = await lab.output("sh", "-c", attempt)
        assert code != 0, attempt
        assert any(word in said for word in ("ermitted", "denied", "superuser")), said
    # The root itself is a file system of the container's own, gone with it.
    for place in ("/tmp", "/var/lib", "/root", "/srv", "/made/by/it"):
        script = f"mkdir -p {place} && echo x >{place}/f && cat {place}/f"
        assert await lab.output("sh", "-c", script) == (0, "x\n"), place
        assert (await lab.output("cat", f"{place}/f"))[0] == 1, place
    assert not Path("/made").exists()
    assert bait.read_text() == "mine"


async def test_devices_can_be_written_to_and_not_changed(lab: Lab) -> None:
    _, mounted = await lab.output("cat", "/proc/self/mountinfo")
    topmost = {line.split()[4]: line.split()[5] for line in mounted.splitlines()}
    for name in oci.DEVICES:
        assert topmost[f"/dev/{name}"].split(",")[0] == "ro", name
    script = "echo x >/dev/null; echo x >/dev/zero; head -c 3 /dev/urandom | wc -c"
    assert await lab.output("sh", "-c", script) == (0, "3\n")
    before = Path("/dev/null").stat()
    code, said = await lab.output("touch", "/dev/null")
    assert (code, "Read-only" in said) == (1, True), said
    after = Path("/dev/null").stat()
    assert (before.st_mtime, before.st_uid, before.st_mode) == (
        after.st_mtime, after.st_uid, after.st_mode,
    )  # fmt: skip


async def test_privileges_are_a_containers(lab: Lab) -> None:
    status = ("sh", "-c", "grep -E 'CapEff|CapBnd|NoNewPrivs' /proc/self/status; id -u; id -g")
    _, said = await lab.output(*status)
    # docker's a80425fb without bit 27, mknod
    assert said.split() == [
        "CapEff:", "00000000a00425fb", "CapBnd:", "00000000a00425fb",
        "NoNewPrivs:", "1", "0", "0",
    ]  # fmt: skip
    user = privileges({}, {"securityContext": {"runAsUser": 1000, "runAsGroup": 2000}})
    _, said = await lab.output(*status, privileges=user)
    assert said.split()[1::2][:1] == ["0000000000000000"]
    assert said.split()[-2:] == ["1000", "2000"]
    wants = {"securityContext": {"capabilities": {"add": ["NET_ADMIN", "SYS_ADMIN"]}}}
    code, said = await lab.output(
        "sh", "-c", "ip link set lo down && ip link set lo up", privileges=privileges({}, wants)
    )
    assert (code, said) == (0, "")
    none = privileges({}, {"securityContext": {"capabilities": {"drop": ["ALL"]}}})
    _, said = await lab.output(*status, privileges=none)
    assert said.split()[1] == "0000000000000000"
    assert none == Privileges(capabilities=())


@pytest.mark.parametrize(
    ("argv", "code", "reason", "message"),
    [
        (("true",), 0, "Completed", ""),
        (("sh", "-c", "exit 7"), 7, "Error", ""),
        (("sh", "-c", "no-such-thing"), 127, "Error", ""),
        (
            ("no-such-thing",), 127, "StartError",
            'exec: "no-such-thing": executable file not found in $PATH',
        ),
        (
            ("/no/such", "x"), 127, "StartError",
            'exec: "/no/such": stat /no/such: no such file or directory',
        ),
        (("/etc/hosts",), 126, "StartError", 'exec: "/etc/hosts": permission denied'),
        (("/etc",), 126, "StartError", 'exec: "/etc": is a directory'),
        (("./etc",), 126, "StartError", 'exec: "./etc": is a directory'),
        (
            ("/bin/sh/",), 126, "StartError",
            'exec: "/bin/sh/": stat /bin/sh/: not a directory',
        ),
        (("",), 127, "StartError", 'exec: "": executable file not found in $PATH'),
        (("a\nb",), 127, "StartError", 'exec: "a\nb": executable file not found in $PATH'),
    ],
)  # fmt: skip
async def test_exit_codes_and_their_reasons(
    lab: Lab, argv: tuple[str, ...], code: int, reason: str, message: str
) -> None:
    ended = await (await lab.start(*argv)).wait()
    assert (ended.code, ended.signal, ended.reason) == (code, 0, reason)
    assert ended.message == message
    assert ended.started < ended.finished < ended.started + 5


async def test_what_lies_in_the_path_is_not_yet_a_program(lab: Lab) -> None:
    main = await lab.start("sleep", "1000", container="other")
    for name in ("hosts", "etc", "profile.d"):
        command = Command((name,), {"PATH": "/etc:/"})
        said = f'exec: "{name}": executable file not found in $PATH'
        ended = await (await lab.sandboxes.start(lab.place(), "main", command)).wait()
        assert (ended.code, ended.message) == (127, said)
        session = await lab.sandboxes.execute(main, command)
        assert await finished(session) == (127, "", f"{said}\n")


SYSTEM_CALLS = """
import ctypes, errno, platform, socket
libc = ctypes.CDLL(None, use_errno=True)
numbers = {
    "x86_64": {"mount": 165, "umount2": 166, "pivot_root": 155, "unshare": 272, "setns": 308,
               "keyctl": 250, "add_key": 248, "bpf": 321, "perf_event_open": 298, "reboot": 169,
               "init_module": 175, "open_by_handle_at": 304, "userfaultfd": 323, "swapon": 167},
    "aarch64": {"mount": 40, "umount2": 39, "pivot_root": 41, "unshare": 97, "setns": 268,
                "keyctl": 219, "add_key": 217, "bpf": 280, "perf_event_open": 241, "reboot": 142,
                "init_module": 105, "open_by_handle_at": 265, "userfaultfd": 282, "swapon": 224},
}[platform.machine()]
both = {"open_tree": 428, "move_mount": 429, "fsopen": 430, "mount_setattr": 442,
        "io_uring_setup": 425, "quotactl_fd": 443, "clone3": 435}
for name, number in {**numbers, **both}.items():
    ctypes.set_errno(0)
    libc.syscall(number, 0, 0, 0, 0, 0, 0)
    print(name, errno.errorcode[ctypes.get_errno()])
for name, family in (("alg", 38), ("vsock", 40)):
    try:
        socket.socket(family, socket.SOCK_STREAM)
        print(name, "OPEN")
    except OSError as error:
        print(name, errno.errorcode[error.errno])
for name in ("AF_INET", "AF_INET6", "AF_UNIX", "AF_NETLINK", "AF_PACKET"):
    kind = socket.SOCK_STREAM if name == "AF_UNIX" else socket.SOCK_RAW
    socket.socket(getattr(socket, name), kind, socket.IPPROTO_ICMP if "INET" in name else 0)
"""


@pytest.mark.parametrize("users", [True, False], ids=["user namespace", "none"])
@pytest.mark.parametrize("wanted", [{}, {"privileged": True}], ids=["default", "privileged"])
async def test_system_calls_are_filtered_whatever_is_asked_for(
    lab: Lab, users: bool, wanted: dict[str, bool]
) -> None:
    """Also where there is no right to make them: a fault behind one is out of reach."""
    if not users:
        lab.use_namespace_without_users()
    granted = privileges({}, {"securityContext": wanted})
    argv = ("/usr/bin/python3", "-c", SYSTEM_CALLS)
    code, said = await lab.output(*argv, privileges=granted)
    assert code == 0, said
    outcomes = dict(line.split() for line in said.splitlines())
    assert outcomes.pop("clone3") == "ENOSYS"
    assert set(outcomes.values()) == {"EPERM"}, outcomes


async def test_a_missing_tool_comes_with_its_package(lab: Lab) -> None:
    command = Command(("curl", "web"), {"PATH": "/nowhere"})
    ended = await (await lab.sandboxes.start(lab.place(), "main", command)).wait()
    assert ended.message == (
        'exec: "curl": executable file not found in $PATH\n'
        "netlab: pods use this machine's own tools; get curl with: apt-get install curl"
    )


async def test_a_working_directory_is_made_where_that_can_be(lab: Lab) -> None:
    assert await lab.output("pwd", directory="/usr/bin") == (0, "/usr/bin\n")
    # In its own root a container's is made, as by runc; where it cannot be, nothing starts.
    assert await lab.output("pwd", directory="/no/such") == (0, "/no/such\n")
    assert await lab.output("pwd", directory="/usr/no/such") == (0, "/usr/no/such\n")
    said = 'chdir to cwd ("/etc/passwd") failed: not a directory\n'
    assert await lab.output("pwd", directory="/etc/passwd") == (128, said)


async def test_signals_reach_the_first_process_and_kill_ends_all(lab: Lab) -> None:
    script = "trap 'echo bye; exit 3' TERM; echo up; while :; do sleep 0.05; done"
    polite = await lab.start("sh", "-c", script, name="polite")
    await logged(polite, "up")
    ended = await polite.kill(grace=5)
    assert (ended.code, ended.signal) == (3, 0)
    assert [entry.data for entry in crilog.read(polite.log)] == [b"up\n", b"bye\n"]

    deaf = await lab.start("sh", "-c", "sleep 1000 & sleep 1000 & wait", name="deaf")
    inside = processes_in(deaf.init)
    assert len(inside) >= 1
    before = time.monotonic()
    ended = await deaf.kill(grace=60)  # which it would not hear anyway
    assert time.monotonic() - before < 30
    assert (ended.code, ended.signal, ended.reason) == (137, 9, "Error")
    assert processes_in(deaf.init, inside) == []

    script = "trap 'echo no' TERM; echo up; while :; do sleep 0.05; done"
    stubborn = await lab.start("sh", "-c", script, name="stubborn")
    await logged(stubborn, "up")
    before = time.monotonic()
    ended = await stubborn.kill(grace=0.3)
    assert time.monotonic() - before >= 0.3
    assert (ended.code, ended.signal) == (137, 9)
    assert [entry.data for entry in crilog.read(stubborn.log)] == [b"up\n", b"no\n"]


def descriptors() -> set[str]:
    return {entry.name for entry in Path("/proc/self/fd").iterdir()}


async def test_a_command_executed_later_is_in_the_same_pod(lab: Lab) -> None:
    main = await lab.start("sh", "-c", "echo mine >/tmp/mine; exec sleep 1000", name="web-0")
    env = base_environment("web-0")
    session = await lab.sandboxes.execute(
        main, Command(("sh", "-c", "hostname; cat /tmp/mine; echo no >&2"), env)
    )
    assert await finished(session) == (0, "web-0\nmine\n", "no\n")
    session = await lab.sandboxes.execute(main, Command(("ps", "-e", "-o", "comm="), env))
    assert (await finished(session))[1].split() == ["sleep", "ps"]
    session = await lab.sandboxes.execute(main, Command(("cat",), env, stdin=True))
    await session.write(b"x" * 300_000)
    await session.close_stdin()
    assert (await finished(session))[1] == "x" * 300_000
    for argv, code in (
        (("sh", "-c", "exit 9"), 9),
        (("sh", "-c", "kill -TERM $$"), 143),
        (("nslookups",), 127),
        (("/etc/hosts",), 126),
    ):
        session = await lab.sandboxes.execute(main, Command(argv, env))
        exited, _, complaint = await finished(session)
        assert exited == code
        if code == 127:
            assert complaint == 'exec: "nslookups": executable file not found in $PATH\n'
    await main.kill(0)
    with pytest.raises(NetlabError, match="not running"):
        await lab.sandboxes.execute(main, Command(("true",), env))


async def test_the_environment_is_the_containers_whatever_its_names(lab: Lab) -> None:
    """Names that no shell keeps, that change how programs load, that mark what is the lab's own."""
    odd = {"a.b-c": "1", "place": "here", "hint": "two\nlines", "IFS": "x", "PATH": "/bin:/usr/bin"}

    def variables(said: str) -> set[str]:
        return {entry for entry in said.split("\0") if entry}

    # HOME is what /etc/passwd says where nobody says otherwise, as with runc. No NETLAB_OWNER:
    # a pod's processes are found by the pod they are in.
    expected = {f"{name}={value}" for name, value in {**odd, "HOME": "/root"}.items()}
    command = Command(("env", "-0"), odd)
    started = await lab.sandboxes.start(lab.place(), "main", command)
    assert (await started.wait()).code == 0
    assert variables(said(started)) == expected
    main = await lab.start("sleep", "1000")
    assert variables((await finished(await lab.sandboxes.execute(main, command)))[1]) == expected
    loading = Command(("true",), {"PATH": "/bin:/usr/bin", "LD_PRELOAD": "/no/such.so"})
    _, _, complaint = await finished(await lab.sandboxes.execute(main, loading))
    assert complaint.count("/no/such.so") == 1, "our own tools are not to load it"


async def test_a_containers_own_terminal_has_a_name(lab: Lab) -> None:
    # crun names it as the first of the pod's own terminals; /dev/console is the same.
    same = "tty; stat -c %t:%T:%i $(tty) /dev/console | uniq | wc -l"
    assert await lab.output("sh", "-c", same, tty=True) == (0, "/dev/pts/0\r\n1\r\n")
    code, said = await lab.output("sh", "-c", "test -e /dev/console", name="web-0")
    assert (code, said) == (1, ""), "only where there is a terminal"


async def test_a_terminal_has_size_job_control_and_a_name_in_the_pod(lab: Lab) -> None:
    main = await lab.start("sleep", "1000")
    env = base_environment("debug", tty=True)
    session = await lab.sandboxes.execute(main, Command(("sh", "-i"), env, tty=True, stdin=True))
    screen = session.stdout()
    await session.resize(132, 43)
    await session.write(b"stty size; tty; echo $((20+22))\n")
    seen = await read_until(session, "42\r\n", screen)
    assert "43 132\r\n/dev/pts/0\r\n" in seen
    await session.write(b"sleep 1000\n")
    await asyncio.sleep(0.2)
    await session.write(b"\x03")  # Ctrl-C ends the sleep, not the shell
    await session.write(b"exit 6\n")
    async with asyncio.timeout(5):
        async for _ in screen:
            pass
        assert await session.wait() == 6
    await session.kill()


async def test_a_session_given_up_leaves_no_process(lab: Lab) -> None:
    main = await lab.sandboxes.idle(lab.place())
    for tty in (False, True):
        script = "sleep 1000 & sleep 1000 | cat & echo up; sleep 1000"
        command = Command(("sh", "-c", script), base_environment("debug"), tty=tty)
        session = await lab.sandboxes.execute(main, command)
        await read_until(session, "up", session.stdout())
        assert len(processes_in(main.init)) > 3
        await session.kill()
        async with asyncio.timeout(5):
            while processes_in(main.init) != [main.init]:
                await asyncio.sleep(0.01)
    before = descriptors()
    session = await lab.sandboxes.execute(
        main, Command(("true",), base_environment("debug"), stdin=True)
    )
    await finished(session)
    await asyncio.sleep(0.05)
    assert descriptors() <= before


async def test_a_pod_without_processes_gets_one_to_be_entered(lab: Lab) -> None:
    place = lab.place("web-0")
    first, second = await asyncio.gather(lab.sandboxes.idle(place), lab.sandboxes.idle(place))
    assert first.init == second.init
    env = base_environment("web-0")
    # what a command leaves behind is reaped: no zombie stays
    session = await lab.sandboxes.execute(
        first, Command(("sh", "-c", "(sleep 0.01 &); hostname"), env)
    )
    assert await finished(session) == (0, "web-0\n", "")
    await asyncio.sleep(0.1)
    session = await lab.sandboxes.execute(first, Command(("ps", "-e", "-o", "comm="), env))
    assert (await finished(session))[1].split() == ["sleep", "ps"]
    await asyncio.wait_for(first.kill(grace=30), 2)
    await lab.sandboxes.remove(place.uid)
    assert await lab.sandboxes.processes() == {}


async def test_who_goes_on_typing_hears_how_a_quick_command_ended(lab: Lab) -> None:
    """What is sent to a process that has ended must not cost what it said last: its exit code."""
    main = await lab.start("sleep", "1000")

    async def quick(tty: bool) -> tuple[int, str]:
        env = base_environment("debug", tty=tty)
        command = Command(("sh", "-c", "echo out; exit 3"), env, tty=tty, stdin=True)
        session = await lab.sandboxes.execute(main, command)
        typing = asyncio.create_task(_type(session))
        try:
            code, said, _ = await finished(session)
        finally:
            await cancel(typing)
        return code, said.replace("\r", "")

    for _ in range(3):
        ended = await asyncio.gather(*(quick(tty=number % 2 == 0) for number in range(6)))
        assert all(code == 3 for code, _ in ended), ended
        assert all("out\n" in said for _, said in ended), ended


async def _type(session: ExecSession) -> None:
    while True:
        await session.resize(80, 24)
        await session.write(b"\n")
        await asyncio.sleep(0)


async def test_output_waits_for_who_attaches_late(lab: Lab) -> None:
    quick = await lab.start("echo", "too quick", name="quick")
    await quick.wait()
    session = await quick.attach()
    assert await text_of(session.stdout()) == "too quick\n"
    assert await session.wait() == 0
    await session.kill()

    shell = await lab.start("sh", name="shell", tty=True, stdin=True, stdin_once=True)
    session = await shell.attach()
    screen = session.stdout()
    await session.resize(100, 30)
    await session.write(b"stty size; exit 5\n")
    assert "30 100\r\n" in await read_until(session, "30 100", screen)
    assert await asyncio.wait_for(session.wait(), 5) == 5
    await session.kill()

    filtering = await lab.start("cat", name="cat", stdin=True, stdin_once=True)
    session = await filtering.attach()
    await session.write(b"through")
    assert await read_until(session, "through", session.stdout()) == "through"
    await session.kill()  # stdinOnce: the input ends with the one who gave it
    assert (await asyncio.wait_for(filtering.wait(), 5)).code == 0


async def test_without_stdin_once_the_input_outlives_who_gave_it(lab: Lab) -> None:
    reading = await lab.start("cat", name="cat", stdin=True)
    for word in ("one", "two"):
        session = await reading.attach()
        await session.write(word.encode())
        assert await read_until(session, word, session.stdout()) == word
        await session.close_stdin()
        async with asyncio.timeout(5):
            assert await text_of(session.stdout()) == ""  # he has gone, and the process has not
        await session.kill()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reading.wait(), 0.2)


async def test_logs_have_times_and_streams_and_can_be_followed(lab: Lab) -> None:
    script = "echo one; sleep 0.05; echo two >&2; sleep 0.05; printf three"
    talking = await lab.start("sh", "-c", script)
    entries = [entry async for entry in talking.follow_log()]
    assert [(entry.stream, entry.data) for entry in entries] == [
        ("stdout", b"one\n"), ("stderr", b"two\n"), ("stdout", b"three"),
    ]  # fmt: skip
    assert sorted(entry.time for entry in entries) == [entry.time for entry in entries]
    assert list(crilog.read(talking.log)) == entries


async def test_processes_outlive_the_controller_and_are_adopted(lab: Lab) -> None:
    await lab.start("sleep", "1000", name="one")
    await (await lab.start("sh", "-c", "exit 4", name="two")).wait()
    await lab.keeper.detach()
    lab.keeper = RuntimeKeeper(lab.directory, lab.owner)
    adopted = await Sandboxes(lab.keeper.calls).processes()
    assert adopted[("uid-one", "main")].ended is None
    two = adopted[("uid-two", "main")].ended
    assert two is not None
    assert two.code == 4
    ended = await adopted[("uid-one", "main")].kill(0)
    assert ended.code == 137


async def test_what_runs_dies_with_the_lab_and_not_with_the_runtime(lab: Lab) -> None:
    """Nothing holds on to the runtime: what it leaves, the next one or the teardown ends."""
    started = await lab.start("sh", "-c", "sleep 1000 & exec sleep 1000")
    async with asyncio.timeout(5):  # it executes one program after the other
        while Path(f"/proc/{started.init}/comm").read_text() != "sleep\n":
            await asyncio.sleep(0.01)
    inside = processes_in(started.init)
    assert len(inside) == 2
    assert not [pid for pid in inside if b"NETLAB" in Path(f"/proc/{pid}/environ").read_bytes()]
    ended = os.pidfd_open(started.init)
    os.kill(await lab.runtime(), 9)
    await lab.keeper.reached(lab.runtime)
    assert (await asyncio.to_thread(select.select, [ended], [], [], 5))[0]
    os.close(ended)
    assert processes_in(started.init, inside) == []
    assert await lab.sandboxes.processes() == {}


async def test_starting_fails_plainly_without_a_namespace(lab: Lab) -> None:
    place = lab.place()
    place = ContainerPlace(place.uid, place.directory, Path("/nowhere"), place.hostname)
    with pytest.raises(NetlabError, match="no network namespace nowhere"):
        await lab.sandboxes.start(place, "main", Command(("true",), {}))
    assert await lab.sandboxes.processes() == {}
    started = await lab.start("sleep", "1000")
    with pytest.raises(NetlabError, match="already runs"):
        await lab.start("sleep", "1000")
    await started.kill(0)
