"""`netlab prove` of a running lab: all its nodes with their routes and links, broken by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from e2e.labs import TOPOLOGIES, Machine, machine

pytestmark = pytest.mark.root

SERVICE = "svc/hostname-svc-clusterip"


@pytest.fixture(scope="module", params=["iptables", "nftables"])
def lab(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Iterator[Machine]:
    text = (TOPOLOGIES / "quickstart.yaml").read_text()
    with machine(tmp_path_factory.mktemp("proved")) as here:
        there = here.lab_file(text.replace("proxyMode: iptables", f"proxyMode: {request.param}"))
        here.netlab("up", str(there))
        for node in ("master001", "worker001", "worker002"):
            here.netlab("annotate", "node", node, "netlab/hands-off=network")
        yield here


def ends(lab: Machine, code: int, *words: str) -> set[str]:
    """How packets to the Service end, that come in at the first node."""
    asked = ("prove", "--to", SERVICE, "--expect", "reachable", "--node", "master001")
    told = lab.netlab(*asked, "-o", "json", *words, code=code).stdout
    (node,) = json.loads(told)["nodes"]
    return {one["with"] for each in node["classes"] for one in each["outcomes"] if one["with"]}


BREAKS = {
    "route": (
        "master001", ["ip", "route", "del", "10.244.2.0/24"],
        ["ip", "route", "add", "10.244.2.0/24", "via", "10.10.11.21", "proto", "static"],
        "internet hands nothing on",
    ),
    "link": (
        "worker002", ["ip", "link", "set", "eth0", "down"],
        ["sh", "-c", "ip link set eth0 up; for n in 0:10 1:20; do ip route add 10.244.${n%:*}.0/24 "
         "via 10.10.11.${n#*:} proto static; done"], "eth0 of worker002 is down",
    ),
    "forwarding": (
        "worker002", ["sysctl", "-w", "net.ipv4.conf.eth0.forwarding=0"],
        ["sysctl", "-w", "net.ipv4.conf.eth0.forwarding=1"], "forwarding is off on worker002",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", BREAKS)
def test_what_is_broken_between_nodes_is_told(lab: Machine, what: str) -> None:
    """Packets that went to a pod on another node are lost, and nothing is once it is mended."""
    node, broken, mended, said = BREAKS[what]
    assert said not in ends(lab, 0)
    lab.run_in(f"quickstart.{node}", *broken)
    assert said in ends(lab, 1)
    pods = json.loads(lab.netlab("get", "pods", "-o", "json").stdout)["items"]
    there = next(
        pod["status"]["podIP"]
        for pod in pods
        if pod["spec"]["nodeName"] == "worker002" and "hostname" in pod["metadata"]["name"]
    )
    asked = ("curl", "-s", "--max-time", "0.5", f"http://{there}")
    assert lab.run_in("quickstart.master001", *asked, check=False).returncode
    lab.run_in(f"quickstart.{node}", *mended)
    assert not lab.run_in("quickstart.master001", *asked, check=False).returncode
    assert said not in ends(lab, 0)


def test_the_running_lab_against_its_files_and_against_its_rules_before(lab: Machine) -> None:
    same = lab.netlab("prove", "diff", "--before", str(lab.base / "lab.yaml")).stdout
    assert same == "no packet is treated otherwise\n"
    mode = json.loads(lab.netlab("status", "-o", "json").stdout)
    words = ["nft", "list", "ruleset"] if "nftables" in json.dumps(mode) else ["iptables-save"]
    before = lab.base / "before.save"
    before.write_text(lab.run_in("quickstart.worker001", *words).stdout)
    asked = ("prove", "diff", "--before", str(before), "--node", "worker001")
    assert lab.netlab(*asked).stdout == "no packet is treated otherwise\n"
    lab.netlab("scale", "deployment/hostname-deployment", "--replicas", "2")
    lab.netlab("wait", "deployment/hostname-deployment", "--for", "condition=Available")
    lab.status()
    assert "is  delivered to" in lab.netlab(*asked, code=1).stdout
    lab.netlab("scale", "deployment/hostname-deployment", "--replicas", "3")
    lab.status()


def test_all_nodes_are_asked(lab: Machine) -> None:
    told = lab.netlab("prove", "--to", SERVICE, "--expect", "spread-equal").stdout
    for node in ("master001", "worker001", "worker002"):
        assert f"holds for every packet (on {node}, ipv4" in told
