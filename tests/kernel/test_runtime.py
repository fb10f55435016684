"""What keeps pods' processes: their ends, those of what they start, its own, and their inputs."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from kernel.sandboxes import (
    Lab,
    executed,
    finished,
    lives,
    processes_in,
    read_until,
    said,
)

from netlab.agents.runtime_keeper import RuntimeKeeper
from netlab.kernel import netns, occupants, process, teardown
from netlab.workload.calls import Gone
from netlab.workload.crun import Crun, StartFailed
from netlab.workload.reaper import Child, Reaper
from netlab.workload.sandbox import Command, Sandboxes, SandboxProcess, base_environment
from netlab.workload.volume import Mount

pytestmark = pytest.mark.root


async def gone(pids: list[int]) -> None:
    async with asyncio.timeout(5):
        while any(lives(pid) for pid in pids):
            await asyncio.sleep(0.01)


def beside(lab: Lab, main: SandboxProcess, *argv: str, **how: object):  # type: ignore[no-untyped-def]
    command = Command(argv, base_environment("debug"), **how)  # type: ignore[arg-type]
    return lab.sandboxes.execute(main, command)


# -- ends ------------------------------------------------------------------------------------------


async def reaping() -> None:
    reaper = Reaper()
    with reaper.expecting() as unclaimed:
        pids = [os.posix_spawn("/bin/sh", ["sh", "-c", f"exit {n}"], {}) for n in (0, 3)]
        killed = os.posix_spawn("/bin/sh", ["sh", "-c", "kill -9 $$"], {})
        for pid in (*pids, killed):  # all have ended and been collected
            async with asyncio.timeout(5):
                while Path(f"/proc/{pid}").exists():
                    await asyncio.sleep(0.005)
        claimed = [reaper.claim(pid, unclaimed) for pid in (*pids, killed)]
    assert [await ended for ended in claimed] == [0, 3, -9]
    later = os.posix_spawn("/bin/sleep", ["sleep", "0.05"], {})
    assert await asyncio.wait_for(reaper.claim(later), 5) == 0
    with reaper.expecting() as ended_before:
        unasked = os.posix_spawn("/bin/true", ["true"], {})
        async with asyncio.timeout(5):
            while Path(f"/proc/{unasked}").exists():
                await asyncio.sleep(0.005)
        with reaper.expecting() as since:
            pass
    assert (ended_before, since) == ({unasked: 0}, {}), "its number may be somebody else's soon"


def reap() -> None:
    asyncio.run(reaping())


def test_a_child_that_ends_before_it_is_asked_for() -> None:
    """In a process of its own: a reaper takes all children of its process."""
    process = multiprocessing.get_context("spawn").Process(target=reap)
    process.start()
    process.join(20)
    assert process.exitcode == 0


STOPPED = """
import os, signal, time
for leaves in (False, True):
    if not os.fork():
        os.setsid()
        if leaves and os.fork():
            os._exit(0)
        os.kill(os.getpid(), signal.SIGSTOP)
time.sleep(1000)
"""


async def giving_up(directory: Path) -> None:
    reaper = Reaper()
    argv = [sys.executable, "-c", STOPPED]
    names = [f"{name}-{os.getpid()}" for name in ("other", "crun")]  # no other run's
    other, pid = (os.posix_spawn(argv[0], [*argv, name], os.environ) for name in names)
    crun = Child(pid, reaper.claim(pid))

    def stopped(name: str) -> list[int]:
        """What became a child of its, and what was orphaned to us."""
        found = []
        for each in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):  # others of the machine's end meanwhile
                is_named = each.read_bytes().endswith(f"\0{name}\0".encode())
                if is_named and "State:\tT" in each.with_name("status").read_text():
                    found.append(int(each.parent.name))
        return found

    async with asyncio.timeout(10):
        while sum(len(stopped(name)) for name in names) < 4:
            await asyncio.sleep(0.01)
    family = stopped(names[1])
    with pytest.raises(StartFailed):
        await Crun(directory, reaper, None)._ended(crun, 0.05)
    assert await asyncio.wait_for(crun.wait(), 5) == -signal.SIGKILL
    await gone(family)
    others = stopped(names[0])
    assert len(others) == 2
    for each in (other, *others):
        os.kill(each, signal.SIGKILL)


def give_up(directory: Path) -> None:
    asyncio.run(giving_up(directory))


def test_what_was_stopped_while_it_started_is_given_up_with_all_that_it_began(
    tmp_path: Path,
) -> None:
    """A pod can stop the part of crun that has entered it."""
    process = multiprocessing.get_context("spawn").Process(target=give_up, args=(tmp_path,))
    process.start()
    process.join(20)
    assert process.exitcode == 0


async def test_a_container_that_forks_away_is_over_with_its_first_process(lab: Lab) -> None:
    """What a daemon leaves in the background has lost its PID namespace's init: it ends with it."""
    script = "(setsid sleep 1000 </dev/null >/dev/null 2>&1 &) ; sleep 0.2; echo forked; exit 4"
    started = await lab.start("sh", "-c", script)
    inside = processes_in(started.init)
    ended = await asyncio.wait_for(started.wait(), 10)
    assert (ended.code, said(started)) == (4, "forked\n")
    await gone(inside)
    assert processes_in_pods(lab) == []


