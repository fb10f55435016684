"""`up` of a changed file makes the running lab as it says, or says what cannot be, and why."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e import manifests
from e2e.labs import Machine, eventually, machine

from netlab.client.sync import Client
from netlab.kernel import paths

pytestmark = pytest.mark.root

NODES: list[dict[str, Any]] = [
    {"name": "master001", "role": "control-plane"},
    {"name": "one", "labels": {"disk": "ssd"}},
    {"name": "two"},
]
WEB = manifests.web(replicas=2, image=manifests.GREETER)
SERVICE = manifests.service(type="NodePort", ports=[{"port": 80, "nodePort": 30080}])
BOX = manifests.box("box")
OBJECTS = WEB + SERVICE + BOX
NODE_PORT = 30080


class Changing:
    """The lab, and its file in ever other words."""

    def __init__(self, here: Machine) -> None:
        self.here = here

    def up(self, *flags: str, code: int = 0, objects: str = OBJECTS, **spec: Any) -> str:
        text = manifests.lab("change", **{"nodes": NODES, **spec}) + objects
        done = self.here.netlab("up", self.here.lab_file(text), *flags, code=code)
        return done.stdout + done.stderr

    @property
    def directory(self) -> Path:
        return self.here.base / "run" / "change"

    def client(self) -> Client:
        from netlab.inventory import endpoint

        return Client(endpoint(self.directory))

    def node(self, name: str) -> Any:
        with self.client() as client:
            return client.get("Node", "", name)

    def answers(self, address: str, place: str = "change.client") -> bool:
        return "Hello," in self.here.curl(place, f"{address}:{NODE_PORT}")

    def tables(self, node: str) -> tuple[int, bool]:
        """How many chains of kube-proxy's iptables has, and whether nftables has its table."""
        saved = self.here.run_in(f"change.{node}", "iptables-save").stdout
        listed = self.here.run_in(f"change.{node}", "nft", "list", "tables").stdout
        return saved.count(":KUBE-"), "kube-proxy" in listed


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Changing]:
    with machine(tmp_path) as here:
        changing = Changing(here)
        changing.up()
        yield changing


def test_nodes_come_go_and_change(lab: Changing) -> None:
    three = {"name": "three", "labels": {"zone": "b"}}
    taint = {"key": "only", "value": "this", "effect": "NoSchedule"}
    changed = {"name": "two", "labels": {"disk": "hdd"}, "taints": [taint]}
    said = lab.up(nodes=[NODES[0], three, changed])
    assert "lab/change configured (nodes)\nnode/two configured\nnode/one deleted\n" in said
    assert lab.node("three")["metadata"]["labels"]["zone"] == "b"
    assert lab.node("two")["spec"]["taints"] == [taint]
    assert lab.node("two")["metadata"]["labels"]["disk"] == "hdd"
    with lab.client() as client:
        assert {node["metadata"]["name"] for node in client.list("Node")} == {
            "master001", "two", "three",
        }  # fmt: skip
    assert not lab.here.namespace("change.one").exists()
    addresses = [
        next(a["address"] for a in lab.node(n)["status"]["addresses"] if a["type"] == "ExternalIP")
        for n in ("master001", "two", "three")
    ]
    for address in addresses:
        eventually(lambda address=address: lab.answers(address))
    assert "configured" in lab.up(nodes=[NODES[0], {"name": "two"}])
    assert "taints" not in lab.node("two")["spec"]
    assert "disk" not in lab.node("two")["metadata"]["labels"]


def test_what_others_have_put_on_a_node_stays(lab: Changing) -> None:
    with lab.client() as client:
        own = {"metadata": {"labels": {"mine": "yes"}}, "spec": {"unschedulable": True}}
        client.patch("Node", "", "two", own)
    lab.up(nodes=[*NODES[:2], {"name": "two", "labels": {"disk": "hdd"}}])
    node = lab.node("two")
    assert node["metadata"]["labels"]["mine"] == "yes"
    assert node["spec"]["unschedulable"] is True


