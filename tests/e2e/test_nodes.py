"""A node is made and unmade while its lab runs, by its Node object alone."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e import manifests
from e2e.labs import Machine, eventually, machine

from netlab.client.sync import Client
from netlab.kernel import paths

LAB = (
    manifests.lab("come", nodes=3)
    + manifests.web(replicas=4, image=manifests.GREETER)
    + manifests.service(type="NodePort", ports=[{"port": 80, "nodePort": 30080}])
    + """---
apiVersion: netlab/v1
kind: PathCheck
metadata: {name: every-pod}
spec: {from: {node: worker001}, to: {service: web, port: 80}, expect: {endpoints: all}}
"""
)
GOES, STAYS = "worker002", "worker001"
SECONDS = 30.0


class Come:
    """The lab, as its API and its namespaces tell of it."""

    def __init__(self, here: Machine, file: Path, client: Client) -> None:
        self.here, self.file, self.client = here, file, client

    def delete(self) -> None:
        self.client.request("DELETE", f"/api/v1/nodes/{GOES}")

    def create(self) -> None:
        """As somebody would who knows its name, and nothing else of it."""
        bare = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": GOES}}
        self.client.request("POST", "/api/v1/nodes", bare)

    def ready_pods(self) -> Counter[str]:
        """How many pods of the Deployment are ready, by node."""
        pods = [pod for pod in self.pods() if pod["metadata"]["namespace"] == "default"]
        return Counter(pod["spec"].get("nodeName") for pod in pods if _is_ready(pod))

    def pods(self) -> list[dict[str, Any]]:
        return list(self.client.list("Pod"))

    def routes(self) -> str:
        return self.here.run_in(f"come.{STAYS}", "ip", "route").stdout

    def ports(self) -> str:
        return self.here.run_in("come.fabric", "ip", "-br", "link").stdout

    def is_gone(self) -> bool:
        """Nothing is left of the node, and the others do without."""
        assert not self.here.namespace(f"come.{GOES}").exists()
        assert not (self.here.base / "netns" / f"come.{GOES}").is_symlink()
        assert "10.244.2.0/24" not in self.routes()
        assert f"{GOES}-eth0" not in self.ports()
        pods = [f"{p['metadata']['namespace']}.{p['metadata']['name']}" for p in self.pods()]
        machines = ["fabric", "internet", "client", "master001", STAYS]
        left = {entry.name for entry in self.here.namespace("come.any").parent.iterdir()}
        assert left == {f"come.{name}" for name in (*machines, *pods)}
        leases = self.client.list("Lease", "kube-node-lease")
        assert GOES not in [one["metadata"]["name"] for one in leases]
        return self.ready_pods() == {STAYS: 4}

    def is_back(self) -> bool:
        assert _is_ready(self.client.get("Node", "", GOES))
        assert "10.244.2.0/24 via 10.10.11.12" in self.routes()
        assert f"{GOES}-eth0" in self.ports()
        assert self.client.get("Lease", "kube-node-lease", GOES)
        return self.answers("172.16.110.12")

    def answers(self, address: str) -> bool:
        try:
            return "web-" in self.here.curl("come.client", f"{address}:30080")
        except subprocess.CalledProcessError:
            return False


def _is_ready(obj: dict[str, Any]) -> bool:
    conditions = obj.get("status", {}).get("conditions") or []
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


@pytest.fixture(scope="module")
def come(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Come]:
    with machine(tmp_path_factory.mktemp("come")) as here:
        file = here.lab_file(LAB)
        here.netlab("up", file)
        with Client(paths.api_socket(here.base / "run" / "come")) as client:
            yield Come(here, file, client)


def test_a_node_whose_object_is_deleted_goes_with_all_it_has(come: Come) -> None:
    assert come.ready_pods() == {STAYS: 2, GOES: 2}
    come.delete()
    eventually(come.is_gone, SECONDS)
    assert come.answers("172.16.110.11")
    assert f"on {STAYS}" in come.here.netlab("rules", "svc/web").stdout
    assert GOES not in come.here.status()
    come.here.netlab("check", come.file)


def test_a_node_whose_object_comes_back_comes_back(come: Come) -> None:
    come.create()
    eventually(come.is_back, SECONDS)
    come.here.netlab("scale", "deployment", "web", "--replicas=1")
    come.here.netlab("scale", "deployment", "web", "--replicas=4")
    eventually(lambda: come.ready_pods()[GOES] == 2, SECONDS)
    assert come.answers("172.16.110.11")
    assert GOES in come.here.status()


def test_up_brings_back_what_the_lab_file_asks_for(come: Come) -> None:
    come.delete()
    eventually(come.is_gone, SECONDS)
    come.here.netlab("up", come.file)
    eventually(come.is_back, SECONDS)


def test_a_node_of_which_the_lab_knows_nothing_is_run_by_nobody(come: Come) -> None:
    stranger = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "stranger"}}
    come.client.request("POST", "/api/v1/nodes", stranger)
    come.here.netlab("up", come.file)
    assert not _is_ready(come.client.get("Node", "", "stranger"))
    assert not come.here.namespace("come.stranger").exists()