def processes_in_pods(lab: Lab) -> list[int]:
    lives_here = occupants._membership([lab.netns])
    return [pid for pid in process.ids() if lives_here(pid)]


async def test_an_orphan_is_collected_by_the_containers_first_process(lab: Lab) -> None:
    main = await lab.start("sh", "-c", "trap : CHLD; while :; do sleep 0.05; done")
    code, _, _ = await executed(main, lab, "sh", "-c", "(sleep 0.1 &)")
    assert code == 0
    code, _, _ = await executed(main, lab, "sh", "-c", "(sleep 1000 & echo $!)")
    assert code == 0, "its outputs are held open by what it left, and it ends all the same"
    states = (await executed(main, lab, "ps", "-o", "stat=,args=", "-e"))[1]
    assert "sleep 1000" in states
    assert not [line for line in states.splitlines() if line.startswith("Z")]
    await main.kill(0)


@pytest.mark.parametrize("tty", [False, True])
async def test_a_command_given_up_takes_its_children_along(lab: Lab, tty: bool) -> None:
    main = await lab.start("sleep", "1000")
    script = "sleep 1001 & (sleep 1002 | cat) & echo up; wait"
    session = await beside(lab, main, "sh", "-c", script, tty=tty)
    await read_until(session, "up", session.stdout())
    inside = processes_in(main.init)
    assert len(inside) >= 4
    await asyncio.wait_for(session.kill(), 5)
    await gone([pid for pid in inside if pid != main.init])
    assert processes_in(main.init) == [main.init]


async def test_a_command_given_up_while_it_starts_is_none(lab: Lab) -> None:
    main = await lab.start("sleep", "1000")
    given_up = 0
    for delay in (0.0, 0.002, 0.004, 0.008, 0.016, 0.032):
        starting = asyncio.create_task(beside(lab, main, "sleep", "1001"))
        await asyncio.sleep(delay)
        starting.cancel()
        try:
            await (await starting).kill()
        except asyncio.CancelledError:
            given_up += 1
    assert given_up >= 3
    await executed(main, lab, "true")
    async with asyncio.timeout(5):
        while processes_in(main.init) != [main.init]:
            await asyncio.sleep(0.01)


async def test_a_command_ends_with_the_controller_and_a_container_does_not(lab: Lab) -> None:
    main = await lab.start("sh", "-c", "while :; do echo tick; sleep 0.05; done")
    session = await beside(lab, main, "sh", "-c", "sleep 1000 & echo up; sleep 1000")
    await read_until(session, "up", session.stdout())
    async with asyncio.timeout(5):  # between fork and execution it is still sh
        while b"sleep\x001000\0" not in command_lines(main.init):
            await asyncio.sleep(0.01)
    session._writer.transport.abort()  # as when the controller is killed
    await lab.keeper.detach()
    async with asyncio.timeout(5):
        while b"sleep\x001000\0" in command_lines(main.init):
            await asyncio.sleep(0.01)
    size = main.log.stat().st_size
    async with asyncio.timeout(5):
        while main.log.stat().st_size == size:
            await asyncio.sleep(0.01)
    lab.keeper = RuntimeKeeper(lab.directory, lab.owner)
    again = (await Sandboxes(lab.keeper.calls).processes())[("uid-debug", "main")]
    assert (again.init, again.ended) == (main.init, None)
    await session.kill()


def command_lines(init: int) -> list[bytes]:
    found = []
    for pid in processes_in(init):
        try:
            found.append(Path(f"/proc/{pid}/cmdline").read_bytes())
        except OSError:
            continue
    return found


