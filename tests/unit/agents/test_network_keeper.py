"""What somebody changes by hand: when that is seen, put back and told; over a kernel in memory."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

from netlab.agents import ears
from netlab.agents import network as module
from netlab.agents.attached import Attached, Station
from netlab.agents.network import NetworkKeeper
from netlab.agents.podrun import PodRun
from netlab.errors import KernelRefused, NetlabError
from netlab.kernel.notices import OWN, Heard, Notes
from netlab.network import plan
from netlab.network.model import Network
from netlab.network.names import FIRST_POD_PORT_INDEX
from netlab.network.operations import CreateNamespace, Operation, SetUp
from netlab.objects.lab import lab_from_object
from netlab.retry import Retry

LAB = lab_from_object({"metadata": {"name": "t"}, "spec": {"nodes": 2}})
WORKER = "t.worker001"
DOWN = SetUp(WORKER, "eth1", 3)
"""What there is to do about an eth1 that is down."""

PORT, NUMBER = FIRST_POD_PORT_INDEX + 7, 4
"""Of the pod's port, and of its namespace as its node knows it."""


class Ear:
    """What a machine tells of by netlink: readable once there is something."""

    def __init__(self) -> None:
        self._told, self._heard = socket.socketpair()
        self._notes: list[Notes] = []
        self.taken = 0
        self.is_open = True

    def tell(self, notes: Notes) -> None:
        self._notes.append(notes)
        self._told.send(b".")

    def take(self) -> Notes:
        self.taken += 1
        if not self._notes:
            return Notes()
        self._heard.recv(1)
        notes = self._notes.pop(0)
        notes.more = notes.more or bool(self._notes)
        return notes

    def fileno(self) -> int:
        return self._heard.fileno()

    def namespace(self) -> int:
        return os.open(os.devnull, os.O_RDONLY)

    def hear_neighbours(self) -> None:
        pass

    def close(self) -> None:
        self.is_open = False
        self._told.close()
        self._heard.close()


class Kernel:
    """What is amiss, what refuses to be put right, which names are gone; and what was done."""

    def __init__(self) -> None:
        self.ears: dict[str, Ear] = {}
        self.mounts = Ear()
        self.damage: list[Operation] = []
        self.of_pods: dict[str, list[Operation]] = {}
        self.lost: set[str] = set()
        self.refusals = 0
        self.looks = 0
        self.looked_at_sysctls: list[bool] = []
        self.pods_looked_at: list[tuple[list[str], set[str]]] = []
        self.done: list[Operation] = []
        self.quiet: set[str] = set()
        self.mistakes: list[Exception] = []

    # what netlab.network.mend has

    def cluster_damage(
        self, _network: Network, _directory: Path, _macs: Any, *, sysctls: bool
    ) -> tuple[Operation, ...]:
        self.looks += 1
        self.looked_at_sysctls.append(sysctls)
        if self.mistakes:
            raise self.mistakes.pop(0)
        return (*map(CreateNamespace, sorted(self.lost)), *self.damage)

    def pod_damage(
        self, links: Iterable[str], _directory: Path, _known: Any, suspects: set[str]
    ) -> dict[str, list[Operation]]:
        uids = list(links)
        self.pods_looked_at.append((uids, set(suspects)))
        return {uid: list(self.of_pods[uid]) for uid in uids if self.of_pods.get(uid)}

    def mend(self, operations: Iterable[Operation], _directory: Path) -> list[NetlabError]:
        if self.refusals:
            self.refusals -= 1
            return [KernelRefused("no room", 28)]
        for operation in operations:
            self.done.append(operation)
            for damage in (self.damage, *self.of_pods.values()):
                if operation in damage:
                    damage.remove(operation)
        return []

    def put_back(self, names: Mapping[str, int], _directory: Path) -> list[str]:
        found = sorted(self.lost & names.keys())
        self.lost -= set(found)
        return found

    def names(self) -> set[str]:
        return {*self.ears, "t.default.web"} - self.lost


