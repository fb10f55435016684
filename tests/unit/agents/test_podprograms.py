"""Containers that are programs of the machine's: started until they run, told of, and ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from netlab.agents import podprograms as module
from netlab.agents.changes import Changes
from netlab.agents.lifecycle import Lifecycle
from netlab.agents.podgroups import PodGroups
from netlab.agents.podprograms import OneInEachPod, PodPrograms, program_log
from netlab.agents.podrun import PodRun, resume
from netlab.agents.probes.attempt import ProbeOutcome
from netlab.agents.unready import unready
from netlab.errors import KernelRefused, NetlabError
from netlab.objects import meta
from netlab.retry import Retry
from netlab.workload.pod_program import PodProgram

DNSMASQ = {"name": "dns", "image": "netlab/dnsmasq"}

MakeRun = Callable[..., PodRun]


class Programs:
    """Stands for all programs of one sort: refuses as often as it is told to, notes the rest."""

    def __init__(self) -> None:
        self.refusals: list[Exception] = []
        self.tries = 0
        self.trying: Callable[[], None] = int
        self.running: dict[tuple[str, str], Any] = {}
        self.adopts = False
        self.ends: list[float] = []
        self.detached = 0

    async def start(self, run: PodRun, container: str, life: Any) -> bool:
        self.tries += 1
        self.trying()
        if self.refusals:
            raise self.refusals.pop(0)
        self.running[run.uid, container] = life
        return self.adopts

    async def end(self, run: PodRun, container: str, grace: float) -> None:  # noqa: ARG002
        self.ends.append(grace)

    async def stop(self, run: PodRun, container: str) -> None:
        self.running.pop((run.uid, container), None)

    async def detach(self) -> None:
        self.detached += 1


@pytest.fixture
def changes() -> Changes:
    return Changes()


@pytest.fixture
def dnsmasq() -> Programs:
    return Programs()


@pytest.fixture
def programs(
    dnsmasq: Programs, lifecycle: Lifecycle, changes: Changes, monkeypatch: pytest.MonkeyPatch
) -> PodPrograms:
    monkeypatch.setattr(module, "RETRY", Retry(0.01, 0.01))
    return PodPrograms({"dnsmasq": dnsmasq}, lifecycle, PodGroups("owner"), changes)


async def test_a_program_that_answers_is_a_container_that_runs(
    programs: PodPrograms, dnsmasq: Programs, pod_run: MakeRun, recorder: Any
) -> None:
    run, changes = pod_run(DNSMASQ), []
    run.on_change = lambda run: changes.append(run.state("dns").running)
    await programs.start(run, "dns")
    assert list(dnsmasq.running) == [("u", "dns")]
    assert changes == [True]
    assert (run.state("dns").ready, run.state("dns").restarts) == (True, 0)
    assert [line.partition(":")[0] for line in recorder.told] == ["Pulled", "Created", "Started"]


async def test_one_that_cannot_start_says_why_and_is_tried_again(
    programs: PodPrograms, dnsmasq: Programs, pod_run: MakeRun, recorder: Any
) -> None:
    run, said, stuck = pod_run(DNSMASQ), [], []

    def changed(run: PodRun) -> None:
        said.append((run.state("dns").waiting, run.state("dns").message))
        stuck.extend(unready([run]))

    run.on_change = changed
    dnsmasq.refusals = [KernelRefused("no namespace", 2), OSError("no room"), KeyError("port")]
    await programs.start(run, "dns")
    assert said == [
        ("CreateContainerError", "no namespace"),
        ("CreateContainerError", "no room"),
        ("CreateContainerError", "unexpected error: KeyError('port')"),
        ("", ""),
    ]
    assert recorder.warnings == [f"Failed: Error: {message}" for _, message in said[:-1]]
    assert stuck == [("n/p", True)] * 3, "nobody waits for it meanwhile"
    assert run.state("dns").running


async def test_a_change_of_what_it_may_read_ends_the_wait(
    programs: PodPrograms,
    dnsmasq: Programs,
    changes: Changes,
    pod_run: MakeRun,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also one that comes while it tries in vain; what is another namespace's does not."""
    monkeypatch.setattr(module, "RETRY", Retry(600.0, 600.0))
    run = pod_run(DNSMASQ)
    dnsmasq.refusals = [NetlabError("no such file"), NetlabError("wrong"), NetlabError("wrong")]
    starting = asyncio.create_task(programs.start(run, "dns"))

    async def tried(times: int) -> None:
        while dnsmasq.tries < times:
            await asyncio.sleep(0)
        for _ in range(20):
            await asyncio.sleep(0)
        assert dnsmasq.tries == times

    await tried(1)
    changes.note("elsewhere")
    await tried(1)
    changes.note(meta.namespace(run.pod))
    await tried(2)
    monkeypatch.setattr(dnsmasq, "trying", lambda: changes.note(meta.namespace(run.pod)))
    changes.note(meta.namespace(run.pod))
    await starting
    assert dnsmasq.tries == 4