async def test_a_container_that_is_just_being_started_is_removed_too(lab: Lab) -> None:
    for delay in (0.0, 0.005, 0.02, 0.05):
        starting = asyncio.create_task(lab.start("sleep", "1000"))
        await asyncio.sleep(delay)
        await asyncio.wait_for(lab.sandboxes.remove("uid-debug"), 5)
        await starting
        await lab.sandboxes.remove("uid-debug")
        assert processes_in_pods(lab) == []
        assert await lab.sandboxes.processes() == {}


# -- inputs and outputs ----------------------------------------------------------------------------


async def test_outputs_bigger_than_any_pipe_come_whole(lab: Lab) -> None:
    size = 5_000_000
    main = await lab.start("sh", "-c", f"head -c {size} /dev/zero | tr '\\0' a; sleep 1000")
    script = f"head -c {size} /dev/zero | tr '\\0' o; head -c {size} /dev/zero | tr '\\0' e >&2"
    session = await beside(lab, main, "sh", "-c", script)
    code, out, err = await finished(session)
    assert (code, out == "o" * size, err == "e" * size) == (0, True, True)
    # what nobody reads holds back its writer, and nobody else
    held = await beside(lab, main, "sh", "-c", "yes")
    await asyncio.sleep(0.2)
    assert await executed(main, lab, "echo", "on") == (0, "on\n", "")
    await asyncio.wait_for(held.kill(), 5)
    assert not [line for line in command_lines(main.init) if line.startswith(b"yes")]


async def test_nothing_is_lost_on_who_reads_late_or_slowly(lab: Lab) -> None:
    """Also what is still in the pipes when the command has long ended."""
    size = 400_000
    script = f"head -c {size} /dev/zero | tr '\\0' o"
    main = await lab.start("sleep", "1000")
    session = await beside(lab, main, "sh", "-c", script)
    await asyncio.sleep(1.5)
    seen = 0
    async for chunk in session.stdout():
        seen += len(chunk)
        await asyncio.sleep(0.1)
    assert (seen, await session.wait()) == (size, 0)
    await session.kill()


async def test_who_attaches_to_a_flood_is_in_it(lab: Lab) -> None:
    started = await lab.start("yes")
    await asyncio.sleep(0.1)
    attached = await started.attach()
    seen = 0
    async with asyncio.timeout(10):
        async for chunk in attached.stdout():
            assert set(chunk) <= set(b"y\n")
            seen += len(chunk)
            if seen > 1_000_000:
                break
    await attached.kill()
    assert (await asyncio.wait_for(started.kill(0), 10)).code == 137


async def test_terminals_have_the_size_they_are_given(lab: Lab) -> None:
    main = await lab.start("sleep", "1000")
    script = "trap 'stty size' WINCH; echo up; while :; do sleep 0.02; done"
    session = await beside(lab, main, "sh", "-c", script, tty=True, stdin=True)
    screen = session.stdout()
    await read_until(session, "up", screen)
    for columns, rows in ((80, 24), (132, 43), (1, 1), (500, 200)):
        await session.resize(columns, rows)
        await read_until(session, f"{rows} {columns}\r\n", screen)
    await session.kill()
    shell = await lab.start("sh", "-c", script, container="other", tty=True, stdin=True)
    attached = await shell.attach()
    screen = attached.stdout()
    await read_until(attached, "up", screen)
    await attached.resize(100, 30)
    await read_until(attached, "30 100\r\n", screen)
    await attached.kill()
    assert lives(shell.init), "who attached is gone, what was attached to is not"


# -- the runtime's own end -------------------------------------------------------------------------


def kill_runtime(lab: Lab, pid: int) -> None:
    ended = os.pidfd_open(pid)
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PIDFD, ended, os.WEXITED | os.WNOWAIT)
    os.close(ended)


async def test_what_a_killed_runtime_kept_ends_when_the_next_one_starts(lab: Lab) -> None:
    mounts = [Mount("pods/uid-debug/volumes/e", "/e", scratch="size=1m")]
    main = await lab.start("sh", "-c", "setsid sleep 1000 & sleep 1000", mounts=mounts)
    session = await beside(lab, main, "sleep", "1000")
    inside = processes_in(main.init)
    waiting = asyncio.create_task(main.wait())
    await asyncio.sleep(0)
    kill_runtime(lab, await lab.runtime())
    with pytest.raises(Gone):
        await waiting
    assert await asyncio.wait_for(session.wait(), 5) == 137
    await session.kill()
    assert any(lives(pid) for pid in inside), "nothing ends them but the next runtime"
    await lab.keeper.reached(lab.runtime)
    assert not any(lives(pid) for pid in inside)
    again = await lab.start("echo", "again", mounts=mounts)
    assert (await again.wait()).code == 0


