import asyncio
import itertools
import time
from pathlib import Path

import pytest
from bootstrapped import initial_objects

from netlab.agents import kubelet as module
from netlab.agents import termination
from netlab.agents.kubelet import Kubelet
from netlab.agents.loop import Retry
from netlab.agents.podevents import PodEvents
from netlab.agents.together import Together
from netlab.client.informer import Informers
from netlab.client.inprocess import InProcessApi
from netlab.errors import KernelRefused
from netlab.objects import meta
from netlab.objects.lab import lab_from_object
from netlab.store.registry import Registry
from netlab.store.store import Store

LAB = lab_from_object({"metadata": {"name": "t"}, "spec": {"nodes": 2}})
NODE = LAB.nodes[1].name


class PodNetwork:
    """Notes what is asked of it; refuses each pod as often as it is told to."""

    def __init__(self):
        self.refusals = {}
        self.attached, self.detached = [], []
        self.stuck = set()

    def attach(self, runs):
        self.attached.append([run.key for run in runs])
        if any(run.key in self.stuck for run in runs):
            raise RecursionError("too deep")
        failed = {}
        for run in runs:
            if self.refusals.get(run.key, 0) > 0:
                self.refusals[run.key] -= 1
                failed[run.uid] = KernelRefused("no room", 28)
        return failed

    def detach(self, runs):
        time.sleep(0.02)  # so that others come meanwhile, as they do
        if any(run.key in self.stuck for run in runs):
            raise RecursionError("too deep")
        self.detached.append([run.key for run in runs])

    def let_go(self):
        """What was detached is nowhere."""


class Containers:
    """All containers run at once, and take `seconds` to end."""

    def __init__(self, seconds=0.0):
        self.seconds = seconds
        self.graces, self.started = [], []

    async def start(self, runs):
        self.started += [run.pod["metadata"]["name"] for run in runs]
        for run in runs:
            for name in run.containers:
                run.state(name).begin("2026-01-01T00:00:00Z", "id")
                run.state(name).ready = True
            run.changed()

    async def stop(self, _run, grace):
        self.graces.append(grace)
        await asyncio.sleep(self.seconds)


class Recorder:
    def __init__(self):
        self.warnings = []

    def warning(self, _obj, reason, message):
        self.warnings.append(f"{reason}: {message}")

    def normal(self, obj, reason, message):
        """Nothing here records any."""
        raise AssertionError((obj, reason, message))


