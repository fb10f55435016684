"""A real node's rules looked at by somebody who may do nothing: no root, no lab, no network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import needs
import pytest

pytestmark = pytest.mark.root

ROOT = Path(__file__).parents[2]
RECORDED = ROOT / "tests" / "unit" / "saves" / "recorded"
ORACLE = ROOT / "tests" / "oracle" / "iptables" / "05-nodeport"
NOBODY = 65534
PACKET = "tcp 192.168.1.77:40000 > 10.96.31.10:80"


def netlab(*words: object, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """As nobody, in a network namespace of nobody's, where there is nothing to be written."""
    needs.root()
    argv = ["unshare", "--net", "setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY)]
    argv += ["--clear-groups", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"]
    argv += [sys.executable, "-B", "-m", "netlab", *map(str, words)]
    paths = os.pathsep.join(path for path in sys.path if path)
    return subprocess.run(
        argv,
        input=stdin,
        capture_output=True,
        text=True,
        cwd="/",
        env={"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT}{os.pathsep}{paths}"},
        timeout=120,
    )


def test_a_trace() -> None:
    done = netlab("trace", "--from-save", RECORDED / "ufw-nft.save", "--packet", PACKET)
    assert (done.returncode, done.stderr) == (0, "")
    assert "nat KUBE-SERVICES, 3 rules" in done.stdout
    assert "delivered to 10.244.0.21:8080, 1 of 3 possible ends" in done.stdout


@pytest.mark.parametrize("file", ["docker-nft.save", "firewalld-nftables.nft", "ufw-legacy.save"])
def test_a_trace_of_standard_input(file: str) -> None:
    words = ("trace", "--from-save", "-", "--packet", PACKET, "-o", "json")
    done = netlab(*words, stdin=(RECORDED / file).read_text())
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["verdict"], told["files"], told["dry"]) == ("delivered", ["-"], True)
    assert all(met["line"].startswith("-:") for visit in told["chains"] for met in visit["met"])


def test_all_of_a_node_together() -> None:
    files = ("firewalld-nftables.save", "firewalld-nftables.nft")
    words = [word for file in files for word in ("--from-save", RECORDED / file)]
    packet = "tcp 192.168.1.66 > 192.168.1.5:6443"
    known = ("--local", "192.168.1.5", "--in", "eth0", "--packet", packet)
    done = netlab("trace", *words, *known, "--expect", "delivered")
    assert done.returncode == 1, done.stderr
    assert "refused on firewalld-nftables" in done.stdout
    assert "firewalld-nftables.nft:" in done.stdout


def test_a_services_rules_and_whose_others_are() -> None:
    words = ("rules", "--from-save", RECORDED / "docker-legacy.save")
    assert "rules of Docker 17, kube-proxy 13, kubelet 2" in netlab(*words).stdout
    done = netlab(*words, "svc/storefront", "-n", "shop", "--objects", ORACLE / "objects.yaml")
    assert done.returncode == 0, done.stderr
    assert "send to 10.244.0.21:8080 (DNAT)" in done.stdout


def test_another_clusters_objects() -> None:
    other = ROOT / "tests/oracle/iptables/01-clusterip-three-endpoints/objects.yaml"
    words = ("--from-save", RECORDED / "ufw-nft.save", "--objects", other, "--packet", PACKET)
    done = netlab("trace", *words)
    assert (done.returncode, done.stdout) == (2, "")
    said, hint = done.stderr.splitlines()
    assert said.startswith(f"error: {other}:")
    assert "has no rule in" in said
    assert hint.startswith("  hint: kubectl get nodes,svc,endpointslices,pods -A")