async def test_one_that_ran_before_this_controller_goes_on_unannounced(
    programs: PodPrograms, dnsmasq: Programs, pod_run: MakeRun, recorder: Any
) -> None:
    since = "2026-01-01T00:00:00Z"
    running = {"running": {"startedAt": since}}
    known = {"name": "dns", "ready": True, "restartCount": 3, "state": running}
    run = pod_run(DNSMASQ, status={"containerStatuses": [known]})
    run.renewed, dnsmasq.adopts = False, True
    await programs.start(run, "dns")
    assert (run.state("dns").started_at, run.state("dns").restarts) == (since, 3)
    assert recorder.told == []


async def test_in_a_namespace_made_anew_nothing_has_run_before(
    programs: PodPrograms, pod_run: MakeRun, recorder: Any
) -> None:
    since = "2026-01-01T00:00:00Z"
    known = {"name": "dns", "ready": True, "restartCount": 0}
    run = pod_run(
        DNSMASQ,
        status={"containerStatuses": [{**known, "state": {"running": {"startedAt": since}}}]},
    )
    await programs.start(run, "dns")
    assert run.state("dns").started_at > since
    assert "Started: Started container dns" in recorder.told


async def test_one_that_ended_with_its_controller_has_been_restarted(
    programs: PodPrograms, pod_run: MakeRun
) -> None:
    since = "2026-01-01T00:00:00Z"
    known = {"name": "dns", "ready": True, "restartCount": 3}
    run = pod_run(
        DNSMASQ,
        status={"containerStatuses": [{**known, "state": {"running": {"startedAt": since}}}]},
    )
    run.renewed = False
    resume(run)
    with programs._looking(run, "dns"):
        assert list(programs.at_work())
    await programs.start(run, "dns")
    state = run.state("dns")
    assert (state.restarts, state.running, list(programs.at_work())) == (4, True, [])
    assert state.last is not None and (state.last["exitCode"], state.last["startedAt"]) == (
        137,
        since,
    )


async def test_one_that_died_is_not_ready_until_it_runs_again(
    programs: PodPrograms, dnsmasq: Programs, pod_run: MakeRun, recorder: Any
) -> None:
    run = pod_run(DNSMASQ)
    await programs.start(run, "dns")
    state = run.state("dns")
    first, life = state.container_id, dnsmasq.running["u", "dns"]
    await life.ended(137)
    assert (state.running, state.ready, state.exit_code) == (False, False, 137)
    life.restarted()
    assert (state.restarts, state.running, state.ready) == (1, True, True)
    assert state.container_id != first
    assert state.last is not None and state.last["exitCode"] == 137
    told = [line.partition(":")[0] for line in recorder.told]
    assert told == ["Pulled", "Created", "Started"] * 2


async def test_one_that_dies_again_waits_and_says_so(
    programs: PodPrograms, dnsmasq: Programs, pod_run: MakeRun, until: Any
) -> None:
    run = pod_run(DNSMASQ)
    await programs.start(run, "dns")
    life = dnsmasq.running["u", "dns"]
    await life.ended(137)
    life.restarted()
    again = asyncio.create_task(life.ended(137))
    await until(lambda: run.state("dns").waiting == "CrashLoopBackOff")
    assert not again.done()
    again.cancel()


@pytest.mark.parametrize(("policy", "code"), [("Never", 137), ("OnFailure", 0)])
async def test_one_that_is_not_to_be_restarted_stays_ended(
    policy: str, code: int, programs: PodPrograms, dnsmasq: Programs, pod_run: MakeRun, until: Any
) -> None:
    run = pod_run(DNSMASQ, restartPolicy=policy)
    await programs.start(run, "dns")
    ending = asyncio.create_task(dnsmasq.running["u", "dns"].ended(code))
    await until(lambda: run.state("dns").exit_code == code)
    await asyncio.sleep(0)
    assert not ending.done()
    ending.cancel()


async def test_a_pod_that_ends_takes_its_programs_with_it_and_nothing_else(
    programs: PodPrograms, dnsmasq: Programs, pod_run: MakeRun
) -> None:
    run = pod_run({"name": "web", "image": "nginx"}, DNSMASQ)
    await programs.start(run, "dns")
    await programs.stop(run)
    assert dnsmasq.running == {}
    await programs.detach()
    assert dnsmasq.detached == 1


