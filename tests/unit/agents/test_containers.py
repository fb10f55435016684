import asyncio
import os
from types import SimpleNamespace

import pytest

from netlab.agents import containers, podtasks
from netlab.agents.certificates import PodCertificates
from netlab.agents.configuration import PodConfiguration
from netlab.agents.containers import PodContainers
from netlab.agents.lifecycle import Lifecycle
from netlab.agents.podevents import PodEvents
from netlab.agents.podrun import new_run
from netlab.agents.podtasks import PodTasks
from netlab.agents.responder_keeper import ResponderKeeper
from netlab.agents.unready import unready
from netlab.agents.volumes import Volumes
from netlab.client.informer import Informers
from netlab.client.inprocess import InProcessApi
from netlab.errors import NetlabError
from netlab.kernel.userns import IdRange
from netlab.objects.lab import lab_from_object
from netlab.store.registry import Registry
from netlab.store.store import Store
from netlab.workload.sandbox import Ended

POD = {
    "metadata": {"name": "p", "namespace": "n", "uid": "u"},
    "spec": {
        "volumes": [{"name": "v", "downwardAPI": {}}],
        "containers": [{"name": "c", "image": "alpine", "command": ["sleep", "1"]}],
    },
}


class Recorder:
    def __init__(self):
        self.warnings = []

    def warning(self, _obj, reason, message):
        self.warnings.append(f"{reason}: {message}")


class Processes:
    """Notes what is started."""

    def __init__(self):
        self.started = asyncio.Event()

    def is_adoptable(self, _run, _name):
        return False

    def start(self, _run, _name, _command):
        self.started.set()

    def kill(self, _run, _name, _why, _grace):
        """Nothing has to."""


async def test_a_volume_that_the_disk_refuses_is_an_event_and_tried_again(tmp_path, monkeypatch):
    monkeypatch.setattr(containers, "RETRY", 0.01)
    lab = lab_from_object({"metadata": {"name": "t"}, "spec": {"nodes": 2}})
    configuration = PodConfiguration(Informers(InProcessApi(Registry(Store(None), lab))))
    recorder, processes = Recorder(), Processes()
    lifecycle = Lifecycle(PodEvents(recorder), None, None)
    volumes = Volumes(tmp_path, configuration.lookup, IdRange(os.getuid()))
    agent = PodContainers(
        ResponderKeeper(tmp_path, ""),
        processes,
        None,
        None,
        configuration,
        volumes,
        lifecycle,
        certificates(None),
        None,
    )
    run = new_run(POD, "w1", ("10.0.0.2",), None, tmp_path / "pod")
    run.directory.touch()  # what the disk refuses is a directory here
    await agent.start([run])
    await asyncio.sleep(0.05)
    said = 'MountVolume.SetUp failed for volume "v" : Not a directory'
    assert recorder.warnings == [f"FailedMount: {said}"]
    assert run.state("c").message == said
    assert not processes.started.is_set()
    run.directory.unlink()
    await processes.started.wait()


def certificates(keeper):
    """None of these containers needs one."""
    return PodCertificates(None, None, keeper, "cluster.local")


# -- who runs what, and when ----------------------------------------------------------------------

WEB = {"name": "web", "image": "nginx"}
JOB = {"name": "job", "image": "alpine", "command": ["true"]}
NAMES = {"name": "dns", "image": "netlab/dnsmasq"}
SETTINGS = {"name": "c", "envFrom": [{"configMapRef": {"name": "settings"}}], "command": ["env"]}
MISSING = 'configmap "settings" not found'


class Keeper:
    """The responder: what it serves, and `known`, what a former controller had it serve."""

    def __init__(self):
        self.client = self
        self.served, self.stopped, self.known, self.shared = [], [], {}, []

    def on_restart(self, _serve):
        """It never dies here."""

    async def reached(self, call):
        return await call()

    async def list(self):
        return self.known

    async def share(self, uid, owner):
        self.shared.append((uid, owner))

    async def logs(self, uid, container):
        for line in ("one", "two"):
            yield 1.5, f"{uid} {container} {line}"

    async def serve(self, wanted, _certificates):
        self.served += [each.uid for each in wanted]
        return {}

    async def stop(self, uids):
        self.stopped += uids

    async def leave(self, uid):
        self.stopped.append(uid)


