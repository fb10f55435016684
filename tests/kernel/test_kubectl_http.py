"""Real kubectl against the API with its controllers, in a network namespace of their own.

There is no pod behind it: a few lines stand in for the node agents and call every pod ready.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from bootstrapped import initial_objects
from e2e.labs import KUBECTLS
from fake_streams import FakeStreams

from netlab.api.server import build_app
from netlab.client.inprocess import InProcessApi
from netlab.controllers.manager import start_controllers
from netlab.kernel import netns
from netlab.kernel.run import Completed, run
from netlab.objects.lab import lab_from_object
from netlab.store.registry import Registry
from netlab.store.store import Store

pytestmark = pytest.mark.root

KUBECTL = KUBECTLS / "bin" / "kubectl"
LAB = {
    "apiVersion": "netlab/v1", "kind": "Lab", "metadata": {"name": "test"}, "spec": {"nodes": 3},
}  # fmt: skip

WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: c, image: nginx, ports: [{containerPort: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  type: NodePort
  selector: {app: web}
  ports: [{name: http, port: 8080, targetPort: 80, nodePort: 30080}]
"""


@dataclass
class Kubectl:
    """Runs kubectl in the namespace of its server."""

    namespace: int
    port: int
    home: Path

    async def run(self, *argv: str, input: str | None = None, prefix: tuple[str, ...] = ()) -> Any:
        command = [*prefix, str(KUBECTL), f"--server=http://127.0.0.1:{self.port}", *argv]
        env = {"HOME": str(self.home), "KUBECONFIG": str(self.home / "none")}
        return await asyncio.to_thread(
            run, command, input=input, netns=self.namespace, env=env, check=False, timeout=30
        )

    async def __call__(self, *argv: str, input: str | None = None) -> str:
        """Its output; it must succeed."""
        done: Completed = await self.run(*argv, input=input)
        assert done.returncode == 0, done.stderr
        return done.stdout


async def stand_in_for_kubelets(api: InProcessApi) -> None:
    """Every pod on a node runs at once and is ready; one that is deleted goes at once."""
    async for event in api.watch("Pod", resource_version=""):
        metadata, spec = event.object["metadata"], event.object["spec"]
        space, name = metadata["namespace"], metadata["name"]
        if event.type == "DELETED":
            continue
        if metadata.get("deletionTimestamp"):
            await api.delete("Pod", space, name, grace_period=0)
        elif spec.get("nodeName") and event.object["status"]["phase"] == "Pending":
            address = f"10.244.1.{event.object['metadata']['resourceVersion']}"
            await api.patch_status("Pod", space, name, running(spec, address))


def running(spec: dict[str, Any], address: str) -> dict[str, Any]:
    conditions = ("PodScheduled", "Initialized", "ContainersReady", "Ready")
    return {
        "phase": "Running",
        "podIPs": [{"ip": address}],
        "conditions": [{"type": condition, "status": "True"} for condition in conditions],
        "containerStatuses": [
            {
                "name": container["name"], "image": container["image"], "imageID": "",
                "ready": True, "started": True, "restartCount": 0, "state": {"running": {}},
            }
            for container in spec["containers"]
        ],
    }  # fmt: skip


@contextlib.asynccontextmanager
async def served(sock: socket.socket) -> AsyncIterator[None]:
    """What a kubectl talks to."""
    lab = lab_from_object(LAB)
    registry = Registry(Store(None), lab)
    for obj in initial_objects(lab):
        registry.create(obj)
    api = InProcessApi(registry)
    ready = {
        "conditions": [{"type": "Ready", "status": "True"}],
        "allocatable": {"cpu": "4", "memory": "8Gi", "pods": "110"},
    }
    for node in lab.nodes:
        await api.patch_status("Node", "", node.name, ready)
    controllers = await start_controllers(api)
    kubelets = asyncio.create_task(stand_in_for_kubelets(api))
    app = build_app(registry, FakeStreams(lines=[(0.0, "hello log")]))
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.5)
    await runner.setup()
    await web.SockSite(runner, sock).start()
    try:
        yield
    finally:
        kubelets.cancel()
        await asyncio.wait({kubelets})
        await controllers.stop()
        await runner.cleanup()


@pytest.fixture
async def kubectl(tmp_path: Path) -> AsyncIterator[Kubectl]:
    """A kubectl and its server."""
    path = tmp_path / "ns"
    namespace = netns.create(path)
    run(["ip", "link", "set", "lo", "up"], netns=namespace)
    with netns.entered(namespace):
        sock = socket.socket()  # it stays in that namespace
        sock.bind(("127.0.0.1", 0))
    async with served(sock):
        yield Kubectl(namespace, sock.getsockname()[1], tmp_path)
    os.close(namespace)
    netns.remove(path)


def rows(table: str) -> list[list[str]]:
    return [line.split() for line in table.splitlines()]