class Quiet:
    """The sysctls that nobody tells of."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self.forgotten: list[str] = []

    def machine_differs(self, name: str, _ear: Any, _wanted: Any) -> bool:
        return self._found(name)

    def pods_that_differ(self, _at_most: int) -> list[str]:
        return ["u"] if self._found("u") else []

    def _found(self, name: str) -> bool:
        found = name in self._kernel.quiet
        self._kernel.quiet.discard(name)
        return found

    def forget(self, name: str) -> None:
        self.forgotten.append(name)

    def close(self) -> None:
        pass


class Status:
    """What was told of a machine."""

    def __init__(self) -> None:
        self.broken: str | None = None
        self.told: list[str] = []

    async def found(self, text: str) -> None:
        self.broken = text
        self.told.append(f"found: {text}")

    async def remains(self, text: str) -> None:
        self.broken = text
        self.told.append(f"remains: {text}")

    async def sound(self) -> None:
        if self.broken is not None:
            self.told.append("sound")
        self.broken = None


class Scene:
    def __init__(self, kernel: Kernel, run: PodRun, recorder: Any) -> None:
        self.kernel, self.recorder, self.run = kernel, recorder, run
        self.statuses: dict[str, Status] = {}
        self.network = plan.cluster(LAB)
        self.attached = Attached()
        pods: Any = SimpleNamespace(
            run=lambda uid: run if uid == run.uid else None, links=lambda uids: list(uids)
        )
        status_of: Any = self.status
        self.left: set[str] = set()
        self.keeper = NetworkKeeper(
            LAB,
            self.network,
            Path("/nowhere"),
            pods,
            self.attached,
            status_of,
            recorder,
            lambda machine: machine in self.left,
        )
        self.keeper._quiet = Quiet(kernel)  # type: ignore[assignment]

    def status(self, name: str) -> Status:
        return self.statuses.setdefault(name, Status())

    def tell(self, number: int = OWN, *indexes: int, others: bool = False, **more: Any) -> None:
        """A link with that index, or what is none, changed at the worker or in a pod of its."""
        self.kernel.ears[WORKER].tell(Notes({number: Heard(set(indexes), others)}, **more))

    async def attach(self, since: float = 0.0) -> None:
        """The pod has its link, since so many seconds; what is told from now on is about that."""
        descriptor = os.open(os.devnull, os.O_RDONLY)
        station = Station(
            WORKER, "t.default.web", descriptor, PORT, NUMBER, ("10.244.1.2",), "02::1",
            time.monotonic() - since,
        )  # fmt: skip
        self.attached._stations[self.run.uid] = station
        self.attached.on_change()
        while (WORKER, PORT) not in self.keeper._places:
            await asyncio.sleep(0)


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    """Which is looked at without much ado."""
    kernel = Kernel()

    def of_links(path: Path) -> Ear:
        if path.name in kernel.lost:
            raise KernelRefused("no namespace", 2)
        return kernel.ears.setdefault(path.name, Ear())

    monkeypatch.setattr(ears, "of_links", of_links)
    monkeypatch.setattr(ears, "MountNotices", lambda: kernel.mounts)
    for name in ("cluster_damage", "pod_damage", "mend", "put_back", "names"):
        monkeypatch.setattr(module.mend, name, getattr(kernel, name))
    for name in ("SETTLE", "REST_FIRST", "REST_CAP"):
        monkeypatch.setattr(module, name, 0.001)
    monkeypatch.setattr(module, "RETRY", Retry(0.01, 0.01))
    monkeypatch.setattr(ears, "FLOOD", Retry(0.05, 0.05))
    return kernel


@pytest.fixture
async def scene(kernel: Kernel, pod_run: Any, recorder: Any) -> AsyncIterator[Scene]:
    """Which looks at everything only when it is told to."""
    scene = Scene(kernel, pod_run(), recorder)
    await scene.keeper.start()
    yield scene
    await scene.keeper.stop()
    assert not any(ear.is_open for ear in kernel.ears.values())


async def test_what_a_machine_tells_of_is_put_back_and_told(scene: Scene, until: Any) -> None:
    scene.kernel.damage = [DOWN]
    scene.tell(OWN, 3)
    await until(lambda: scene.status("worker001").told == ["found: eth1 is down", "sound"])
    assert scene.kernel.done == [DOWN]
    assert scene.kernel.looked_at_sysctls == [False, True]  # what it mended may have changed some
    assert list(scene.keeper.lacking()) == []


async def test_where_nothing_is_amiss_nobody_is_told(scene: Scene, until: Any) -> None:
    scene.tell(others=True)
    await until(lambda: scene.kernel.looks)
    assert scene.kernel.looked_at_sysctls == [True]
    assert not any(status.told for status in scene.statuses.values())


async def test_what_refuses_is_told_while_it_lasts_and_tried_again(
    scene: Scene, until: Any
) -> None:
    scene.kernel.damage, scene.kernel.refusals = [DOWN], 1000
    scene.tell(OWN, 3)
    remains = "remains: eth1 is down (no room)"
    await until(lambda: scene.status("worker001").told.count(remains) > 2)
    assert list(scene.keeper.lacking()) == ["network of worker001: eth1 is down (no room)"]
    scene.kernel.refusals = 0
    await until(lambda: scene.status("worker001").told[-1] == "sound")
    assert list(scene.keeper.lacking()) == []


async def test_a_look_that_fails_is_not_the_last_one(
    scene: Scene, until: Any, caplog: pytest.LogCaptureFixture
) -> None:
    scene.kernel.mistakes = [KernelRefused("no such device", 19), KeyError("a mistake")]
    scene.kernel.damage = [DOWN]
    scene.tell(OWN, 3)
    await until(lambda: scene.kernel.done == [DOWN])
    assert "the network could not be looked at: no such device" in caplog.text


async def test_a_name_that_went_comes_back(scene: Scene, until: Any) -> None:
    await scene.attach(since=60)
    scene.kernel.lost = {WORKER, "t.default.web"}
    scene.kernel.mounts.tell(Notes())
    await until(lambda: scene.status("worker001").told)
    await until(lambda: scene.recorder.warnings)
    assert scene.status("worker001").told == [
        f"found: the name {WORKER} was gone (ip netns delete?)", "sound",
    ]  # fmt: skip
    (said,) = scene.recorder.warnings
    assert "put back: the name t.default.web was gone" in said
    assert scene.kernel.lost == set()


async def test_a_machine_whose_name_goes_while_it_is_looked_at_is_not_made_anew(
    scene: Scene, until: Any
) -> None:
    """It lives: else nothing would be heard of it. Another of that name would be empty."""
    scene.kernel.lost, scene.kernel.damage = {WORKER}, [DOWN]
    scene.tell(OWN, 3)
    await until(lambda: scene.kernel.done)
    assert scene.kernel.done == [DOWN]
    assert scene.kernel.lost == set()
    assert scene.status("worker001").told[0].startswith(f"found: the name {WORKER} was gone")


async def test_a_machine_that_was_never_heard_is_made_anew(
    kernel: Kernel, pod_run: Any, recorder: Any, until: Any
) -> None:
    kernel.lost = {WORKER}
    scene = Scene(kernel, pod_run(), recorder)
    await scene.keeper.start()
    assert WORKER not in kernel.ears
    kernel.ears["t.fabric"].tell(Notes({OWN: Heard({3})}))
    await until(lambda: CreateNamespace(WORKER) in kernel.done)
    kernel.lost = set()
    await until(lambda: WORKER in kernel.ears)
    await scene.keeper.stop()


async def test_what_is_amiss_with_a_pod_is_put_back_and_is_an_event_of_the_pod(
    scene: Scene, until: Any
) -> None:
    await scene.attach(since=60)
    scene.kernel.of_pods = {"u": [SetUp("t.default.web", "eth0", 2)]}
    scene.tell(NUMBER, 2)
    await until(lambda: scene.recorder.warnings)
    assert scene.recorder.warnings == ["NetworkChanged: changed by hand, put back: eth0 is down"]
    # There may be more to it: it is looked at once more, and at its sysctls as well.
    await until(lambda: len(scene.kernel.pods_looked_at) == 2)
    assert scene.kernel.pods_looked_at == [(["u"], set()), (["u"], {"u"})]
    assert scene.kernel.looks == 0  # at the machines nothing happened


async def test_what_cannot_be_put_back_of_a_pod_says_why(scene: Scene, until: Any) -> None:
    await scene.attach(since=60)
    scene.kernel.of_pods, scene.kernel.refusals = {"u": [SetUp("t.default.web", "eth0", 2)]}, 1
    scene.tell(NUMBER, 2)
    await until(lambda: len(scene.recorder.warnings) == 2)
    assert scene.recorder.warnings == [
        "NetworkChanged: changed by hand, not put back (no room): eth0 is down",
        "NetworkChanged: changed by hand, put back: eth0 is down",
    ]


async def test_what_a_new_link_goes_on_to_tell_can_wait(
    scene: Scene, until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await scene.attach(since=0)
    scene.tell(OWN, PORT)
    await until(lambda: scene.keeper._young)
    assert scene.kernel.pods_looked_at == []
    await scene.keeper._look_slowly(True)
    await until(lambda: scene.kernel.pods_looked_at == [(["u"], set())])


async def test_what_was_told_of_a_stranger_is_nobodys(scene: Scene, until: Any) -> None:
    scene.tell(NUMBER, 2)
    scene.tell(OWN, 3)
    await until(lambda: scene.kernel.looks)
    assert scene.kernel.pods_looked_at == []


async def test_when_too_much_was_told_all_of_the_machine_is_looked_at(
    scene: Scene, until: Any
) -> None:
    await scene.attach(since=60)
    scene.tell(lost=True)
    await until(lambda: scene.kernel.pods_looked_at == [(["u"], {"u"})])
    assert scene.kernel.looked_at_sysctls == [True]


async def test_while_pods_are_attached_nothing_is_heard_and_then_what_was_told_is_old(
    scene: Scene, until: Any
) -> None:
    """Each makes a dozen notices, of a link that is as it should be."""
    ear = scene.kernel.ears[WORKER]
    with scene.attached.turn():
        await until(lambda: scene.keeper._ears._is_covered)
        scene.tell(OWN, PORT)
        await asyncio.sleep(0.01)
        assert ear.taken == 0
        await scene.attach(since=60)
        assert ear.taken
    await until(lambda: not scene.keeper._ears._is_covered)
    scene.tell(OWN, 3)
    await until(lambda: scene.kernel.looks)
    assert scene.kernel.pods_looked_at == []


async def test_whoever_tells_without_end_waits(scene: Scene, until: Any) -> None:
    scene.tell(OWN, 3, more=True)
    ear = scene.kernel.ears[WORKER]
    await until(lambda: ear.taken == 1)
    scene.tell(OWN, 3)
    began = time.monotonic()
    await until(lambda: ear.taken == 2)
    assert time.monotonic() - began > 0.02


@pytest.mark.parametrize("who", [WORKER, "u"])
async def test_sysctls_that_nobody_tells_of_are_looked_at_now_and_then(
    scene: Scene, until: Any, who: str
) -> None:
    await scene.attach(since=60)
    scene.kernel.quiet = {who}
    await scene.keeper._look_slowly(True)
    if who == WORKER:
        await until(lambda: scene.kernel.looked_at_sysctls == [True])
    else:
        await until(lambda: scene.kernel.pods_looked_at == [(["u"], {"u"})])


async def test_a_name_that_nobody_told_of_is_missed_all_the_same(scene: Scene, until: Any) -> None:
    scene.kernel.lost = {WORKER}
    await scene.keeper._look_slowly(True)
    await until(lambda: scene.status("worker001").told)
    assert scene.kernel.lost == set()


@pytest.fixture
def applied(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was made and taken away; "refuse" in it has that fail."""
    done: list[str] = []

    def ensure(_network: Network, _directory: Path) -> None:
        if "refuse" in done:
            done.clear()
            raise KernelRefused("no room", 28)
        done.append("made")

    monkeypatch.setattr(module.apply, "ensure_cluster", ensure)
    monkeypatch.setattr(module.apply, "remove", lambda names, _: done.extend(sorted(names)))
    return done


