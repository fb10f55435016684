"""The same lab by other means: iptables backends, two IP families, other numbers of nodes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e import manifests
from e2e.labs import TOPOLOGIES, Machine, eventually, greeting, machine

pytestmark = pytest.mark.root

DUAL_STACK = (
    manifests.lab(
        "dual",
        nodes=3,
        podCIDR="10.244.0.0/16,fd00:10:244::/56",
        serviceCIDR="10.96.0.0/12,fd00:10:96::/112",
    )
    + manifests.web(image=manifests.GREETER)
    + manifests.service(
        type="NodePort",
        ipFamilyPolicy="RequireDualStack",
        ports=[{"port": 80, "nodePort": 30080}],
    )
    + manifests.box("shell")
    + """\
---
apiVersion: netlab/v1
kind: PathCheck
metadata: {name: by-name}
spec:
  from: {pod: shell}
  to: {service: web, port: 80, by: name}
  expect: {endpoints: all, dnat: {at: sender}, masquerade: {at: none}}
"""
)


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Machine]:
    with machine(tmp_path) as here:
        yield here


@pytest.mark.parametrize("backend", ["legacy", "nft", "libiptc"])
def test_each_iptables_backend(here: Machine, backend: str) -> None:
    """Up, every check of the quickstart, and the rules stand where that backend keeps them."""
    quickstart = (TOPOLOGIES / "quickstart.yaml").read_text()
    file = here.lab_file(quickstart.replace("iptables: auto", f"iptables: {backend}"))
    here.netlab("up", file)
    checks = here.netlab("check").stdout.splitlines()
    assert len(checks) == 8
    assert all(line.startswith("PASS ") for line in checks)
    variants = {"nft": "nft", "legacy": "legacy", "libiptc": "legacy"}
    saved = here.run_in("quickstart.worker001", f"iptables-{variants[backend]}-save").stdout
    assert "-A KUBE-SERVICES" in saved
    here.netlab("down")


@pytest.mark.parametrize("topology", ["single-node", "three-node"])
def test_each_topology_passes_its_checks(here: Machine, topology: str) -> None:
    file = TOPOLOGIES / f"{topology}.yaml"
    here.netlab("up", file)
    checks = here.netlab("check").stdout.splitlines()
    assert len(checks) == file.read_text().count("kind: PathCheck")
    assert all(line.startswith("PASS ") for line in checks), "\n".join(checks)
    here.netlab("down")


def addresses(here: Machine, place: str) -> set[str]:
    """The IPv6 addresses that were given to eth0."""
    shown = here.run_in(place, "ip", "-6", "-o", "addr", "show", "dev", "eth0").stdout
    return set(re.findall(r"inet6 (fd[0-9a-f:/]+)", shown))


def test_two_families(here: Machine) -> None:
    """Names, ClusterIPs and nodePorts answer by IPv4 and by IPv6."""
    here.netlab("up", here.lab_file(DUAL_STACK))
    service = json.loads(here.netlab("get", "svc", "web", "-o", "json").stdout)["spec"]
    v4, v6 = service["clusterIPs"]
    assert ("." in v4, ":" in v6) == (True, True)
    name = "web.default.svc.cluster.local"
    assert here.resolve("dual.default.shell", name, "A") == {v4}
    assert here.resolve("dual.default.shell", name, "AAAA") == {v6}
    for place in ("dual.default.shell", "dual.worker001"):
        for address in (v4, f"[{v6}]"):
            assert greeting(here.curl(place, f"{address}:80")).startswith("web-")
    nodes = here.run_in("dual.worker001", "ip", "-6", "-o", "addr", "show", "dev", "eth1").stdout
    outside = re.search(r"inet6 (fd[0-9a-f:]+)/", nodes)
    assert outside, nodes
    assert greeting(here.curl("dual.client", f"[{outside[1]}]:30080")).startswith("web-")
    assert "PASS by-name" in here.netlab("check").stdout
    for place in ("dual.default.shell", "dual.worker001"):  # no addresses can be given meanwhile
        off = ["sysctl", "-qw", "net.ipv6.conf.eth0.disable_ipv6=1"]
        had = addresses(here, place)
        here.run_in(place, *off)
        eventually(lambda place=place, had=had: addresses(here, place) == had, 10)
    here.netlab("down")


def test_a_node_count_is_lab_enough(here: Machine) -> None:
    """`kind: Lab` with a name and a node count: everything else has a default."""
    text = "apiVersion: netlab/v1\nkind: Lab\nmetadata: {name: tiny}\nspec: {nodes: 2}\n"
    here.netlab("up", here.lab_file(text))
    nodes = json.loads(here.netlab("get", "nodes", "-o", "json").stdout)["items"]
    assert [node["metadata"]["name"] for node in nodes] == ["master001", "worker001"]
    assert here.resolve("tiny.worker001", "kubernetes.default.svc.cluster.local") == {"10.96.0.1"}
    here.netlab("down")


def test_dry_run_touches_nothing(here: Machine) -> None:
    changes = here.mark()
    said = here.netlab("up", TOPOLOGIES / "quickstart.yaml", "--dry-run").stdout
    assert "quickstart.worker002" in said
    assert changes() == []
    assert not (here.base / "run").exists()
