"""A node joins a running lab, serves as any other, and is taken away again."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e import manifests
from e2e.labs import Machine, eventually, machine

from netlab.client.sync import Client
from netlab.kernel import paths
from netlab.objects import meta

NEW, WEB, SECONDS = "worker002", 30080, 30.0
REST = (
    manifests.web(replicas=2)
    + manifests.service(type="NodePort", ports=[{"port": 80, "nodePort": WEB}])
    + manifests.box("box")
)


class Join:
    def __init__(self, here: Machine, file: Path, client: Client) -> None:
        self.here, self.file, self.client = here, file, client

    def serves(self, address: str) -> bool:
        return bool(self.here.curl("join.client", f"{address}:{WEB}"))

    def nodes(self) -> list[str]:
        return [meta.name(node) for node in self.client.list("Node")]

    def kill(self) -> None:
        """End the controller, and have the next one."""
        directory = self.here.base / "run" / "join"
        os.kill(int(paths.controller_pid(directory).read_text()), signal.SIGKILL)
        self.here.netlab("up", self.file)

    def namespaces(self) -> set[str]:
        return {entry.name for entry in self.here.namespace("join.any").parent.iterdir()}


@pytest.fixture(scope="module")
def join(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Join]:
    with machine(tmp_path_factory.mktemp("join")) as here:
        file = here.lab_file(manifests.lab("join", nodes=2) + REST)
        here.netlab("up", file)
        with Client(paths.api_socket(here.base / "run" / "join")) as client:
            yield Join(here, file, client)


def test_one_that_joins_has_all_that_a_node_has(join: Join) -> None:
    added = join.here.netlab("node", "add", NEW, "-l", "zone=b", "--taints", "new=yes:NoSchedule")
    assert added.stdout == (
        f"node/{NEW} added "
        "(InternalIP 10.10.11.12, ExternalIP 172.16.110.12, podCIDR 10.244.2.0/24)\n"
    )
    node = join.client.get("Node", "", NEW)
    assert meta.is_ready(node) and meta.labels(node)["zone"] == "b"
    assert node["spec"]["podCIDRs"] == ["10.244.2.0/24"]
    assert node["spec"]["taints"] == [{"key": "new", "value": "yes", "effect": "NoSchedule"}]
    addresses = {one["type"]: one["address"] for one in node["status"]["addresses"]}
    assert addresses["InternalIP"] == "10.10.11.12" and addresses["ExternalIP"] == "172.16.110.12"
    eventually(lambda: join.serves("172.16.110.12"), SECONDS)
    assert join.here.netlab("rules", "svc/web", "--node", NEW).stdout
    status = join.here.status()
    assert NEW in status and "10.244.2.0/24" in status


def test_pods_run_there_and_reach_the_others(join: Join) -> None:
    join.client.patch("Node", "", NEW, {"spec": {"taints": None}})
    there = {"nodeName": NEW, "containers": [{"name": "c", "image": "nginx"}]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "there"}, "spec": there}
    join.client.create({**pod, "metadata": {"name": "there", "namespace": "default"}})
    join.here.netlab("wait", "--for=condition=Ready", "pod/there", "--timeout=30s")
    ip = join.client.get("Pod", "default", "there")["status"]["podIP"]
    assert ip.startswith("10.244.2.")
    assert join.here.netlab("exec", "box", "--", "curl", "-s", ip).stdout
    assert join.here.netlab("exec", "there", "--", "curl", "-s", "web").stdout


def test_a_file_may_name_it_though_its_lab_does_not(join: Join) -> None:
    """In pods and in checks; a name that is nearly its is led to it."""
    pod = {"nodeName": NEW, "containers": [{"name": "c", "image": "nginx"}]}
    check = {"from": {"client": "client"}, "to": {"node": NEW, "protocol": "ICMP"}}
    more = manifests.manifest("v1", "Pod", "pinned", pod)
    more += manifests.manifest("netlab/v1", "PathCheck", "to-it", check)
    text = manifests.lab("join", nodes=2) + REST + more
    file = join.here.lab_file(text, "named.yaml")
    join.here.netlab("up", file)
    assert join.client.get("Pod", "default", "pinned")["spec"]["nodeName"] == NEW
    assert "pod/pinned unchanged" in join.here.netlab("apply", "-f", file).stdout
    assert "PASS to-it" in join.here.netlab("check", file).stdout
    wrong = join.here.lab_file(text.replace(f"node: {NEW}", "node: woker002"), "wrong.yaml")
    refused = join.here.netlab("up", wrong, code=2).stderr
    assert 'spec.to.node: Invalid value: "woker002"' in refused
    assert f'did you mean "{NEW}"?' in refused
    join.here.netlab("up", "--prune", join.file)


def test_the_apis_certificate_names_a_control_plane_that_joins(join: Join) -> None:
    join.here.netlab("node", "add", "plane", "--role", "control-plane", "-o", "name")
    ca = join.here.base / "run" / "join" / "tls" / "ca.crt"
    pod = ("exec", "box", "--", "cat", "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt")
    trusted = join.here.lab_file(join.here.netlab(*pod).stdout, "ca.crt")
    assert trusted.read_text() == ca.read_text()
    addresses = join.client.get("Node", "", "plane")["status"]["addresses"]
    address = next(one["address"] for one in addresses if one["type"] == "ExternalIP")
    resolve = ("--resolve", f"plane:6443:{address}", "--cacert", str(trusted))

    def answers() -> bool:
        argv = ["curl", "-sS", "--max-time", "3", *resolve, "https://plane:6443/version"]
        return "gitVersion" in join.here.run_in("join.client", *argv, check=False).stdout

    eventually(answers, SECONDS)
    removed = join.here.netlab("node", "remove", "plane", "-o", "json").stdout
    assert json.loads(removed) == {"deleted": ["plane"], "evicted": []}


def test_it_outlives_the_controller_and_up(join: Join) -> None:
    join.here.run_in("join.worker001", "ping", "-c1", "-W2", "10.10.11.12")
    join.kill()
    assert join.serves("172.16.110.12")
    assert "10.244.2.0/24 via" in join.here.run_in("join.worker001", "ip", "route").stdout
    assert meta.is_ready(join.client.get("Node", "", NEW))


def test_the_file_may_name_it_later_and_it_keeps_what_it_has(join: Join) -> None:
    before = join.client.get("Node", "", NEW)
    file = join.here.lab_file(manifests.lab("join", nodes=4) + REST)
    join.here.netlab("up", file)
    after = join.client.get("Node", "", NEW)
    assert meta.uid(after) == meta.uid(before) and meta.is_ready(after)
    assert join.nodes() == ["master001", "worker001", NEW, "worker003"]
    third = join.client.get("Node", "", "worker003")
    assert third["spec"]["podCIDRs"] == ["10.244.3.0/24"]
    eventually(lambda: join.serves("172.16.110.13"), SECONDS)
    assert join.serves("172.16.110.12")


def test_a_file_without_one_that_joined_leaves_it_alone_and_its_addresses(join: Join) -> None:
    join.here.netlab("node", "add", "edge", "--external-ip", "172.16.110.50")
    edge = join.client.get("Node", "", "edge")
    file = join.here.lab_file(manifests.lab("join", nodes=5) + REST)
    join.here.netlab("up", file)
    fourth = join.client.get("Node", "", "worker004")
    assert edge["spec"]["podCIDRs"] == ["10.244.4.0/24"]
    assert fourth["spec"]["podCIDRs"] == ["10.244.5.0/24"]
    assert meta.is_ready(join.client.get("Node", "", "edge")) and meta.is_ready(fourth)
    assert join.serves("172.16.110.50")


def test_a_file_that_gives_its_address_to_another_is_refused_with_its_line(join: Join) -> None:
    nodes = [{"name": "master001", "role": "control-plane"}, {"name": "worker001"}, {"name": NEW},
             {"name": "worker003"}, {"name": "worker004", "internalIP": "10.10.11.14"}]  # fmt: skip
    file = join.here.lab_file(manifests.lab("join", nodes=nodes) + REST, "taken.yaml")
    refused = join.here.netlab("up", file, code=2).stderr
    line = file.read_text().splitlines().index("    internalIP: 10.10.11.14") + 1
    assert f"taken.yaml:{line}: spec.nodes[4].internalIP" in refused


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["add", NEW], 1, f'nodes "{NEW}" already exists'),
        (["add", "client"], 1, 'name: Invalid value: "client": is the name of a client already'),
        (["add", "x", "--internal-ip", "10.10.11.10"], 1, "internalIP: Duplicate value"),
        (["add", "x", "--external-ip", "1.2.3.4"], 1, "lies outside external.cidr"),
        (["add", "x", "--pod-cidr", "10.244.0.0/24"], 1, "overlaps another node's podCIDR"),
        (["add", "No_Name"], 1, "name: Invalid value"),
        (["add", "x", "--taints", "none"], 2, "'none' is no taint"),
        (["remove", "nobody"], 1, 'nodes "nobody" not found'),
        (["remove", "master001"], 2, "master001 is the last control plane of the lab"),
        (
            ["remove", "master001", "worker001", NEW, "worker003", "edge", "worker004"],
            2,
            "worker004 is the last node of the lab",
        ),
        (["stop", "nobody"], 1, 'nodes "nobody" not found'),
        (["forget"], 2, "there is no verb 'node forget'"),
        ([], 2, "node what?"),
    ],
)
def test_what_makes_no_sense_is_refused(join: Join, words: list[str], code: int, said: str) -> None:
    before = join.nodes()
    assert said in join.here.netlab("node", *words, code=code).stderr
    assert join.nodes() == before


def test_a_machine_that_somebody_makes_up_harms_nobody(join: Join) -> None:
    taken = {
        "role": "worker",
        "internalIP": "10.10.11.10",
        "externalIP": "172.16.110.10",
        "podCIDR": "10.244.0.0/24",
    }
    for number, machine_ in enumerate((json.dumps(taken), "nonsense", "[]", json.dumps({}))):
        metadata = {"name": f"liar{number}", "annotations": {"netlab/machine": machine_}}
        join.client.create({"apiVersion": "v1", "kind": "Node", "metadata": metadata})
    join.here.netlab("up", join.here.base / "lab.yaml")
    assert join.serves("172.16.110.10")
    assert not [name for name in join.namespaces() if "liar" in name]
    for number in range(4):
        join.client.delete("Node", "", f"liar{number}")


def test_one_that_is_removed_is_emptied_first_and_leaves_nothing(join: Join) -> None:
    refused = join.here.netlab("node", "remove", NEW, code=1).stderr
    assert "declare no controller: default/there" in refused
    removed = join.here.netlab("node", "remove", NEW, "--force").stdout.splitlines()
    assert removed[0] == f"node/{NEW} cordoned" and removed[-1] == f'node "{NEW}" deleted'
    assert "evicting pod default/there" in removed
    assert f"join.{NEW}" not in join.namespaces()
    assert "10.244.2.0/24" not in join.here.run_in("join.worker001", "ip", "route").stdout
    assert NEW not in join.nodes()
    assert join.serves("172.16.110.10")


def test_one_that_was_removed_stays_so_until_the_file_is_brought_up_again(join: Join) -> None:
    directory = join.here.base / "run" / "join"
    os.kill(int(paths.controller_pid(directory).read_text()), signal.SIGKILL)
    join.here.netlab("node", "remove", "edge", "--force", code=1)  # nobody is there
    join.here.netlab("up", join.here.base / "lab.yaml")
    assert NEW in join.nodes()
    join.here.netlab("node", "stop", "edge")
    join.here.netlab("node", "remove", "edge")
    assert "edge" not in join.nodes()