@pytest.mark.parametrize("backend", ["nft", "legacy"])
def test_kube_proxy_changes_its_mode_and_leaves_nothing(lab: Changing, backend: str) -> None:
    lab.up(iptables=backend)
    before = lab.here.run_in("change.one", f"iptables-{backend}-save").stdout
    assert before.count(":KUBE-") > 10
    said = lab.up(proxyMode="nftables")
    assert "configured (proxyMode" in said
    for node in ("master001", "one", "two"):
        saved = lab.here.run_in(f"change.{node}", f"iptables-{backend}-save").stdout
        assert "KUBE-" not in saved
        assert "MASQUERADE" not in saved
        assert "kube-proxy" in lab.here.run_in(f"change.{node}", "nft", "list", "tables").stdout
    eventually(lambda: lab.answers("172.16.110.11"))
    lab.up(iptables=backend)
    tables = lab.here.run_in("change.one", "nft", "list", "tables").stdout
    assert "kube-proxy" not in tables
    assert "netlab" not in tables
    eventually(lambda: lab.answers("172.16.110.11"))
    after = lab.here.run_in("change.one", f"iptables-{backend}-save").stdout
    assert after.count(":KUBE-") == before.count(":KUBE-")
    assert after.count("MASQUERADE") == before.count("MASQUERADE")


def test_other_names_and_another_world(lab: Changing) -> None:
    said = lab.up(
        dns={"domain": "lab.test"},
        external={"clients": [{"name": "visitor"}], "names": {"shop.test": ["192.0.2.9"]}},
    )
    assert "pods that run go on with the DNS domain and servers that they began with" in said
    eventually(lambda: lab.here.resolve("change.one", "web.default.svc.lab.test"))
    assert not lab.here.resolve("change.one", "web.default.svc.cluster.local")
    file = lab.here.netlab("get", "cm", "coredns", "-n", "kube-system", "-o", "yaml").stdout
    assert "kubernetes lab.test in-addr.arpa ip6.arpa {" in file and "cluster.local" not in file
    eventually(lambda: lab.here.resolve("change.one", "shop.test") == {"192.0.2.9"})
    assert not lab.here.namespace("change.client").exists()
    assert lab.answers("172.16.110.11", "change.visitor")


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"podCIDR": "10.200.0.0/16"}, "spec.podCIDR: is 10.244.0.0/16 in the running lab"),
    ({"serviceCIDR": "10.97.0.0/16"}, "spec.serviceCIDR: is 10.96.0.0/12"),
    (
        {"nodes": [*NODES[:2], {"name": "two", "internalIP": "10.10.11.99"}]},
        "spec.nodes[2].internalIP: is 10.10.11.12",
    ),
    (
        {"nodes": [*NODES[:2], {"name": "two", "role": "control-plane"}]},
        "spec.nodes[2].role: is worker",
    ),
]


def test_what_cannot_be_is_told_and_nothing_touched(lab: Changing) -> None:
    pid = paths.controller_pid(lab.directory).read_text()
    before = paths.lab_file(lab.directory).read_bytes()
    for spec, words in REFUSED:
        said = lab.up(code=2, **spec)
        assert words in said
        assert f"error: {lab.here.base}/lab.yaml:" in said
        assert "netlab down change, then up again" in said
    assert paths.lab_file(lab.directory).read_bytes() == before
    assert paths.controller_pid(lab.directory).read_text() == pid
    assert "configured" not in lab.up()


