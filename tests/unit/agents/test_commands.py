"""Commands in containers: for exec, for probes, for hooks."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from netlab.agents.commands import OUTPUT_LIMIT, Commands, command_of
from netlab.agents.podrun import PodRun
from netlab.agents.probes.actions import Actions
from netlab.agents.probes.attempt import GOOD, ProbeOutcome
from netlab.errors import BadRequest, NotFound

T0 = "2026-01-01T00:00:00Z"
EXEC = {"exec": {"command": ["cat", "/ready"]}}


class Session:
    """A command: what it says, how it ends, and after how many seconds."""

    def __init__(self, code: int = 0, out: bytes = b"", err: bytes = b"", seconds: float = 0.0):
        self._code, self._out, self._err, self._seconds = code, out, err, seconds
        self.killed = False

    async def stdout(self) -> Any:
        for at in range(0, len(self._out), 1000):
            yield self._out[at : at + 1000]

    async def stderr(self) -> Any:
        yield self._err

    async def wait(self) -> int:
        await asyncio.sleep(self._seconds)
        return self._code

    async def kill(self) -> None:
        self.killed = True


class Sandboxes:
    def __init__(self) -> None:
        self.session = Session()
        self.executed: list[tuple[Any, Any]] = []

    async def execute(self, process: Any, command: Any, *, inherits: bool) -> Session:
        self.executed.append((process, command))
        self.inherited = inherits
        return self.session

    async def idle(self, place: Any) -> str:
        return f"idle in {place}"

    async def processes(self) -> dict[tuple[str, str], str]:
        return {("u", "c"): "its own"}


class Places:
    async def place(self, run: PodRun) -> str:
        return run.key


class Configuration:
    def environment(self, _run: PodRun, container: str, seen: int | None) -> dict[str, str]:
        return {"CONTAINER": container, "SEEN": str(seen)}


@pytest.fixture
def sandboxes() -> Sandboxes:
    return Sandboxes()


@pytest.fixture
def commands(sandboxes, keeper):
    return Commands(sandboxes, keeper, Places(), Configuration())


@pytest.fixture
def running(pod_run):
    """A container that is a command, and one that is a built-in server; both run."""
    run = pod_run({"name": "c", "command": ["sleep", "1"]}, {"name": "web", "image": "nginx"})
    for name in run.names:
        run.state(name).begin(T0, "id")
    run.processes["c"] = "the process of c"
    return run


async def test_a_command_enters_the_container_s_own_process(commands, sandboxes, running):
    await commands.start(running, "c", ["env"], stdin=True, tty=True)
    ((process, command),) = sandboxes.executed
    assert process == "the process of c"
    assert (command.argv, command.stdin, command.tty) == (("env",), True, True)
    assert sandboxes.inherited, "its environment, whatever has changed since"
    assert command.env["TERM"]


async def test_where_there_is_no_process_one_stands_in(commands, sandboxes, running):
    running.state("web").services_seen = 4
    await commands.run(running, "web", ["true"], 1.0)
    ((process, command),) = sandboxes.executed
    assert (process, sandboxes.inherited) == ("idle in n/p", False)
    assert (command.env["CONTAINER"], command.env["SEEN"]) == ("web", "4")
    assert "TERM" not in command.env


async def test_who_waits_for_somebody_to_come_in_may_make_it_a_process(
    commands, sandboxes, running
):
    async def entering(run: PodRun, container: str) -> None:
        run.entered.add(container)
        run.processes[container] = f"now the process of {container}"

    commands.entering = entering
    await commands.start(running, "web", ["true"], stdin=False, tty=False)
    ((process, _),) = sandboxes.executed
    assert (process, sandboxes.inherited) == ("now the process of web", True)


async def test_nothing_is_run_in_what_does_not_run(commands, running):
    running.state("c").end(T0, 0)
    with pytest.raises(BadRequest, match="it is not running"):
        await commands.run(running, "c", ["true"], 1.0)
    running.state("c").begin(T0, "id")
    running.processes.clear()  # it is just ending
    with pytest.raises(NotFound, match="has no process"):
        await commands.run(running, "c", ["true"], 1.0)


async def test_a_probe_s_output_is_kept_as_far_as_a_kubelet_does(commands, sandboxes, running):
    sandboxes.session = Session(3, b"x" * 2 * OUTPUT_LIMIT, b"err\xff")
    ran = await commands.run(running, "c", ["loud"], 5.0)
    assert ran.code == 3
    assert ran.output == "x" * OUTPUT_LIMIT + "err\ufffd"
    assert sandboxes.session.killed


async def test_a_command_that_takes_too_long_is_killed(commands, sandboxes, running):
    sandboxes.session = Session(seconds=60.0)
    with pytest.raises(TimeoutError):
        await commands.run(running, "c", ["sleep", "60"], 0.02)
    assert sandboxes.session.killed


async def test_the_process_of_a_server_is_none(commands, running):
    assert await commands.process(running, "c") == "its own"
    assert await commands.process(running, "web") is None


def test_a_command_is_run_as_the_container_s_entry_wants_it(pod_run):
    entry = {
        "name": "c",
        "tty": True,
        "stdin": True,
        "stdinOnce": True,
        "workingDir": "/srv",
        "securityContext": {"runAsUser": 7},
    }
    command = command_of(pod_run(entry), "c", ["id"], {"A": "b", "PATH": "/mine"})
    assert (command.tty, command.stdin, command.stdin_once) == (True, True, True)
    assert (command.directory, command.privileges.user) == ("/srv", 7)
    assert (command.env["A"], command.env["PATH"]) == ("b", "/mine")
    assert command.env["HOSTNAME"] == "p"
    plain = command_of(pod_run(entry), "c", ["id"], {}, tty=False, stdin=False)
    assert (plain.tty, plain.stdin) == (False, False)


# -- as probes and hooks use them ------------------------------------------------------------------


@pytest.fixture
def actions(commands, tmp_path):
    return Actions(commands, lambda node: tmp_path / node)


@pytest.mark.parametrize(
    ("session", "outcome"),
    [
        (Session(0, b"fine"), GOOD),
        (Session(1, b"not ", b"yet"), ProbeOutcome(False, "not yet")),
        (
            Session(seconds=60.0),
            ProbeOutcome(False, 'command timed out: "cat /ready" timed out after 0.02s'),
        ),
    ],
)
async def test_what_a_command_s_end_means_to_a_probe(actions, sandboxes, running, session, outcome):
    sandboxes.session = session
    assert await actions.attempt(running, "c", EXEC, 0.02 if session._seconds else 5.0) == outcome
