"""A program of the machine's in a pod, by a table: a small web server in a second entry."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import needs
import pytest
import yaml
from msgspec.structs import replace

from netlab.agents import containerlogs, podprograms
from netlab.agents.certificates import PodCertificates
from netlab.agents.changes import Changes
from netlab.agents.containerlogs import LogOptions
from netlab.agents.containers import PodContainers
from netlab.agents.lifecycle import Lifecycle
from netlab.agents.podevents import PodEvents
from netlab.agents.podgroups import PodGroups
from netlab.agents.podprograms import OneInEachPod, PodPrograms, program_log
from netlab.agents.podrun import PodRun, new_run
from netlab.agents.probes.prober import Prober
from netlab.agents.unready import unready
from netlab.agents.vigil import Vigil
from netlab.errors import CommandFailed
from netlab.kernel import netns, process, userns
from netlab.kernel.cgroups import Groups, lab_groups
from netlab.retry import Retry
from netlab.workload import behaviour, catalogue
from netlab.workload.bounds import PIDS
from netlab.workload.confined_program import LARGEST_FILE, ConfinedProgram
from netlab.workload.pod_program import PodProgram, ProgramContext
from netlab.workload.program import Program

pytestmark = pytest.mark.root

PORT = 80

PYTHON = str(Path(sys.executable).resolve())

SCRIPT = """
import http.server, pathlib, signal, sys
file, state = (pathlib.Path(word) for word in sys.argv[1:])
def load(*_):
    global text
    text = file.read_text()
    if "Hello" not in text:
        sys.exit(f"{file.name}: no greeting in {text!r}")
load()
if state.name == "check":
    sys.exit()
signal.signal(signal.SIGHUP, load)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(text.encode())
(state / "began").touch()
http.server.HTTPServer(("", int(file.with_name("port").read_text())), Handler).serve_forever()
"""


def words(place: ProgramContext) -> tuple[str, ...]:
    return (PYTHON, "-I", "-c", SCRIPT, f"{place.config}/greeting", str(place.state))


GREETER = PodProgram(
    "greeter",
    port=PORT,
    user=9,
    arguments=words,
    check=lambda place: (*words(place)[:-1], "check"),
    files=lambda place: {"greeting": f"Hello from {place.ips[0]}", "port": str(PORT)},
    read=(Path(sys.base_prefix) / "lib",),
)

POD = {
    "metadata": {"name": "p", "namespace": "n", "uid": "u"},
    "spec": {"containers": [{"name": "c", "image": "example.com/greeter:1"}]},
}

CATALOGUE = """
registries: {}
programs:
  - {match: ["example.com/greeter"], kind: program, program: greeter}
sites: {}
tools: {}
unknown: {}
"""


class Recorder:
    def __init__(self) -> None:
        self.said: list[str] = []

    def normal(self, _obj: object, reason: str, _message: str, **_: object) -> None:
        self.said.append(reason)

    warning = normal


class Nothing:
    """Stands for what these pods have none of: processes, volumes, built-in servers."""

    def __getattr__(self, name: str) -> Any:
        async def nothing(*_: object, **__: object) -> None:
            return None

        def not_adoptable(*_: object, **__: object) -> bool:
            return False

        at_once = ("is_adoptable", "on_restart", "prepare", "check_paths")
        return not_adoptable if name in at_once else nothing


class Configuration(Nothing):
    changes = Changes()

    changes = Changes()

    def environment(self, _run: PodRun, _name: str) -> dict[str, str]:
        return {}


class Controller:
    """The part of a node's agent that is tried."""

    def __init__(self, owner: str, entry: PodProgram = GREETER) -> None:
        self.recorder = Recorder()
        self.vigil = Vigil()
        groups = PodGroups(owner)
        self.greeters = OneInEachPod(entry, owner, self.vigil, groups)
        events = PodEvents(self.recorder)  # type: ignore[arg-type]
        nothing: Any = Nothing()
        lifecycle = Lifecycle(events, Prober(nothing, events), nothing)
        self.containers = PodContainers(
            nothing,
            nothing,
            PodPrograms({"greeter": self.greeters}, lifecycle, groups, Changes()),
            nothing,
            Configuration(),  # type: ignore[arg-type]
            nothing,
            lifecycle,
            PodCertificates(nothing, nothing, nothing, ""),
            nothing,
        )


