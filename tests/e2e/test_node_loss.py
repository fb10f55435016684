"""topologies/node-loss.yaml, as its reader goes through it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e.labs import TOPOLOGIES, Machine, eventually, machine

FILE = TOPOLOGIES / "node-loss.yaml"
SECONDS = 30.0


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Machine]:
    with machine(tmp_path) as here:
        here.netlab("up", FILE)
        yield here


def passed(here: Machine, *only: str, code: int = 0) -> int:
    flags = [word for name in only for word in ("--only", f"from-{name}")]
    lines = here.netlab("check", *flags, code=code).stdout.splitlines()
    return sum(line.startswith("PASS ") for line in lines)


def test_the_reader_sees_what_is_promised(here: Machine) -> None:
    assert passed(here) == 4
    here.netlab("node", "stop", "worker002")
    here.netlab("wait", "--for=condition=Ready=Unknown", "node/worker002", "--timeout=30s")
    others = ("outside-through-master001", "outside-through-worker001", "a-pod")
    eventually(lambda: passed(here, *others) == 3, SECONDS)
    lost = here.netlab("describe", "node", "worker002").stdout
    for word in ("NodeStatusUnknown", "Kubelet stopped posting node status.", "unreachable:NoExec"):
        assert word in lost
    refused = here.netlab("check", "--only", "from-outside-through-worker002", code=2)
    assert "there is no running node worker002" in refused.stdout + refused.stderr

    def moved() -> bool:
        pods = here.netlab("get", "pods", "-o", "wide", "--no-headers").stdout.splitlines()
        gone = [pod for pod in pods if "worker002" in pod]
        assert sum("Terminating" in pod for pod in gone) == 2  # two of `web`
        assert sum(pod.startswith(("patient", "every-node")) for pod in gone) == 2
        return sum(pod.startswith("web") and "worker001" in pod for pod in pods) == 4

    eventually(moved, SECONDS)
    assert passed(here, *others) == 3
    here.netlab("node", "start", "worker002")
    eventually(lambda: "Terminating" not in here.netlab("get", "pods").stdout, SECONDS)
    assert passed(here) == 4
    here.netlab("node", "add", "worker003")
    assert here.curl("node-loss.client", "172.16.110.13:30080")
    here.netlab("node", "remove", "worker003")
    assert passed(here) == 4