async def test_apply_get_scale_and_delete(kubectl: Kubectl) -> None:
    made = await kubectl("apply", "-f", "-", input=WEB)
    assert made == "deployment.apps/web created\nservice/web created\n"
    again = await kubectl("apply", "-f", "-", input=WEB)
    assert again == "deployment.apps/web unchanged\nservice/web unchanged\n"
    done = await kubectl("rollout", "status", "deployment/web", "--timeout=10s")
    assert done.endswith('deployment "web" successfully rolled out\n')
    head, *services = rows(await kubectl("get", "svc", "-o", "wide"))
    assert head == ["NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", "AGE", "SELECTOR"]
    assert [service[:2] for service in services] == [
        ["kubernetes", "ClusterIP"], ["web", "NodePort"],
    ]  # fmt: skip
    assert services[1][4] == "8080:30080/TCP"
    _, *pods = rows(await kubectl("get", "pods", "--sort-by=.metadata.name"))
    assert [pod[1:4] for pod in pods] == [["1/1", "Running", "0"]] * 2
    assert await kubectl("scale", "deployment/web", "--replicas=3") == (
        "deployment.apps/web scaled\n"
    )
    changed = await kubectl("apply", "-f", "-", input=WEB.replace("replicas: 2", "replicas: 1"))
    assert changed == "deployment.apps/web configured\nservice/web unchanged\n"
    removed = await kubectl("delete", "-f", "-", "--timeout=10s", input=WEB)
    assert removed == 'deployment.apps "web" deleted\nservice "web" deleted\n'
    left = await kubectl("get", "all", "-o", "name")
    assert left == "service/kubernetes\n"


async def test_watch_shows_pods_as_they_change(kubectl: Kubectl) -> None:
    watching = asyncio.create_task(kubectl.run("get", "pods", "-w", prefix=("timeout", "3")))
    await asyncio.sleep(0.7)
    assert await kubectl("run", "one", "--image=nginx") == "pod/one created\n"
    assert await kubectl("delete", "pod", "one", "--timeout=5s") == 'pod "one" deleted\n'
    seen = rows((await watching).stdout)
    assert seen[0] == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    states = [line[2] for line in seen[1:] if line[0] == "one"]
    assert list(dict.fromkeys(states)) == ["Pending", "Running", "Terminating"]


async def test_mistakes_are_refused_in_the_servers_words(kubectl: Kubectl) -> None:
    bad = "{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {%s, ports: [{port: 80}]}}"

    async def refusal(kubectl: Kubectl, *argv: str, input: str | None = None) -> str:
        done = await kubectl.run(*argv, input=input)
        assert done.returncode == 1
        return str(done.stderr)

    unknown = await refusal(kubectl, "apply", "-f", "-", input=bad % "portz: []")
    assert 'strict decoding error: unknown field "spec.portz"' in unknown
    wrong = await refusal(kubectl, "apply", "-f", "-", input=bad % "type: ClusterIp")
    assert wrong.startswith('The Service "a" is invalid: spec.type: Unsupported value')
    assert await refusal(kubectl, "get", "pod", "x") == (
        'Error from server (NotFound): pods "x" not found\n'
    )
    assert await refusal(kubectl, "get", "networkpolicies") == (
        'error: the server doesn\'t have a resource type "networkpolicies"\n'
    )


async def test_verbs_that_change_what_runs(kubectl: Kubectl) -> None:
    await kubectl("apply", "--server-side", "-f", "-", input=WEB)
    await kubectl("rollout", "status", "deployment/web", "--timeout=10s")
    await kubectl("set", "image", "deployment/web", "c=nginx:1.27")
    await kubectl("rollout", "status", "deployment/web", "--timeout=10s")
    await kubectl("rollout", "undo", "deployment/web")
    await kubectl("rollout", "status", "deployment/web", "--timeout=10s")
    form = "jsonpath={.spec.template.spec.containers[0].image}"
    assert await kubectl("get", "deployment", "web", "-o", form) == "nginx"
    await kubectl("patch", "svc", "web", "-p", '{"spec":{"type":"ClusterIP"}}')
    await kubectl("label", "svc", "web", "x=y")
    await kubectl("annotate", "svc", "web", "note=1")
    service = json.loads(await kubectl("get", "svc", "web", "-o", "json"))
    assert service["metadata"]["labels"] == {"x": "y"}
    assert "nodePort" not in service["spec"]["ports"][0]
    await kubectl("expose", "deployment", "web", "--name=more", "--port=80")
    described = await kubectl("describe", "svc", "more")
    assert "TargetPort:" in described
    await kubectl("wait", "--for=condition=Ready", "pod", "-l", "app=web", "--timeout=10s")
    await kubectl("cordon", "worker001")
    status = rows(await kubectl("get", "node", "worker001"))[1][1]
    assert status == "Ready,SchedulingDisabled"
    drained = await kubectl("drain", "worker001", "--force", "--timeout=20s")
    assert drained.endswith("node/worker001 drained\n")


async def test_exec_attach_and_logs(kubectl: Kubectl) -> None:
    await kubectl("run", "one", "--image=nginx")
    await kubectl("wait", "--for=condition=Ready", "pod/one", "--timeout=10s")
    assert await kubectl("exec", "one", "--", "echo", "a b") == "a b\n"
    assert await kubectl("exec", "-i", "one", "--", "cat", input="typed") == "typed"
    failed = await kubectl.run("exec", "one", "--", "fail", "7")
    assert (failed.returncode, failed.stderr) == (
        7, "it failed\ncommand terminated with exit code 7\n",
    )  # fmt: skip
    assert await kubectl("logs", "one", "--tail=1") == "hello log\n"
    attached = await kubectl("attach", "-i", "one", input="more")
    assert "more" in attached


async def test_what_the_server_says_of_itself(kubectl: Kubectl) -> None:
    resources = rows(await kubectl("api-resources"))
    assert ["deployments", "deploy", "apps/v1", "true", "Deployment"] in resources
    assert "+netlab" in await kubectl("version")
    explained = await kubectl("explain", "service.spec.ports.port")
    assert "FIELD: port <integer>" in explained