@pytest.fixture
def owner() -> Iterator[str]:
    owner = str(uuid.uuid4())
    yield owner
    process.end_owned(owner)
    Groups(owner).remove()


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PodRun]:
    """A pod that has its namespace, and whose image the catalogue knows."""
    images = catalogue.read(yaml.safe_load(CATALOGUE))
    monkeypatch.setattr(behaviour, "catalogue", lambda: images)
    place = tmp_path / "pod"
    os.close(netns.create(place))
    try:
        with netns.entered(place):
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
            # as pods have it
            Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").write_text("0")
        yield new_run(POD, "w1", ("10.244.1.2",), place, tmp_path / "u")
    finally:
        netns.remove(place)


def page(run: PodRun) -> str:
    with netns.entered(run.netns):
        sock = socket.socket()
    with sock:
        sock.settimeout(10)
        try:
            sock.connect(("127.0.0.1", PORT))
        except ConnectionRefusedError:
            return ""
        sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
        with sock.makefile("rb") as answer:
            return answer.read().partition(b"\r\n\r\n")[2].decode()


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.01)


async def shows(run: PodRun, text: str) -> None:
    while await asyncio.to_thread(page, run) != text:
        await asyncio.sleep(0.01)


async def test_a_pod_of_its_image_runs_it_until_the_pod_goes(run: PodRun, owner: str) -> None:
    here = Controller(owner)
    await here.containers.start([run])
    await until(lambda: run.state("c").ready)
    assert await asyncio.to_thread(page, run) == "Hello from 10.244.1.2"
    assert here.recorder.said == ["Pulled", "Created", "Started"]
    program = here.greeters.of(run, "c")
    assert program.pid is not None
    status = Path(f"/proc/{program.pid}/status").read_text()
    assert f"Uid:\t{userns.daemon_id(owner, 9)}\t" in status
    assert "CapBnd:\t0000000000000000" in status
    assert list(run.directory.glob("programs/c/state/*")) == [
        run.directory / "programs/c/state/began"
    ]
    await here.containers.stop(run, 0.0)
    assert page(run) == ""
    assert process.owned(owner) == []


