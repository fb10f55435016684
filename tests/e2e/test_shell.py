"""`netlab shell`: a node's own prompt, network and kubectl, as the tutorials print them."""

from __future__ import annotations

import re
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e.kubectls import Shell, shell

pytestmark = pytest.mark.root

LAB = """
apiVersion: netlab/v1
kind: Lab
metadata: {name: tutorial}
spec:
  nodes:
  - {name: master001, role: control-plane, internalIP: 10.10.11.10, externalIP: 172.16.110.10}
  - {name: worker001, internalIP: 10.10.11.20, externalIP: 172.16.110.20}
---
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  containers: [{name: web, image: "alicek106/rr-test:echo-hostname", ports: [{containerPort: 80}]}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  type: NodePort
  selector: {app: web}
  ports: [{port: 8080, targetPort: 80, nodePort: 30642}]
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    with shell(tmp_path_factory.mktemp("shell"), LAB) as opened:
        yield opened


def on(lab: Shell, place: str, *argv: str, code: int = 0) -> str:
    return lab.here.netlab("shell", place, "--", *argv, code=code).stdout


@pytest.mark.parametrize("place", ["master001", "worker001", "client"])
def test_a_command_runs_on_a_node_as_its_own(lab: Shell, place: str) -> None:
    files = [Path("/etc") / name for name in ("hosts", "hostname", "resolv.conf")]
    before = [socket.gethostname(), *(file.read_bytes() for file in files if file.exists())]
    assert on(lab, place, "hostname") == f"{place}\n"
    assert on(lab, place, "id", "-u") == "0\n"
    assert "Hello" in on(lab, place, "curl", "-s", "172.16.110.10:30642")
    assert "master001" in on(lab, place, "kubectl", "get", "nodes")
    assert on(lab, place, "getent", "hosts", "master001").split()[0] in ("127.0.1.1", "10.10.11.10")
    assert before == [
        socket.gethostname(), *(file.read_bytes() for file in files if file.exists()),
    ]  # fmt: skip


def test_the_node_s_own_rules_hold(lab: Shell) -> None:
    assert "Hello" in on(lab, "master001", "curl", "-s", "10.10.11.20:30642")
    address = lab("kubectl get svc web -o jsonpath={.spec.clusterIP}")
    assert "Hello" in on(lab, "worker001", "curl", "-s", f"{address}:8080")
    assert "172.16.110.10" in on(lab, "master001", "ip", "-br", "addr")


def test_its_exit_code_and_its_directory_are_the_command_s(lab: Shell) -> None:
    on(lab, "master001", "sh", "-c", "exit 7", code=7)
    here = Path(__file__).parents[2]
    assert on(lab, "worker001", "pwd") == f"{here}\n"


def interactive(lab: Shell, place: str, *typed: str) -> str:
    command = f"cd {Path(__file__).parents[2]}; {sys.executable} -m netlab shell {place}"
    return lab.in_terminal(command, [*typed, "exit"]).stdout


def test_a_node_s_prompt_is_what_the_tutorials_print(lab: Shell) -> None:
    seen = interactive(
        lab,
        "master001",
        "kubectl get service -o wide",
        "curl 10.10.11.20:30642 --silent | grep Hello",
        "kubectl get endpoints 2>/dev/null",
        "hostname",
    )
    assert "root@master001:~# kubectl get service -o wide\nNAME " in seen
    assert "8080:30642/TCP" in seen
    assert "        <p>Hello,  web</p>     </blockquote>\n" in seen
    assert re.search(r"^kubernetes +172\.16\.110\.10:6443 ", seen, re.MULTILINE)
    assert "root@master001:~# hostname\nmaster001\n" in seen


def test_a_pod_s_shell_is_that_of_exec(lab: Shell) -> None:
    seen = interactive(lab, "web", "hostname")
    assert "hostname\nweb\n" in seen
    assert on(lab, "web", "hostname") == "web\n"
    on(lab, "web", "sh", "-c", "exit 3", code=3)


def test_what_is_no_place_is_said(lab: Shell) -> None:
    done = lab.here.netlab("shell", "master01", code=1)
    assert 'there is no node, client or pod "master01"' in done.stderr
    assert "nodes and clients: master001, worker001, client" in done.stderr
    done = lab.here.netlab("shell", "master001", "hostname", code=2)
    assert "netlab shell master001 -- hostname" in done.stderr
    done = lab.here.netlab("shell", "master001", "--", "nosuchprogram", code=127)
    assert "nosuchprogram: there is no such program" in done.stderr