def smaller(network: Network) -> Network:
    return replace(network, namespaces=tuple(n for n in network.namespaces if n.name != WORKER))


async def test_in_another_plan_what_is_gone_is_heard_no_more(
    scene: Scene, applied: list[str]
) -> None:
    ear = scene.kernel.ears.pop(WORKER)
    await scene.status("worker001").remains("eth1 is down")
    scene.keeper._whose(WORKER)
    assert list(scene.keeper.lacking())
    await scene.keeper.plan_anew(smaller(scene.network))
    assert applied == ["made", WORKER]
    assert not ear.is_open
    assert list(scene.keeper.lacking()) == []
    await scene.keeper.plan_anew(smaller(scene.network))
    assert applied == ["made", WORKER, "made"]
    await scene.keeper.plan_anew(scene.network)  # and one that came is heard
    assert scene.kernel.ears[WORKER].is_open


async def test_a_plan_that_cannot_be_had_is_tried_again_from_where_it_was(
    scene: Scene, applied: list[str]
) -> None:
    applied.append("refuse")
    scene.kernel.ears.pop(WORKER)
    with pytest.raises(KernelRefused):
        await scene.keeper.plan_anew(smaller(scene.network))
    await scene.keeper.plan_anew(smaller(scene.network))
    assert applied == ["made", WORKER]


async def test_what_is_left_alone_is_put_back_once_it_is_so_no_longer(
    scene: Scene, until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SLOW", 0.01)
    await scene.attach(since=60)
    scene.left = {"worker001"}
    await until(lambda: scene.keeper._left == {WORKER})
    scene.kernel.damage = [DOWN]
    of_pod = SetUp("t.default.web", "eth0", 2)
    scene.kernel.of_pods = {"u": [of_pod]}
    scene.tell(OWN, 3)
    scene.tell(NUMBER, 2)
    looks = scene.kernel.looks
    await until(lambda: scene.kernel.looks > looks and scene.kernel.pods_looked_at)
    assert scene.kernel.done == []
    assert not scene.status("worker001").told
    scene.left = set()
    await until(lambda: set(scene.kernel.done) == {DOWN, of_pod})
