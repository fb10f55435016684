import asyncio
import os

from netlab.agents import containers
from netlab.agents.configuration import Configuration
from netlab.agents.containers import PodContainers
from netlab.agents.lifecycle import Lifecycle
from netlab.agents.podevents import PodEvents
from netlab.agents.podrun import new_run
from netlab.agents.responder_keeper import ResponderKeeper
from netlab.agents.volumes import Volumes
from netlab.client.informer import Informers
from netlab.client.inprocess import InProcessApi
from netlab.kernel.userns import IdRange
from netlab.objects.lab import lab_from_object
from netlab.store.registry import Registry
from netlab.store.store import Store

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


async def test_a_volume_that_the_disk_refuses_is_an_event_and_tried_again(tmp_path, monkeypatch):
    monkeypatch.setattr(containers, "RETRY", 0.01)
    lab = lab_from_object({"metadata": {"name": "t"}, "spec": {"nodes": 2}})
    configuration = Configuration(Informers(InProcessApi(Registry(Store(None), lab))))
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