async def test_a_teardown_needs_no_runtime(lab: Lab) -> None:
    inside = []
    main = await lab.start("sh", "-c", "setsid sleep 1000 & unshare -Ur true; sleep 1000")
    await asyncio.sleep(0.1)
    inside.extend(processes_in(main.init))
    kill_runtime(lab, await lab.runtime())
    assert len(inside) == 3
    assert all(lives(pid) for pid in inside)
    teardown.teardown(lab.directory)
    assert not any(lives(pid) for pid in inside)
    assert not lab.directory.exists()


async def test_a_second_runtime_leaves_the_first_ones_containers_alone(lab: Lab) -> None:
    main = await lab.start("sleep", "1000")
    argv = ["-m", "netlab.workload.runtime", str(lab.directory)]
    second = await asyncio.to_thread(
        subprocess.run, [sys.executable, *argv], capture_output=True, text=True, timeout=20
    )
    assert second.returncode != 0
    assert "another process listens" in second.stderr
    assert lives(main.init)
    assert await executed(main, lab, "echo", "on") == (0, "on\n", "")


# -- who lives in a pod ----------------------------------------------------------------------------


async def test_who_lives_in_a_pod_is_found_and_who_visits_is_not(lab: Lab) -> None:
    """Wherever a process of a pod's has gone, it is below the pod's user namespace."""
    assert lab.ids is not None
    main = await lab.start("sleep", "1000")
    visitor = netns_exec(lab.netns, "sleep", "1000")
    machine = subprocess.Popen(["sleep", "1000"])
    nested = await asyncio.to_thread(nested_in, f"/proc/{main.init}/ns/user")
    try:
        found = processes_in_pods(lab)
        assert {main.init, nested.pid} <= set(found)
        assert not {visitor.pid, machine.pid, os.getpid(), await lab.runtime()} & set(found)
        await asyncio.to_thread(occupants.end, lab.directory)
        assert not lives(main.init)
        assert not lives(nested.pid)
        assert visitor.poll() is machine.poll() is None
    finally:
        for each in (visitor, machine, nested):
            each.kill()
            each.wait()


def netns_exec(path: Path, *argv: str) -> subprocess.Popen[bytes]:
    """As `ip netns exec` does it: the network namespace alone."""
    with netns.entered(path):
        return subprocess.Popen(argv)


def nested_in(users: str) -> subprocess.Popen[bytes]:
    """A process in a user namespace below one, and in no other namespace of the pod's."""
    argv = ["nsenter", f"--user={users}", "unshare", "--user", "--net", "sleep", "1001"]
    nested = subprocess.Popen(argv)
    for _ in range(500):
        if Path(f"/proc/{nested.pid}/cmdline").read_bytes().startswith(b"sleep\0"):
            break
        subprocess.run(["sleep", "0.01"], check=True)
    return nested


async def test_without_user_namespaces_a_pods_processes_are_told_by_two_others(lab: Lab) -> None:
    lab.use_namespace_without_users()
    visitor = netns_exec(lab.netns, "sleep", "1000")
    try:
        main = await lab.start("sh", "-c", "sleep 1000 & wait")
        await asyncio.sleep(0.1)
        assert sorted(processes_in_pods(lab)) == sorted(processes_in(main.init))
        await asyncio.to_thread(occupants.end_in, [lab.netns])
        assert not lives(main.init)
        assert visitor.poll() is None
    finally:
        visitor.kill()
        visitor.wait()


async def test_a_short_command_on_a_terminal_is_heard(lab: Lab) -> None:
    """A terminal's end is an error for who reads it, which may come with what was said before."""
    main = await lab.start("sleep", "1000")
    for number in range(40):
        argv = ("echo", f"this is {number}")
        session = await lab.sandboxes.execute(main, Command(argv, {"PATH": "/bin"}, tty=True))
        code, out, _ = await finished(session)
        assert (code, out) == (0, f"this is {number}\r\n")