def test_a_dry_run_says_what_would_change_and_touches_nothing(lab: Changing) -> None:
    """Also of what the server cannot know yet: a namespace and an account that are to be made."""
    pid = paths.controller_pid(lab.directory).read_text()
    before = paths.lab_file(lab.directory).read_bytes()
    new = manifests.named("Namespace", "shop") + manifests.named("ServiceAccount", "seller")
    there = {"containers": [{"name": "c", "image": "nginx"}]}
    new += manifests.manifest("v1", "Pod", "till", {**there, "serviceAccountName": "seller"})
    new += manifests.manifest("v1", "Pod", "shop", there).replace(
        "name: shop", "name: shop\n  namespace: shop"
    )
    nodes = [*NODES[:2], {"name": "three"}]
    changed = {"nodes": nodes, "proxyMode": "nftables", "objects": WEB.replace("2", "3") + new}
    said = lab.up("--dry-run", "--prune", **changed)
    assert said.splitlines() == [
        f"{line} (server dry run)"
        for line in (
            "lab/change configured (nodes, proxyMode)",
            "node/two deleted",
            "node/three created",
            "namespace/shop created",
            "serviceaccount/seller created",
            "deployment.apps/web configured",
            "pod/till created",
            "pod/shop created",
            "service/web pruned",
            "pod/box pruned",
        )
    ]
    found = json.loads(lab.up("--dry-run", "--prune", "-o", "json", **changed))
    assert found["changed"] == ["nodes", "proxyMode"] and found["deletedNodes"] == ["two"]
    assert [one["name"] for one in found["leftOver"]] == ["web", "box"]
    assert [one["result"] for one in found["applied"]].count("configured") == 1
    kept = "not in the files any more, and left as it is: service/web, pod/box"
    assert kept in lab.up("--dry-run", objects=WEB)
    same = lab.up("--dry-run").splitlines()
    assert same[0] == "lab/change unchanged (server dry run)"
    assert all(line.endswith(" unchanged (server dry run)") for line in same)
    spec, words = REFUSED[0]
    assert words in lab.up("--dry-run", code=2, **spec)
    taken = SERVICE.replace("name: web", "name: other")
    assert "provided port is already allocated" in lab.up("--dry-run", code=1, objects=taken)
    assert paths.lab_file(lab.directory).read_bytes() == before
    assert paths.controller_pid(lab.directory).read_text() == pid
    assert "three" not in lab.here.netlab("get", "nodes,ns,sa,pods").stdout
    assert "pruned" not in lab.up("--prune")


def test_a_lab_whose_controller_is_gone_changes_all_the_same(lab: Changing) -> None:
    lab.here.netlab("delete", "cm", "coredns", "-n", "kube-system")
    os.kill(int(paths.controller_pid(lab.directory).read_text()), signal.SIGKILL)
    assert "configured (nodes, proxyMode)" in lab.up(nodes=NODES[:2], proxyMode="nftables")
    assert not lab.here.namespace("change.two").exists()
    assert lab.tables("one") == (0, True)
    eventually(lambda: lab.answers("172.16.110.11"))
    left = lab.here.netlab("get", "cm", "-n", "kube-system").stdout
    assert "kube-root-ca.crt" in left and "coredns" not in left, "what was deleted stays so"


def test_what_the_files_have_no_more(lab: Changing) -> None:
    said = lab.up(objects=WEB)
    assert "not in the files any more, and left as it is: service/web, pod/box (--prune" in said
    with lab.client() as client:
        client.delete("Pod", "default", "box", grace_period=0)
        eventually(lambda: "box" not in [p["metadata"]["name"] for p in client.list("Pod")])
        lab.here.netlab("apply", "-f", lab.here.lab_file(BOX, "box.yaml"))
        found = json.loads(lab.up("--prune", "-o", "json", objects=WEB))
        assert [entry["name"] for entry in found["leftOver"]] == ["web"]
        assert [s["metadata"]["name"] for s in client.list("Service", "default")] == ["kubernetes"]
        assert client.get("Pod", "default", "box"), "somebody else has made this one"
    assert "any more" not in lab.up(objects=WEB)


def test_nothing_of_another_lab_or_a_users_own_is_pruned(lab: Changing) -> None:
    lab.here.netlab("create", "configmap", "mine", "--from-literal=a=b")
    said = lab.up("--prune", objects=WEB)
    assert "service/web pruned\npod/box pruned\n" in said
    with lab.client() as client:
        assert client.get("ConfigMap", "default", "mine")
