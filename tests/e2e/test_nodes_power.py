"""A node is switched off while its lab runs: the cluster notices, and gets along without it."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from e2e import manifests
from e2e.labs import Machine, eventually, machine

from netlab.client.sync import Client
from netlab.kernel import paths
from netlab.objects import meta

GOES, STAYS = "worker002", "worker001"
WEB, STEADY = 30080, 30081
SECONDS = 30.0
VIPS = [f"172.16.110.{number}" for number in range(200, 204)]
"""Of load balancers; each node answers for some of them."""


def _steady() -> str:
    """A web server that stays on the other worker, and one of every node."""
    pod = {"containers": [{"name": "c", "image": "nginx", "ports": [{"containerPort": 80}]}]}
    steady = {"nodeSelector": {"kubernetes.io/hostname": STAYS}, **pod}
    metadata = {"name": "steady", "labels": {"app": "steady"}}
    port = {"port": 80, "nodePort": STEADY}
    balanced = {"type": "LoadBalancer", "selector": {"app": "steady"}, "ports": [{"port": 80}]}
    every = {"matchLabels": {"app": "every"}}
    template = {"metadata": {"labels": {"app": "every"}}, "spec": pod}
    return "---\n" + yaml.safe_dump_all(
        [
            {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": steady},
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": "steady"},
                "spec": {"type": "NodePort", "selector": {"app": "steady"}, "ports": [port]},
            },
            {
                "apiVersion": "apps/v1",
                "kind": "DaemonSet",
                "metadata": {"name": "every"},
                "spec": {"selector": every, "template": template},
            },
            *(
                {
                    "apiVersion": "v1",
                    "kind": "Service",
                    "metadata": {"name": f"balanced-{number}"},
                    "spec": {**balanced, "loadBalancerIP": vip},
                }
                for number, vip in enumerate(VIPS)
            ),
        ]
    )


LAB = (
    manifests.lab("power", nodes=3, nodeLifecycle={"defaultUnreachableTolerationSeconds": 1})
    + manifests.web(replicas=4)
    + manifests.service(type="NodePort", ports=[{"port": 80, "nodePort": WEB}])
    + _steady()
)


class Power:
    """The lab, as its API and its namespaces tell of it."""

    def __init__(self, here: Machine, file: Path, client: Client) -> None:
        self.here, self.file, self.client = here, file, client

    def turn(self, way: str) -> str:
        return self.here.netlab("node", way, GOES).stdout

    def off(self) -> None:
        """Have the node be off, and the cluster get along without it."""
        self.turn("stop")
        eventually(self.is_off, SECONDS)
        eventually(lambda: self.ready("web") == {STAYS: 4}, SECONDS)

    def on(self) -> None:
        self.turn("start")
        eventually(self.is_on, SECONDS)

    def daemon(self) -> dict[str, Any]:
        (pod,) = [pod for pod in self.pods("every") if pod["spec"]["nodeName"] == GOES]
        return pod

    def node(self) -> dict[str, Any]:
        return self.client.get("Node", "", GOES)

    def pods(self, app: str) -> list[dict[str, Any]]:
        pods = self.client.list("Pod", "default")
        return [pod for pod in pods if meta.labels(pod).get("app") == app]

    def ready(self, app: str) -> Counter[str]:
        """How many pods are ready, by node."""
        pods = [pod for pod in self.pods(app) if meta.is_ready(pod)]
        return Counter(pod["spec"]["nodeName"] for pod in pods if not meta.is_terminating(pod))

    def serving(self) -> set[str]:
        """The nodes that a packet for the Service may be sent to."""
        slices = self.client.list("EndpointSlice", "default")
        return {
            endpoint["nodeName"]
            for one in slices
            if meta.labels(one).get("kubernetes.io/service-name") == "web"
            for endpoint in one.get("endpoints") or []
            if endpoint["conditions"]["ready"]
        }

    def is_off(self) -> bool:
        assert not self.here.namespace(f"power.{GOES}").exists()
        ready = meta.condition(self.node(), "Ready")
        return ready["status"] == "Unknown" and GOES not in self.serving()

    def is_on(self) -> bool:
        evicted = [pod for pod in self.pods("web") if meta.is_terminating(pod)]
        assert not evicted, "a kubelet that is back confirms their end"
        return meta.is_ready(self.node()) and self.ready("every")[GOES] == 1


class Requests:
    """New connections from the client to a port of some nodes, until it ends, and what failed."""

    def __init__(self, lab: Machine, nodes: list[str], port: int) -> None:
        self.answered = 0
        self.lost: list[str] = []
        self._lab, self._port = lab, port
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(node,)) for node in nodes]

    def __enter__(self) -> Requests:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, address: str) -> None:
        while not self._ended.wait(0.005):
            try:
                self._lab.connect("power.client", address, self._port, timeout=5)
                self.answered += 1
            except OSError as error:
                self.lost.append(f"{time.monotonic():.3f} {address}: {error!r}")


OTHERS = ["172.16.110.10", "172.16.110.11"]


@pytest.fixture(scope="module")
def power(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Power]:
    with machine(tmp_path_factory.mktemp("power")) as here:
        file = here.lab_file(LAB)
        here.netlab("up", file)
        with Client(paths.api_socket(here.base / "run" / "power")) as client:
            yield Power(here, file, client)


def test_traffic_through_other_nodes_loses_nothing_while_one_goes_and_comes(power: Power) -> None:
    assert power.ready("web") == {STAYS: 2, GOES: 2}
    with Requests(power.here, OTHERS, STEADY) as requests:
        assert power.turn("stop") == f"node/{GOES} stopped\n"
        eventually(power.is_off, SECONDS)
        eventually(lambda: power.ready("web") == {STAYS: 4}, SECONDS)
        assert power.turn("start") == f"node/{GOES} started\n"
        eventually(power.is_on, SECONDS)
    assert not requests.lost
    assert requests.answered > 100


def test_once_its_endpoints_are_gone_nobody_is_sent_there(power: Power) -> None:
    power.off()
    power.here.netlab("rules", "svc/web", "--node", STAYS)
    with Requests(power.here, OTHERS, WEB) as requests:
        time.sleep(0.5)
    assert not requests.lost and requests.answered
    with pytest.raises(OSError):
        power.here.connect("power.client", "172.16.110.12", WEB)


def test_another_node_answers_for_the_load_balancers_that_it_had(power: Power) -> None:
    power.off()
    events = power.here.netlab("get", "events").stdout
    assert f'announcing from node "{GOES}"' in events
    for vip in VIPS:
        eventually(lambda vip=vip: power.here.curl("power.client", vip), SECONDS)


def test_it_is_told_in_the_words_of_a_cluster(power: Power) -> None:
    power.off()
    taints = [(one["key"], one["effect"]) for one in power.node()["spec"]["taints"]]
    unreachable = "node.kubernetes.io/unreachable"
    assert taints == [(unreachable, "NoSchedule"), (unreachable, "NoExecute")]
    assert f"{GOES}   off" in power.here.status()
    status = json.loads(power.here.status("-o", "json"))
    assert status["nodes"] == {"master001": "Ready", STAYS: "Ready", GOES: "off"}
    assert "NotReady" in power.here.netlab("get", "nodes").stdout
    events = power.here.netlab("describe", "node", GOES).stdout
    assert f"Node {GOES} status is now: NodeNotReady" in events
    assert not meta.is_terminating(power.daemon()), "a daemon's pod stays with its node"
    failed = power.here.netlab("exec", meta.name(power.daemon()), "--", "true", code=1)
    assert GOES in failed.stderr or "unreachable" in failed.stderr, failed.stderr
    for words in (("shell", GOES), ("rules", "svc/steady", "--node", GOES)):
        said = power.here.netlab(*words, code=1).stderr
        assert said == f"error: node {GOES} is switched off\n  hint: netlab node start {GOES}\n"
    again = power.here.netlab("node", "stop", GOES).stdout
    assert again == f"node/{GOES} already stopped\n"


def test_a_killed_controller_leaves_it_off_and_the_others_at_work(power: Power) -> None:
    power.off()
    routes = power.here.run_in(f"power.{STAYS}", "ip", "route").stdout
    assert "10.244.2.0/24 via 10.10.11.12" in routes, "it may come back any moment"
    with Requests(power.here, OTHERS, STEADY) as requests:
        directory = power.here.base / "run" / "power"
        os.kill(int(paths.controller_pid(directory).read_text()), signal.SIGKILL)
        power.here.netlab("up", power.file)
        assert not power.here.namespace(f"power.{GOES}").exists()
    assert not requests.lost
    assert power.here.run_in(f"power.{STAYS}", "ip", "route").stdout == routes
    eventually(power.is_off, SECONDS)


def test_what_it_ran_starts_anew_with_it(power: Power) -> None:
    power.off()
    (before,) = power.daemon()["status"]["containerStatuses"]
    power.on()
    (container,) = power.daemon()["status"]["containerStatuses"]
    assert container["restartCount"] == before["restartCount"] + 1
    assert container["lastState"]["terminated"]["exitCode"] == 255
    assert power.here.curl("power.client", f"172.16.110.12:{WEB}")
    assert not meta.annotations(power.node()).get("netlab/power")


def test_its_disk_is_as_it_was_and_its_memory_is_empty(power: Power) -> None:
    """Of a pod that bears the loss of its node: the same pod goes on with its emptyDir, but for one
    in memory; and one that is taken away meanwhile has left nothing when it is made anew."""
    bears = [{"operator": "Exists", "effect": "NoExecute"}]
    volumes = [
        {"name": "disk", "emptyDir": {}},
        {"name": "memory", "emptyDir": {"medium": "Memory"}},
    ]
    mounts = [{"name": name, "mountPath": f"/{name}"} for name in ("disk", "memory")]
    container = {"name": "c", "image": "busybox", "command": ["sleep", "infinity"]}
    spec = {
        "nodeName": GOES,
        "tolerations": bears,
        "volumes": volumes,
        "containers": [{**container, "volumeMounts": mounts}],
        "terminationGracePeriodSeconds": 0,
    }
    file = power.here.lab_file(manifests.manifest("v1", "Pod", "kept", spec), "kept.yaml")
    wait = ("wait", "--for=condition=Ready", "pod/kept", "--timeout=30s")

    def listed() -> list[str]:
        return power.here.netlab("exec", "kept", "--", "ls", "/disk", "/memory").stdout.split()

    def restarts() -> int:
        (status,) = power.client.get("Pod", "default", "kept")["status"]["containerStatuses"]
        return int(status["restartCount"])

    power.here.netlab("apply", "-f", file)
    power.here.netlab(*wait)
    write = "echo here > /disk/file; echo here > /memory/file"
    power.here.netlab("exec", "kept", "--", "sh", "-c", write)
    before = power.client.get("Pod", "default", "kept")
    power.turn("stop")
    power.on()
    eventually(lambda: restarts() == 1)  # it is said to be ready until the node is looked at
    power.here.netlab(*wait)
    assert meta.uid(power.client.get("Pod", "default", "kept")) == meta.uid(before)
    assert listed() == ["/disk:", "file", "/memory:"]
    power.turn("stop")
    power.client.delete("Pod", "default", "kept", grace_period=0)
    power.on()
    power.here.netlab("apply", "-f", file)
    power.here.netlab(*wait)
    assert listed() == ["/disk:", "/memory:"]
    power.client.delete("Pod", "default", "kept", grace_period=0)


def test_a_controller_that_is_killed_meanwhile_leaves_nothing_running_there(power: Power) -> None:
    power.on()
    directory = power.here.base / "run" / "power"
    names = [pod["metadata"]["name"] for app in ("web", "every") for pod in power.pods(app)
             if pod["spec"]["nodeName"] == GOES]  # fmt: skip
    assert names and power.here.namespace(f"power.default.{names[0]}").exists()
    power.client.patch("Node", "", GOES, {"metadata": {"annotations": {"netlab/power": "off"}}})
    os.kill(int(paths.controller_pid(directory).read_text()), signal.SIGKILL)
    power.here.netlab("up", power.file)
    eventually(power.is_off, SECONDS)
    there = {entry.name for entry in power.here.namespace("power.any").parent.iterdir()}
    assert there.isdisjoint(f"power.default.{name}" for name in names)
    power.on()


def test_one_that_is_off_and_deleted_is_gone(power: Power) -> None:
    power.turn("stop")
    power.client.request("DELETE", f"/api/v1/nodes/{GOES}")

    def is_gone() -> bool:
        routes = power.here.run_in(f"power.{STAYS}", "ip", "route").stdout
        return "10.244.2.0/24" not in routes and power.ready("web") == {STAYS: 4}

    eventually(is_gone, SECONDS)
    power.here.netlab("node", "start", GOES, code=1)