class Tasks:
    """Commands; each goes on until `end(name, code)`."""

    def __init__(self):
        self.started, self.stopped, self.forgotten = [], [], []
        self.adoptable, self.left = set(), frozenset()
        self.succeeded, self.refuses, self.ended = [], False, set()
        self._ends = {}

    def kill(self, _run, _name, _why, _grace):
        """Nothing has to."""

    def runs(self, _run, name):
        return name not in self.ended

    async def succeed(self, run, name, first, command, leave):
        await asyncio.sleep(0)
        if self.refuses:
            raise NetlabError("it does not begin")
        await leave()
        run.entered.add(name)
        self.succeeded.append((name, first.argv[0], command().argv == first.argv))

    def is_adoptable(self, _run, name):
        return name in self.adoptable

    def start(self, _run, name, command):
        if name not in self.adoptable:
            command()
        self.started.append(name)
        self._ends[name] = asyncio.get_running_loop().create_future()
        return asyncio.ensure_future(self._ended(name))

    async def _ended(self, name):
        return Ended(await self._ends[name], 0, "", "", 0.0, 0.0)

    def end(self, name, code):
        self._ends[name].set_result(code)

    async def adopt(self):
        return self.left

    async def stop(self, run, grace):
        self.stopped.append((run.key, grace))

    async def forget(self, uid, _keep=()):
        self.forgotten.append(uid)

    async def detach(self):
        """They run on."""


class Programs:
    """What is kept in pods beside commands and servers: names, say."""

    def __init__(self):
        self.started, self.stopped, self.forgotten = [], [], []

    async def start(self, run, name):
        self.started.append((run.uid, name))

    async def stop(self, run):
        self.stopped.append(run.uid)

    async def forget(self, run):
        self.forgotten.append(run.uid)

    async def detach(self):
        """They run on."""


class Draining:
    def __init__(self):
        self.waited = []

    async def wait(self, uid, grace):
        self.waited.append((uid, grace))


class World:
    def __init__(self, directory, lifecycle):
        lab = lab_from_object({"metadata": {"name": "t"}, "spec": {"nodes": 2}})
        self.registry = Registry(Store(None), lab)
        self.registry.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}})
        self.informers = Informers(InProcessApi(self.registry))
        configuration = PodConfiguration(self.informers)
        self.keeper, self.tasks, self.programs = Keeper(), Tasks(), Programs()
        self.draining = Draining()
        volumes = Volumes(directory, configuration.lookup, IdRange(os.getuid()))
        self.deeds = PodTasks(self.informers, lifecycle)
        self.agent = PodContainers(
            self.keeper,
            self.tasks,
            self.programs,
            self.draining,
            configuration,
            volumes,
            lifecycle,
            certificates(self.keeper),
            self.deeds,
        )

    def settings(self):
        metadata = {"name": "settings", "namespace": "n"}
        self.registry.create(
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"A": "b"}}
        )


@pytest.fixture
async def world(tmp_path, lifecycle):
    world = World(tmp_path, lifecycle)
    await world.informers.start()
    yield world
    await world.agent.detach()
    await world.informers.stop()


async def test_each_container_is_run_by_whom_its_image_calls_for(world, pod_run, until):
    run = pod_run(WEB, JOB, NAMES)
    await world.agent.start([run])
    await until(lambda: world.programs.started == [("u", "dns")])
    assert (world.keeper.served, world.tasks.started) == (["u/web"], ["job"])


@pytest.mark.parametrize("kind", ["containers", "inits"])
async def test_what_nobody_foresaw_is_said_and_tried_again(
    world, recorder, pod_run, until, monkeypatch, kind
):
    monkeypatch.setattr(containers, "RETRY", 0.01)
    run = pod_run(JOB) if kind == "containers" else pod_run(WEB, inits=(JOB,))
    said, known = [], containers.behaviour
    run.on_change = lambda run: said.append((run.state("job").waiting, run.state("job").message))
    surprises = [KeyError("image"), KeyError("image"), AssertionError()]

    def behaviour(spec, env):
        if spec["name"] == "job" and surprises:
            raise surprises.pop()
        return known(spec, env)

    monkeypatch.setattr(containers, "behaviour", behaviour)
    await world.agent.start([run])
    await until(lambda: "job" in world.tasks.started)
    assert said == [
        ("CreateContainerError", "unexpected error: AssertionError()"),
        ("CreateContainerError", "unexpected error: KeyError('image')"),
    ]
    assert len(recorder.warnings) == 3