class World:
    """A kubelet between a registry and fakes."""

    def __init__(self):
        self.registry = Registry(Store(None), LAB)
        for obj in initial_objects(LAB):
            self.registry.create(obj)
        self.informers = Informers(InProcessApi(self.registry))
        self.pod_network, self.containers, self.recorder = PodNetwork(), Containers(), Recorder()
        _ = self.informers["Pod"], self.informers["Node"]
        self.left = []

    async def __aenter__(self):
        await self.informers.start()
        await self.begin()
        return self

    async def begin(self, **how):
        self.kubelet = Kubelet(
            LAB.nodes[1], self.informers, Together(self.pod_network), self.containers,
            PodEvents(self.recorder),
            paths_of=lambda _: (Path("/none"), Path("/none")),
            now=lambda: "2026-01-01T00:00:00Z",
        )  # fmt: skip
        await self.kubelet.start(self.left, **how)

    async def __aexit__(self, *_):
        await self.kubelet.stop()
        await self.informers.stop()

    def create(self, name, node=NODE, **spec):
        container = {"name": "c", "image": "nginx"}
        spec = {"nodeName": node, "containers": [container], **spec}
        metadata = {"name": name, "namespace": "default"}
        return self.registry.create(
            {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
        )

    def pods(self):
        return {pod["metadata"]["name"]: pod for pod in self.registry.list("Pod", "default").items}

    def ready(self):
        pods = self.pods().items()
        return sorted(name for name, pod in pods if meta.is_ready(pod))

    async def until(self, holds):
        for _ in range(1000):
            if holds() and self.kubelet.idle:
                return
            await asyncio.sleep(0.002)
        raise AssertionError(self.pods())


async def test_pods_that_come_together_are_attached_together_each_with_its_address():
    async with World() as world:
        for number in range(30):
            world.create(f"p{number}")
        await world.until(lambda: all(p["status"].get("podIP") for p in world.pods().values()))
        assert len({pod["status"]["podIP"] for pod in world.pods().values()}) == 30
        assert len(world.pod_network.attached) <= 2


async def test_a_pod_that_cannot_be_attached_is_tried_again_later_and_later(monkeypatch):
    monkeypatch.setattr(module, "RETRY", Retry(0.01))
    async with World() as world:
        world.pod_network.refusals["default/p"] = 3
        world.create("p")
        await world.until(lambda: list(world.kubelet.not_started()))
        assert list(world.kubelet.not_started()) == ["default/p"]
        await world.until(lambda: world.pods()["p"]["status"].get("podIP"))
        assert len(world.pod_network.attached) == 4
        assert list(world.kubelet.not_started()) == []
        wanted = "FailedCreatePodSandBox: Failed to create pod sandbox: no room"
        assert world.recorder.warnings == [wanted] * 3


async def test_an_unexpected_failure_to_attach_one_pod_holds_up_no_other(monkeypatch):
    monkeypatch.setattr(module, "RETRY", Retry(0.01))
    async with World() as world:
        world.pod_network.stuck.add("default/p1")
        for number in range(3):
            world.create(f"p{number}")
        await world.until(lambda: len(world.kubelet.runs) == 2)
        assert list(world.kubelet.not_started()) == ["default/p1"]
        world.pod_network.stuck.clear()
        await world.until(lambda: len(world.kubelet.runs) == 3)


async def test_many_pods_go_in_few_batches():
    async with World() as world:
        for number in range(50):
            world.create(f"p{number}")
        await world.until(lambda: len(world.kubelet.runs) == 50)
        for name in world.pods():
            world.registry.delete("Pod", "default", name, grace_period=5)
        await world.until(lambda: not world.pods())
        assert len(world.pod_network.detached) <= 4
        assert sum(map(len, world.pod_network.detached)) == 50
        assert set(world.containers.graces) == {5.0}
        assert world.kubelet.runs == {}


async def test_a_pod_that_cannot_be_detached_holds_up_no_other_and_is_tried_again(monkeypatch):
    monkeypatch.setattr(termination, "RETRY", Retry(0.01))
    async with World() as world:
        for number in range(3):
            world.create(f"p{number}")
        await world.until(lambda: len(world.kubelet.runs) == 3)
        world.pod_network.stuck.add("default/p1")
        for name in world.pods():
            world.registry.delete("Pod", "default", name, grace_period=5)
        while list(world.pods()) != ["p1"]:
            await asyncio.sleep(0.002)
        world.create("p2")
        while not world.pods()["p2"]["status"].get("podIP"):
            await asyncio.sleep(0.002)
        world.registry.delete("Pod", "default", "p2", grace_period=5)
        while list(world.pods()) != ["p1"]:
            await asyncio.sleep(0.002)
        world.pod_network.stuck.clear()
        await world.until(lambda: not world.pods())
        assert world.kubelet.runs == {}


async def test_a_slow_end_holds_up_nobody():
    async with World() as world:
        for name in ("slow", "quick"):
            world.create(name)
        await world.until(lambda: len(world.kubelet.runs) == 2)
        world.containers.seconds = 0.3
        world.registry.delete("Pod", "default", "slow", grace_period=5)
        await asyncio.sleep(0.02)
        world.containers.seconds = 0.0
        world.registry.delete("Pod", "default", "quick", grace_period=5)
        world.create("new")
        while "quick" in world.pods() or not world.pods()["new"]["status"].get("podIP"):
            await asyncio.sleep(0.002)
        assert "slow" in world.pods()


async def test_a_successor_of_the_same_name_waits_for_the_end_of_the_first():
    async with World() as world:
        first = world.create("p")
        await world.until(lambda: world.pods()["p"]["status"].get("podIP"))
        world.containers.seconds = 0.05
        world.registry.delete("Pod", "default", "p", grace_period=0)
        second = world.create("p")
        assert first["metadata"]["uid"] != second["metadata"]["uid"]
        await world.until(lambda: world.pods()["p"]["status"].get("podIP"))
        assert world.kubelet.runs["default/p"].uid == second["metadata"]["uid"]
        assert world.pod_network.detached == [["default/p"]]


async def test_a_deadline_that_a_pod_is_given_later_holds():
    async with World() as world:
        world.recorder.normal = lambda *_: None
        given = world.create("p")
        await world.until(lambda: world.pods()["p"]["status"].get("podIP"))
        change = {"spec": {"activeDeadlineSeconds": 1}}
        world.registry.patch("Pod", "default", given["metadata"]["name"], change)
        await world.until(lambda: world.pods()["p"]["status"]["phase"] == "Failed")
        assert world.pods()["p"]["status"]["reason"] == "DeadlineExceeded"


@pytest.mark.parametrize(("code", "phase"), [(0, "Succeeded"), (137, "Failed")])
async def test_who_keeps_a_pod_that_goes_sees_how_it_ended(code, phase):
    async with World() as world:
        world.create("p")
        await world.until(lambda: world.pods()["p"]["status"].get("podIP"))
        kept = world.pods()["p"]
        kept["metadata"]["finalizers"] = ["example.com/kept"]
        world.registry.update(kept)
        state = world.kubelet.runs["default/p"].state("c")
        state.begin("2026-01-01T00:00:00Z", "id")
        state.end("2026-01-01T00:00:01Z", code)
        world.registry.delete("Pod", "default", "p")
        await world.until(lambda: world.pod_network.detached)
        await world.until(lambda: not world.kubelet.runs)
        left = world.pods()["p"]
        assert left["metadata"]["deletionGracePeriodSeconds"] == 0
        detached = len(world.pod_network.detached)
        await asyncio.sleep(0.05)
        assert len(world.pod_network.detached) == detached, "not for as long as it is kept"
        assert left["status"]["phase"] == phase
        assert left["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == code


@pytest.mark.parametrize("node", ["", "elsewhere"])
async def test_a_successor_that_is_not_ours_is_not_run_here(node):
    async with World() as world:
        world.create("p")
        await world.until(lambda: world.pods()["p"]["status"].get("podIP"))
        world.registry.delete("Pod", "default", "p", grace_period=0)
        world.create("p", node=node)
        await world.until(lambda: not world.kubelet.runs)
        await asyncio.sleep(0.05)
        assert not world.kubelet.runs
        assert world.pod_network.attached == world.pod_network.detached == [["default/p"]]


async def test_a_pod_on_the_host_network_takes_no_address():
    async with World() as world:
        world.create("host", hostNetwork=True)
        world.create("own")
        await world.until(lambda: all(p["status"].get("podIP") for p in world.pods().values()))
        pods = world.pods()
        assert pods["host"]["status"]["podIP"] == LAB.nodes[1].internal_ips[0]
        assert world.pod_network.attached == [["default/own"]]


@pytest.mark.parametrize("grace", [0, 3])
async def test_a_pod_that_a_former_controller_ran_goes_as_well(grace):
    world = World()
    world.create("old")
    pod = world.pods()["old"]
    pod = {**pod, "status": {**pod["status"], "podIPs": [{"ip": "10.244.1.9"}]}}
    world.registry.update(pod, subresource="status")
    world.registry.delete("Pod", "default", "old", grace_period=grace or 1)
    async with world:
        await world.until(lambda: not world.pods())
        assert list(itertools.chain(*world.pod_network.detached)) == ["default/old"]
        assert world.pod_network.attached == []


async def test_what_was_removed_before_it_was_taken_over_is_taken_away():
    """Removed at once, while the kubelet started: nobody else would ever look for what is left."""
    world = World()
    world.left = [world.create(name) for name in ("gone", "again", "stays")]
    world.left += [world.create(name, node=node) for name, node in (("a", ""), ("b", "no"))]
    world.registry.delete("Pod", "default", "gone", grace_period=0)
    world.registry.delete("Pod", "default", "again", grace_period=0)
    successor = world.create("again")
    async with world:
        await world.until(lambda: len(world.kubelet.runs) == 2)
        detached = [key for batch in world.pod_network.detached for key in batch]
        assert sorted(detached) == ["default/again", "default/gone"]
        assert world.kubelet.runs["default/again"].uid == successor["metadata"]["uid"]


async def test_a_pod_that_had_ended_before_is_taken_away_when_it_is_removed():
    world = World()
    pod = world.create("done")
    pod = world.registry.update({**pod, "status": {"phase": "Succeeded"}}, subresource="status")
    world.left = [pod]
    async with world:
        await world.until(lambda: True)
        world.registry.delete("Pod", "default", "done")
        await world.until(lambda: world.pod_network.detached)
        assert world.pod_network.detached == [["default/done"]]
        await world.until(lambda: world.kubelet.runs == {})


async def test_when_its_node_goes_its_pods_go_with_it_and_are_removed():
    async with World() as world:
        for number in range(3):
            world.create(f"p{number}")
        world.create("other", node=LAB.nodes[0].name)
        await world.until(lambda: len(world.kubelet.runs) == 3)
        await world.kubelet.leave()
        assert world.kubelet.runs == {}
        detached = sorted(itertools.chain(*world.pod_network.detached))
        assert detached == [f"default/p{number}" for number in range(3)]
        assert world.containers.graces == [0.0] * 3
        assert list(world.pods()) == ["other"]


async def test_what_was_on_a_node_that_is_switched_off_ends_at_once_and_is_still_there():
    world = World()
    async with world:
        world.create("steady")
        world.create("slow", terminationGracePeriodSeconds=600)
        await world.until(lambda: len(world.ready()) == 2)
        world.containers.seconds = 600
        world.registry.delete("Pod", "default", "slow")
        while 600.0 not in world.containers.graces:
            await asyncio.sleep(0.002)
        world.containers.seconds = 0
        await world.kubelet.cut()
        assert world.containers.graces == [600.0, 0.0, 0.0]
        detached = sorted(itertools.chain(*world.pod_network.detached))
        assert detached == ["default/slow", "default/steady"]
        assert set(world.pods()) == {"slow", "steady"}
        assert world.ready() == ["slow", "steady"], "nobody was there to say otherwise"


async def test_on_a_node_that_boots_pods_start_anew_and_evicted_ones_are_removed():
    world = World()
    async with world:
        for name, policy in (("again", "Always"), ("never", "Never"), ("evicted", "Always")):
            world.create(name, restartPolicy=policy)
        world.create("host", hostNetwork=True)
        await world.until(lambda: len(world.ready()) == 4)
        before = world.pods()["again"]["status"]["podIP"]
        await world.kubelet.cut()
        world.registry.delete("Pod", "default", "evicted")
        world.containers.started.clear()
        await world.begin(boots=True)
        await world.until(lambda: "evicted" not in world.pods() and len(world.ready()) == 2)
        assert sorted(world.containers.started) == ["again", "host"]
        for name in ("again", "host"):
            (container,) = world.pods()[name]["status"]["containerStatuses"]
            assert container["restartCount"] == 1
            last = container["lastState"]["terminated"]
            assert (last["exitCode"], last["reason"]) == (255, "Unknown")
        assert world.pods()["again"]["status"]["podIP"] == before
        never = world.pods()["never"]["status"]
        assert never["phase"] == "Failed"
        assert never["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 255


async def test_what_was_said_of_its_pods_while_it_was_lost_is_put_right_when_it_is_back():
    def node(status):
        ready = {"type": "Ready", "status": status}
        patch = {"status": {"conditions": [ready]}}
        world.registry.patch("Node", "", NODE, patch, subresource="status")

    async with World() as world:
        node("True")
        world.create("p")
        await world.until(lambda: world.ready() == ["p"])
        node("Unknown")
        lost = {"type": "Ready", "status": "False", "reason": "NodeNotReady"}
        conditions = world.pods()["p"]["status"]["conditions"]
        said = [one for one in conditions if one["type"] != "Ready"] + [lost]
        patch = {"status": {"conditions": said}}
        world.registry.patch("Pod", "default", "p", patch, subresource="status")
        await world.until(lambda: world.ready() == [])
        node("True")
        await world.until(lambda: world.ready() == ["p"])


def claiming(*ports, host_network=False):
    entries = [{"containerPort": 80} | port for port in ports]
    containers = [{"name": "c", "image": "nginx", "ports": entries}]
    return {"containers": containers, "hostNetwork": host_network}


async def test_a_pod_whose_host_port_is_taken_fails_and_says_why():
    async with World() as world:
        world.create("first", **claiming({"hostPort": 80}))
        world.create("elsewhere", **claiming({"hostPort": 80, "protocol": "UDP"}))
        world.create("own", **claiming({"hostPort": 81, "containerPort": 81}, host_network=True))
        await world.until(lambda: len(world.ready()) == 3)
        world.create("late", **claiming({"hostPort": 80, "hostIP": "127.0.0.1"}))
        world.create("second", **claiming({"hostPort": 80}, host_network=True))
        world.create("fits", **claiming({"hostPort": 82, "hostIP": "127.0.0.1"}))
        await world.until(lambda: "fits" in world.ready())
        why = (
            "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports"
        )
        for name in ("late", "second"):
            status = world.pods()[name]["status"]
            found = status["phase"], status["reason"], status["message"]
            assert found == ("Failed", "NodePorts", f"Pod was rejected: {why}")
        assert world.recorder.warnings == [f"NodePorts: {why}"] * 2


def requesting(**amounts):
    return {"containers": [{"name": "c", "image": "nginx", "resources": {"requests": amounts}}]}


async def test_a_pod_that_the_node_lacks_resources_for_fails_and_says_which():
    async with World() as world:
        allocatable = {"cpu": "2", "memory": "1Gi", "ephemeral-storage": "1Gi", "pods": "3"}
        status = {"status": {"allocatable": allocatable}}
        world.registry.patch("Node", "", NODE, status, subresource="status")
        await world.until(lambda: world.informers["Node"].get(NODE)["status"].get("allocatable"))
        world.create("first", **requesting(cpu="1500m", memory="512Mi"))
        await world.until(lambda: world.ready() == ["first"])
        cases = {
            "cpu": (requesting(cpu="0.6"), "requested: 600, used: 1500, capacity: 2000"),
            "memory": (
                requesting(memory="1Gi"),
                "requested: 1073741824, used: 536870912, capacity: 1073741824",
            ),
            "ephemeral-storage": (
                requesting(**{"ephemeral-storage": "2Gi"}),
                "requested: 2147483648, used: 0, capacity: 1073741824",
            ),
        }
        for resource, (spec, words) in cases.items():
            world.create(f"more-{resource}", **spec)
            await world.until(lambda: world.recorder.warnings)
            why = f"Node didn't have enough resource: {resource}, {words}"
            status = world.pods()[f"more-{resource}"]["status"]
            found = status["phase"], status["reason"], status["message"]
            assert found == ("Failed", f"OutOf{resource}", f"Pod was rejected: {why}")
            assert world.recorder.warnings == [f"OutOf{resource}: {why}"]
            world.recorder.warnings.clear()
        card = {"example.com/card": "1"}
        second = requesting(cpu="500m", **card)
        second["containers"][0]["resources"]["limits"] = card
        world.create("second", **second)
        world.create("third")
        await world.until(lambda: world.ready() == ["first", "second", "third"])
        world.create("fourth")
        await world.until(lambda: world.recorder.warnings)
        words = "pods, requested: 1, used: 3, capacity: 3"
        assert world.recorder.warnings == [f"OutOfpods: Node didn't have enough resource: {words}"]


async def test_a_pod_for_another_system_is_rejected():
    async with World() as world:
        world.create("ours", os={"name": "linux"})
        world.create("theirs", os={"name": "windows"})
        await world.until(lambda: world.ready() == ["ours"])
        status = world.pods()["theirs"]["status"]
        assert (status["phase"], status["reason"]) == ("Failed", "PodOSNotSupported")
        why = "Failed to admit pod as the OS field doesn't match node OS"
        assert status["message"] == f"Pod was rejected: {why}"
        assert world.recorder.warnings == [f"PodOSNotSupported: {why}"]


async def test_a_port_of_a_pod_that_has_ended_is_free():
    async with World() as world:
        world.create("first", **claiming({"hostPort": 80}), restartPolicy="Never")
        await world.until(lambda: world.ready() == ["first"])
        run = world.kubelet.runs["default/first"]
        run.state("c").end("2026-01-01T00:00:00Z", 0)
        run.changed()
        await world.until(lambda: world.pods()["first"]["status"]["phase"] == "Succeeded")
        world.create("next", **claiming({"hostPort": 80}))
        await world.until(lambda: world.ready() == ["next"])


async def test_who_runs_already_keeps_his_port():
    """Of two that a new controller finds, whatever their names."""
    async with World() as world:
        world.create("z", **claiming({"hostPort": 80}))
        await world.until(lambda: world.ready() == ["z"])
        await world.kubelet.stop()
        world.create("a", **claiming({"hostPort": 80}))
        world.left = list(world.pods().values())
        await world.begin()
        await world.until(lambda: world.pods()["a"]["status"].get("phase") == "Failed")
        assert world.ready() == ["z"]