async def test_what_a_probe_finds_ill_is_ended(
    programs: PodPrograms,
    dnsmasq: Programs,
    lifecycle: Lifecycle,
    actions: Any,
    pod_run: MakeRun,
    until: Any,
    recorder: Any,
) -> None:
    """Its life goes on as that of one that has died."""
    probe = {"tcpSocket": {"port": 53}, "periodSeconds": 1, "failureThreshold": 1}
    actions.answer = ProbeOutcome(False, "connection refused")
    run = pod_run({**DNSMASQ, "livenessProbe": probe}, terminationGracePeriodSeconds=7)
    await programs.start(run, "dns")
    await until(lambda: dnsmasq.ends == [7.0])
    said = "Killing: Container dns failed liveness probe, will be restarted"
    assert said in recorder.told
    lifecycle.quiet(run)


# -- one process a pod ---------------------------------------------------------------------


class Running:
    """Stands for a `RunningPodProgram`: what was asked of it."""

    def __init__(
        self, entry: PodProgram, pod: str, ips: tuple[str, ...], directory: Path, owner: str
    ) -> None:
        self.made = (entry.name, pod, ips, directory, owner)
        self.asked: list[str] = []
        self.listeners: list[Callable[[], Any]] = []
        self.before_restart: Any = None
        self.is_adopted = True

    def on_restart(self, listener: Callable[[], Any]) -> None:
        self.listeners.append(listener)

    async def start(self, netns: Path) -> None:
        self.asked.append(f"start in {netns.name}")

    async def end(self, grace: float) -> None:
        self.asked.append(f"end within {grace} s")

    async def stop(self) -> None:
        self.asked.append("stop")

    async def detach(self) -> None:
        self.asked.append("detach")


class Life:
    """Keeps what it was told."""

    def __init__(self) -> None:
        self.heard: list[int | str] = []

    async def ended(self, code: int) -> None:
        self.heard.append(code)

    def restarted(self) -> None:
        self.heard.append("again")


class Watching:
    """Stands for the vigil."""

    def __init__(self) -> None:
        self.watched: list[Running] = []

    def watch(self, program: Running) -> None:
        self.watched.append(program)

    async def forget(self, program: Running) -> None:
        self.watched.remove(program)


@pytest.fixture
def vigil() -> Watching:
    return Watching()


@pytest.fixture
def ones(vigil: Watching, monkeypatch: pytest.MonkeyPatch) -> OneInEachPod:
    monkeypatch.setattr(module, "RunningPodProgram", Running)
    entry = PodProgram("nginx", port=10246, user=1, arguments=lambda _: ("nginx",))
    return OneInEachPod(entry, "owner", vigil, PodGroups("owner"))  # type: ignore[arg-type]


async def test_each_pod_has_its_own_in_its_namespace_and_it_is_watched(
    ones: OneInEachPod, vigil: Watching, pod_run: MakeRun
) -> None:
    run = pod_run()
    program: Any = ones.of(run, "c")
    assert await ones.start(run, "c", Life())
    assert ones.of(run, "c") is program
    place = run.directory / "programs" / "c"
    assert program.made == ("nginx", "n/p", ("10.0.0.2",), place, "owner")
    assert program.asked == ["start in netns"]
    assert vigil.watched == [program]
    await ones.detach()
    assert program.asked[-1] == "detach"


async def test_who_started_it_hears_of_each_end_and_restart(
    ones: OneInEachPod, pod_run: MakeRun
) -> None:
    run, life = pod_run(), Life()
    await ones.start(run, "c", life)
    program: Any = ones.of(run, "c")
    await program.before_restart(3)
    for listener in program.listeners:
        await listener()
    assert life.heard == [3, "again"]
    await ones.end(run, "c", 2.0)
    assert program.asked[-1] == "end within 2.0 s"


async def test_one_that_is_ended_is_watched_no_more_and_the_next_is_another(
    ones: OneInEachPod, vigil: Watching, pod_run: MakeRun
) -> None:
    run = pod_run()
    await ones.start(run, "c", Life())
    program: Any = ones.of(run, "c")
    await ones.stop(run, "c")
    assert (program.asked[-1], vigil.watched) == ("stop", [])
    assert ones.of(run, "c") is not program


async def test_what_a_former_controller_left_is_ended_without_having_been_started(
    ones: OneInEachPod, vigil: Watching, pod_run: MakeRun
) -> None:
    stopped: list[Running] = []
    vigil.watched = stopped

    async def forget(program: Running) -> None:
        stopped.append(program)

    vigil.forget = forget  # type: ignore[method-assign]
    await ones.stop(pod_run(), "c")
    assert [program.asked for program in stopped] == [["stop"]]


def test_its_log_is_what_it_writes_itself(pod_run: MakeRun) -> None:
    run = pod_run()
    assert program_log(run, "c") is None
    place = run.directory / "programs" / "c"
    place.mkdir(parents=True)
    (place / "nginx.log").write_text("ready\n")
    assert program_log(run, "c") == place / "nginx.log"