async def test_servers_are_processes_where_these_are_to_be_seen(world, pod_run, until):
    run = pod_run(WEB, JOB, shareProcessNamespace=True)
    await world.agent.start([run])
    await until(lambda: world.tasks.started == ["web", "job"])
    assert world.keeper.served == []
    assert run.entered == {"web"}


async def test_who_lacks_configuration_waits_says_so_once_and_holds_up_nobody(
    world, recorder, pod_run, until
):
    run = pod_run(SETTINGS, WEB)
    await world.agent.start([run])
    assert run.state("web").running
    assert (run.state("c").waiting, run.state("c").message) == (
        "CreateContainerConfigError",
        MISSING,
    )
    world.registry.create(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "namespace": "n"}}
    )
    await asyncio.sleep(0.05)
    assert world.tasks.started == []
    assert list(unready([run])) == [("n/p", True)]
    world.settings()
    await until(lambda: world.tasks.started == ["c"])
    assert recorder.warnings == [f"Failed: Error: {MISSING}"]
    assert list(unready([run])) == [("n/p", False)], "it is about to start"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, 'missing value for "WHERE"'),
        ("/tmp", "error SubPath `/tmp` must not be an absolute path"),
        ("a/../../b", "unable to provision SubPath `a/../../b`: must not contain '..'"),
    ],
)
async def test_a_sub_path_that_is_none_is_no_configuration(
    world, recorder, pod_run, value, words, until, monkeypatch
):
    monkeypatch.setattr(containers, "RETRY", 0.01)
    env = [] if value is None else [{"name": "WHERE", "value": value}]
    mount = {"name": "v", "mountPath": "/v", "subPathExpr": "$(WHERE)"}
    lost = {**JOB, "name": "lost", "env": env, "volumeMounts": [mount]}
    run = pod_run(lost, JOB, volumes=[{"name": "v", "emptyDir": {}}])
    await world.agent.start([run])
    await until(lambda: world.tasks.started == ["job"])
    assert (run.state("lost").waiting, run.state("lost").message) == (
        "CreateContainerConfigError",
        words,
    )
    assert recorder.warnings == [f"Failed: Error: {words}"]
    run.spec_of("lost")["env"] = [{"name": "WHERE", "value": "here"}]
    await until(lambda: world.tasks.started == ["job", "lost"])


async def test_init_containers_run_one_after_another_before_the_rest(world, pod_run, until):
    run = pod_run(WEB, inits=({**JOB, "name": "i1"}, {**JOB, "name": "i2"}))
    other = pod_run(JOB)
    other.pod["metadata"] = {**other.pod["metadata"], "uid": "v"}
    await world.agent.start([run, other])
    await until(lambda: world.tasks.started == ["job", "i1"])
    world.tasks.end("i1", 0)
    await until(lambda: world.tasks.started[-1] == "i2")
    assert world.keeper.served == []
    world.tasks.end("i2", 0)
    await until(lambda: world.keeper.served == ["u/web"])


async def test_what_the_lab_does_itself_may_be_done_first(world, pod_run, until, monkeypatch):
    done = []

    async def certgen(_api, deed, _say):
        done.append(deed.argv)

    monkeypatch.setattr(podtasks, "TASKS", {"certgen": SimpleNamespace(get=lambda: certgen)})
    task = {"name": "i", "image": "x/kube-webhook-certgen", "args": ["create", "--host=a"]}
    run = pod_run(WEB, inits=(task,))
    await world.agent.start([run])
    await until(lambda: world.keeper.served == ["u/web"])
    assert done == [("create", "--host=a")]
    assert run.state("i").exit_code == 0


async def test_nothing_starts_after_an_init_container_that_failed_for_good(world, pod_run, until):
    run = pod_run(WEB, inits=(JOB,), restartPolicy="Never")
    await world.agent.start([run])
    await until(lambda: world.tasks.started == ["job"])
    world.tasks.end("job", 1)
    await asyncio.sleep(0.05)
    assert world.keeper.served == []


@pytest.mark.parametrize("sidecar", [{**JOB, "name": "s"}, {**WEB, "name": "s"}])
async def test_sidecars_are_not_waited_for(world, pod_run, until, sidecar):
    run = pod_run(WEB, inits=({**sidecar, "restartPolicy": "Always"},))
    await world.agent.start([run])
    await until(lambda: "u/web" in world.keeper.served)
    assert "u/s" in world.keeper.served or world.tasks.started == ["s"]


