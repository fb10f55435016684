"""Pods whose containers share their processes: who sees whom, and what a container takes along."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from kernel.sandboxes import Lab, processes_in, said, text_of

from netlab.objects.capabilities import DEFAULT_CAPABILITIES
from netlab.workload.sandbox import Command, Privileges, SandboxProcess, base_environment
from netlab.workload.strays import PAUSE

pytestmark = pytest.mark.root

USUAL = Privileges()
DEBUGS = Privileges(capabilities=(*DEFAULT_CAPABILITIES, "sys_ptrace"))
BARE = Privileges(capabilities=())
SOMEBODY = Privileges(1000, 1000)


@dataclass
class Pod:
    """A pod that shares its processes."""

    lab: Lab
    name: str = "shared"

    async def start(
        self, container: str, script: str, privileges: Privileges = USUAL
    ) -> SandboxProcess:
        place = self.lab.place(self.name, shares_processes=True)
        argv = ("sh", "-c", script)
        command = Command(argv, base_environment(self.name), privileges=privileges)
        number = next(self.lab.attempts)
        return await self.lab.sandboxes.start(place, container, command, attempt=number)

    async def says(self, process: SandboxProcess, script: str) -> str:
        """What a command beside a container's own prints, with that one's privileges."""
        command = Command(("sh", "-c", script), base_environment(self.name), privileges=DEBUGS)
        session = await self.lab.sandboxes.execute(process, command)
        try:
            return await text_of(session.stdout())
        finally:
            await session.kill()

    async def seen(self, process: SandboxProcess) -> list[str]:
        """The processes that a container sees, as `pid command`."""
        lines = (await self.says(process, "ps -e -o pid=,args=")).splitlines()
        others = (line.split(None, 1) for line in lines)
        return [text for _, text in others if not text.startswith(("ps ", "sh -c ps"))]

    async def until_seen(self, process: SandboxProcess, wanted: list[str]) -> None:
        async with asyncio.timeout(10):
            while (found := await self.seen(process)) != wanted:
                await asyncio.sleep(0.05)
        assert found == wanted


@pytest.fixture
async def pod(lab: Lab) -> AsyncIterator[Pod]:
    it = Pod(lab)
    uid = f"uid-{it.name}"
    yield it
    first = (await lab.sandboxes.processes())[uid, PAUSE].init
    members = processes_in(first)
    assert members
    await lab.sandboxes.remove(uid)
    assert processes_in(first, members) == []


FIRST = "/pause infinity"


async def test_containers_see_each_other_s_processes(pod: Pod) -> None:
    await pod.start("main", "exec sleep 111")
    other = await pod.start("other", "exec sleep 222", DEBUGS)
    assert await pod.seen(other) == [FIRST, "sleep 111", "sleep 222"]
    assert await pod.says(other, "ps -o pid=,user= 1") == "      1 65535\n"


async def test_signals_reach_neighbours_and_not_the_first_process(pod: Pod) -> None:
    one = await pod.start("main", "trap 'echo heard; exit 3' HUP; while :; do sleep 0.1; done")
    other = await pod.start("other", "exec sleep 222")
    assert await pod.says(other, "kill -9 1; kill -9 1; kill -HUP $(pgrep -o -f heard)") == ""
    assert (await asyncio.wait_for(one.wait(), 10)).code == 3
    assert said(one) == "heard\n"
    await pod.until_seen(other, [FIRST, "sleep 222"])


async def test_a_term_ends_what_has_no_handler_for_it(pod: Pod) -> None:
    """Elsewhere a container's first process never gets one: here it is not the first."""
    one = await pod.start("main", "exec sleep 111")
    assert (await asyncio.wait_for(one.kill(60), 10)).signal == 15


@pytest.mark.parametrize(
    "script",
    [
        "(setsid sleep 333 &); exec sleep 111",
        "setsid sh -c 'sleep 333 & sleep 444 & wait' >/dev/null 2>&1 & exec sleep 111",
        "trap '' TERM HUP INT; (setsid sh -c 'while :; do sleep 0.01 & done' &); exec sleep 111",
    ],
    ids=["daemon", "family", "ever more"],
)
async def test_what_a_container_leaves_behind_ends_with_it(pod: Pod, script: str) -> None:
    one = await pod.start("main", script)
    other = await pod.start("other", "(setsid sleep 555 &); exec sleep 222")
    beside = asyncio.create_task(pod.says(one, "exec sleep 666"))
    await asyncio.sleep(0.5)
    await asyncio.wait_for(one.kill(0), 20)
    await pod.until_seen(other, [FIRST, "sleep 222", "sleep 555"])
    await asyncio.wait_for(beside, 10)
    await pod.start("main", "exec sleep 777")
    assert (await pod.seen(other))[-1] == "sleep 777"


async def test_one_that_ends_at_once_leaves_nothing_behind(pod: Pod) -> None:
    other = await pod.start("other", "exec sleep 222")
    for _ in range(5):
        one = await pod.start("main", "setsid sleep 333 >/dev/null 2>&1 &")
        assert (await asyncio.wait_for(one.wait(), 10)).code == 0
        assert await pod.seen(other) == [FIRST, "sleep 222"]


LOOK = (
    "for p in $(pgrep -x -f 'sleep 111') 1; do ls /proc/$p/root/dev >/dev/null 2>&1; echo $?; done"
)


@pytest.mark.parametrize(
    ("looks_on", "owner", "into_it", "into_the_first"),
    [
        (Privileges(), Privileges(), "0", "2"),  # as far as the kernel lets root go
        (DEBUGS, Privileges(), "0", "0"),
        (Privileges(), DEBUGS, "2", "2"),  # it has more than who looks
        (BARE, Privileges(), "2", "2"),
        (SOMEBODY, Privileges(), "2", "2"),
        (Privileges(), SOMEBODY, "2", "2"),
        (DEBUGS, SOMEBODY, "0", "0"),
    ],
)
async def test_who_may_look_into_a_neighbour_s_root(
    pod: Pod, looks_on: Privileges, owner: Privileges, into_it: str, into_the_first: str
) -> None:
    await pod.start("main", "exec sleep 111", owner)
    looking = await pod.start("other", LOOK, looks_on)
    await asyncio.wait_for(looking.wait(), 10)
    assert said(looking).split() == [into_it, into_the_first]


async def test_a_pod_that_does_not_share_shares_with_nobody(lab: Lab) -> None:
    """Nor with what stands in for its built-in servers, whether that runs before or not."""
    place = lab.place("alone")
    idle = await lab.sandboxes.idle(place)
    one = await lab.start("sh", "-c", "ps -e -o pid=,comm=", name="alone")
    await asyncio.wait_for(one.wait(), 10)
    assert said(one).split()[:2] == ["1", "sh"]
    await lab.sandboxes.remove(idle.uid)