async def test_what_goes_wrong_unforeseen_is_said_and_tried_again(
    run: PodRun, owner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of its record, and once it runs: it is one process all the same."""
    monkeypatch.setattr(podprograms, "RETRY", Retry(0.01, 0.01))
    surprises = [ZeroDivisionError("of a record"), KeyError("port")]

    def surprising(place: ProgramContext) -> tuple[str, ...]:
        if surprises:
            raise surprises.pop()
        return words(place)

    here, said, stuck = Controller(owner, replace(GREETER, arguments=surprising)), [], []

    def changed(run: PodRun) -> None:
        said.append((run.state("c").waiting, run.state("c").message))
        stuck.extend(unready([run]))

    run.on_change, watch = changed, here.vigil.watch

    def watched(program: Program) -> None:
        monkeypatch.setattr(here.vigil, "watch", watch)
        raise RuntimeError("it is up")

    monkeypatch.setattr(here.vigil, "watch", watched)
    await here.containers.start([run])
    await until(lambda: run.state("c").ready)
    words_of = [f"unexpected error: {error}" for error in (
        "KeyError('port')", "ZeroDivisionError('of a record')", "RuntimeError('it is up')"
    )]  # fmt: skip
    assert said == [*(("CreateContainerError", text) for text in words_of), ("", "")]
    assert stuck == [("n/p", True)] * 3
    assert here.recorder.said == ["Failed"] * 3 + ["Pulled", "Created", "Started"]
    assert len(process.owned(owner)) == 1
    keepers = [task for task in asyncio.all_tasks() if task.get_name() == "greeter of pod n/p"]
    assert len(keepers) == 1
    await here.containers.stop(run, 0.0)


async def test_what_bounds_its_pod_bounds_it_and_goes_with_it(run: PodRun, owner: str) -> None:
    needs.control_groups()
    here = Controller(owner)
    await here.containers.start([run])
    await until(lambda: run.state("c").ready)
    program, groups = here.greeters.of(run, "c"), Groups(owner)
    assert groups.members("u") == [program.pid]
    usage = groups.usage("u")
    assert (usage.pids, bool(usage.memory)) == (1, True)
    limits = Path(f"/proc/{program.pid}/limits").read_text()
    assert re.search(rf"Max file size +{LARGEST_FILE} +{LARGEST_FILE} ", limits)
    ignored = re.search(r"SigIgn:\t(\w+)", Path(f"/proc/{program.pid}/status").read_text())
    assert ignored and int(ignored[1], 16) >> (signal.SIGXFSZ - 1) & 1
    files = [file for group in lab_groups(owner) for file in group.glob("pod*/pids.max")]
    assert {int(file.read_text()) for file in files} == {PIDS}
    await here.containers.stop(run, 0.0)
    assert [each for group in lab_groups(owner) for each in group.glob("pod*")] == []


async def test_it_goes_by_new_files_and_never_by_those_that_its_check_refuses(
    run: PodRun, owner: str
) -> None:
    here = Controller(owner)
    await here.containers.start([run])
    await until(lambda: run.state("c").ready)
    program = here.greeters.of(run, "c")
    pid = program.pid
    files = {"greeting": "Hello again", "port": str(PORT)}
    await program.configure(files)
    await shows(run, "Hello again")
    with pytest.raises(CommandFailed) as refused:
        await program.configure({**files, "greeting": "Go away"})
    assert refused.value.stderr.strip() == "greeting: no greeting in 'Go away'"
    program.reload()
    await asyncio.sleep(0.1)
    assert await asyncio.to_thread(page, run) == "Hello again"
    assert program.pid == pid
    await here.containers.stop(run, 0.0)


async def test_it_is_adopted_as_it_was_and_started_again_when_it_is_killed(
    run: PodRun, owner: str
) -> None:
    before = Controller(owner)
    await before.containers.start([run])
    await until(lambda: run.state("c").ready)
    program = before.greeters.of(run, "c")
    await program.configure({"greeting": "Hello, you", "port": str(PORT)})
    await shows(run, "Hello, you")
    await before.containers.detach()
    here = Controller(owner)
    again = new_run(POD, run.node, run.ips, run.netns, run.directory)
    again.renewed = False
    await here.containers.start([again])
    await until(lambda: again.state("c").ready)
    adopted = here.greeters.of(again, "c")
    assert adopted.pid == program.pid
    assert await asyncio.to_thread(page, again) == "Hello, you"
    assert adopted.pid is not None
    os.kill(adopted.pid, signal.SIGKILL)
    await until(lambda: again.state("c").restarts == 1 and again.state("c").ready)
    assert adopted.pid != program.pid
    assert here.recorder.said == ["Pulled", "Created", "Started"] * 2
    assert await asyncio.to_thread(page, again) == "Hello, you"
    await here.containers.stop(again, 0.0)
    assert process.owned(owner) == []


async def test_what_a_former_controller_left_ends_with_its_pod(run: PodRun, owner: str) -> None:
    before = Controller(owner)
    await before.containers.start([run])
    await until(lambda: run.state("c").ready)
    await before.containers.detach()
    assert len(process.owned(owner)) == 1
    await Controller(owner).containers.stop(run, 0.0)
    assert process.owned(owner) == []


async def test_what_keeps_it_from_starting_is_said_in_its_own_words_and_tried_again(
    run: PodRun, owner: str
) -> None:
    rude = replace(GREETER, files=lambda _: {"greeting": "Go away", "port": str(PORT)})
    here = Controller(owner, rude)
    await here.containers.start([run])
    await until(lambda: bool(run.state("c").message))
    assert run.state("c").waiting == "CreateContainerError"
    assert "exited 1: greeting: no greeting in 'Go away'" in run.state("c").message
    assert here.recorder.said == ["Failed"]
    program = here.greeters.of(run, "c")
    await program.configure({"greeting": "Hello at last", "port": str(PORT)})
    await until(lambda: run.state("c").ready)
    assert await asyncio.to_thread(page, run) == "Hello at last"
    await here.containers.stop(run, 0.0)


async def test_its_log_is_what_it_says(run: PodRun, owner: str) -> None:
    here = Controller(owner)
    assert program_log(run, "c") is None
    await here.containers.start([run])
    await until(lambda: run.state("c").ready)
    for _ in range(3):
        await asyncio.to_thread(page, run)
    log = program_log(run, "c")
    assert log is not None
    await until(lambda: log.read_text().count("GET") == 3)
    options = LogOptions(follow=True, tail=2, since=None, timestamps=False)
    lines = containerlogs.of_program(log, run, "c", options)
    assert [b"GET" in (await anext(lines)).data for _ in range(2)] == [True, True]
    await asyncio.to_thread(page, run)
    assert b"GET" in (await anext(lines)).data
    await here.containers.stop(run, 0.0)
    run.state("c").end("", 0)
    assert [line async for line in lines] == []


async def test_one_that_stands_still_is_told_of(run: PodRun, owner: str) -> None:
    here = Controller(owner)
    here.vigil._interval, here.vigil._patience = 0.01, 1.5
    await here.containers.start([run])
    await until(lambda: run.state("c").ready)
    program = here.greeters.of(run, "c")
    assert program.pid is not None
    with stopped(program):
        await until(lambda: bool(list(here.vigil.lacking())))
        (line,) = here.vigil.lacking()
        assert line.startswith(f"greeter of pod n/p (process {program.pid}) does not answer")
    await until(lambda: not list(here.vigil.lacking()))
    await here.containers.stop(run, 0.0)
    await here.vigil.stop()


@contextlib.contextmanager
def stopped(program: ConfinedProgram) -> Iterator[None]:
    assert program.pid is not None
    os.kill(program.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(program.pid, signal.SIGCONT)


async def test_scratch_is_its_own_and_its_log_may_be_opened_by_name(
    run: PodRun, owner: str
) -> None:
    here = Controller(owner, replace(GREETER, scratch=True, opens_log=True))
    await here.containers.start([run])
    await until(lambda: run.state("c").ready)
    program = here.greeters.of(run, "c")
    assert list(run.directory.glob("programs/c/state/*")) == []
    inside = Path(f"/proc/{program.pid}/root")
    state = inside / (run.directory / "programs/c/state").relative_to("/")
    assert (state / "began").exists()
    assert os.statvfs(state).f_blocks * os.statvfs(state).f_frsize == 64 << 20
    log = inside / program.log.relative_to("/")
    assert log.stat().st_ino == program.log.stat().st_ino
    assert log.stat().st_uid == userns.daemon_id(owner, 9)
    assert [each.name for each in log.parent.iterdir() if each.is_file()] == [log.name]
    await here.containers.stop(run, 0.0)


async def test_a_log_that_begins_anew_is_followed_on(run: PodRun, owner: str) -> None:
    here = Controller(owner)
    await here.containers.start([run])
    await until(lambda: run.state("c").ready)
    for _ in range(3):
        await asyncio.to_thread(page, run)
    log = program_log(run, "c")
    assert log is not None
    await until(lambda: log.read_text().count("GET") == 3)
    options = LogOptions(follow=True, tail=1, since=None, timestamps=False)
    lines = containerlogs.of_program(log, run, "c", options)
    await anext(lines)
    os.truncate(log, 0)
    await asyncio.to_thread(page, run)
    assert b"GET" in (await anext(lines)).data
    await here.containers.stop(run, 0.0)


FORKING = "import os\nif os.fork() == 0:\n    import time\n    time.sleep(600)\n"


async def test_what_outlives_it_is_ended_before_another_begins(run: PodRun, owner: str) -> None:
    def forking(place: ProgramContext) -> tuple[str, ...]:
        first, *rest = words(place)
        return (first, *(FORKING + SCRIPT if word == SCRIPT else word for word in rest))

    here = Controller(owner, replace(GREETER, arguments=forking))
    await here.containers.start([run])
    await until(lambda: run.state("c").ready)
    program = here.greeters.of(run, "c")
    assert program.pid is not None
    (child,) = process.children(program.pid)
    os.kill(program.pid, signal.SIGKILL)
    await until(lambda: run.state("c").restarts == 1 and run.state("c").ready)
    assert not _command(child)
    (child,) = process.children(program.pid)
    await here.containers.stop(run, 0.0)
    await until(lambda: not _command(child))


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