async def test_a_server_that_is_no_sidecar_never_ends(world, pod_run, until):
    run = pod_run(WEB, inits=({**WEB, "name": "i"},))
    await world.agent.start([run])
    await until(lambda: world.keeper.served == ["u/i"])
    await asyncio.sleep(0.05)
    assert world.keeper.served == ["u/i"]


# -- the end of a pod, and of a controller --------------------------------------------------------


async def test_a_pod_that_ends_starts_nothing_more(world, recorder, pod_run):
    run = pod_run(SETTINGS, WEB)
    await world.agent.start([run])
    await world.agent.stop(run, 5.0)
    world.settings()
    await asyncio.sleep(0.05)
    assert world.tasks.started == []
    assert world.tasks.stopped == [("n/p", 5.0)]
    assert world.keeper.stopped == ["u/web"]
    assert world.programs.stopped == ["u"]
    assert world.draining.waited == [("u", 5.0)]
    assert "Killing: Stopping container web" in recorder.told
    assert "Killing: Stopping container c" not in recorder.told, "it never ran"


async def test_a_server_s_hook_is_waited_for_before_it_is_closed(world, actions, pod_run):
    run = pod_run({**WEB, "lifecycle": {"preStop": {"exec": {"command": ["x"]}}}})
    await world.agent.start([run])
    closed_before = []
    attempt = actions.attempt

    async def noted(*how):
        closed_before.extend(world.keeper.stopped)
        return await attempt(*how)

    actions.attempt = noted
    await world.agent.stop(run, 5.0)
    assert actions.asked == [("web", 5.0)]
    assert (closed_before, world.keeper.stopped) == ([], ["u/web"])


async def test_what_belongs_to_no_pod_any_more_is_ended(world):
    world.keeper.known = {"u/web": None, "gone/web": None, "internet": None}
    world.tasks.left = frozenset({"u", "lost"})
    await world.agent.adopt(["u"])
    assert world.keeper.stopped == ["gone/web"]
    assert world.tasks.forgotten == ["lost"]


async def test_what_runs_already_needs_its_configuration_no_more(world, recorder, pod_run):
    world.tasks.adoptable = {"c"}
    run = pod_run(SETTINGS)
    await world.agent.start([run])
    assert world.tasks.started == ["c"]
    assert recorder.warnings == []


async def test_whoever_waits_is_forgotten_when_the_controller_ends(world, pod_run):
    await world.agent.start([pod_run(SETTINGS)])
    await world.agent.detach()
    world.settings()
    await asyncio.sleep(0.05)
    assert world.tasks.started == []


# -- somebody goes into a built-in server ---------------------------------------------------------


async def test_a_server_with_files_becomes_a_process_for_who_comes_in_once(world, pod_run):
    run = pod_run(WEB, {**WEB, "name": "redis", "image": "redis"})
    await world.agent.start([run])
    for name in ("web", "redis"):
        await asyncio.gather(*(world.agent.enter(run, name) for _ in range(3)))
    assert world.tasks.succeeded == [("web", "/web-server", True)]
    assert world.keeper.stopped == ["u/web"]
    assert world.keeper.shared == [("u/web", 0)]
    log = run.directory / "containers/web/0.log"
    assert log.read_text() == (
        "1970-01-01T00:00:01.500000000Z stdout F u/web web one\n"
        "1970-01-01T00:00:01.500000000Z stdout F u/web web two\n"
    )


async def test_it_stays_built_in_where_no_process_begins_or_it_is_about_to_end(world, pod_run):
    run = pod_run(WEB)
    await world.agent.start([run])
    world.tasks.refuses = True
    await world.agent.enter(run, "web")
    world.tasks.refuses, run.stopping = False, True
    await world.agent.enter(run, "web")
    assert (world.tasks.succeeded, world.keeper.stopped, run.entered) == ([], [], set())


async def test_the_next_controller_finds_it_a_process(world, pod_run, until):
    run = pod_run(WEB)
    world.tasks.adoptable = {"web"}
    await world.agent.start([run])
    assert (world.tasks.started, run.entered, world.keeper.served) == (["web"], {"web"}, [])
    await until(lambda: world.keeper.stopped == ["u/web"])


async def test_a_process_that_has_ended_is_no_reason_for_the_next_controller(world, pod_run):
    run = pod_run(WEB)
    world.tasks.adoptable = world.tasks.ended = {"web"}
    await world.agent.start([run])
    assert (world.tasks.started, run.entered, world.keeper.served) == ([], set(), ["u/web"])
