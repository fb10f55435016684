"""`netlab watch`: each connection that is opened in a lab, for as long as it runs."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from e2e.labs import Machine, eventually, machine

pytestmark = pytest.mark.root

LAB = """
apiVersion: netlab/v1
kind: Lab
metadata: {name: seen}
spec:
  proxyMode: MODE
  ipFamilies: [IPv4, IPv6]
  nodes: [{name: worker001}, {name: worker002}]
---
apiVersion: v1
kind: Pod
metadata: {name: box}
spec: {nodeName: worker001, containers: [{name: box, image: netshoot, command: [sleep, "9999"]}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: nginx}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  type: NodePort
  ipFamilyPolicy: RequireDualStack
  selector: {app: web}
  ports: [{port: 80, nodePort: 30080}]
---
apiVersion: v1
kind: Service
metadata: {name: deaf}
spec: {selector: {app: web}, ports: [{name: nobody, port: 99, targetPort: 9999}]}
"""
LATE = """
apiVersion: v1
kind: Pod
metadata: {name: late, labels: {app: late}}
spec: {nodeName: worker001, containers: [{name: web, image: nginx}]}
---
apiVersion: v1
kind: Service
metadata: {name: late}
spec: {selector: {app: late}, ports: [{port: 80}]}
"""
BOX = "seen.default.box"
MODES = ("iptables", "nftables")


@pytest.fixture(scope="module", params=MODES)
def lab(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Machine]:
    with machine(tmp_path_factory.mktemp("seen")) as here:
        here.netlab("up", here.lab_file(LAB.replace("MODE", request.param)))
        yield here


@contextlib.contextmanager
def watching(lab: Machine, *words: str) -> Iterator[subprocess.Popen[str]]:
    """One that watches; it ends with the test at the latest."""
    with lab.start("watch", *words) as command:
        try:
            assert command.stderr is not None
            assert command.stderr.readline().startswith("watching new connections of ")
            yield command
        finally:
            command.kill()


def ended(command: subprocess.Popen[str], code: int = 0) -> tuple[list[str], str]:
    """The lines, and what it says in the end."""
    lines, said = command.communicate(timeout=20)
    assert command.returncode == code, said
    assert "Traceback" not in said
    return lines.splitlines(), said


def interrupted(
    command: subprocess.Popen[str], number: int = signal.SIGINT
) -> tuple[list[str], str]:
    command.send_signal(number)
    return ended(command)


def told(lines: list[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines]


def objects(lab: Machine, kind: str) -> dict[str, Any]:
    found = json.loads(lab.netlab("get", kind, "-o", "json").stdout)["items"]
    return {each["metadata"]["name"]: each for each in found}


def cluster_ips(lab: Machine, name: str = "web") -> list[str]:
    return list(objects(lab, "services")[name]["spec"]["clusterIPs"])


def pods_of_web(lab: Machine) -> dict[str, str]:
    """Who has which address."""
    return {
        entry["ip"]: name
        for name, pod in objects(lab, "pods").items()
        if name.startswith("web-")
        for entry in pod["status"]["podIPs"]
    }


def get(lab: Machine, place: str, address: str, port: int = 80) -> None:
    host = f"[{address}]" if ":" in address else address
    assert "nginx" in lab.curl(place, f"{host}:{port}", "-g")


def test_each_connection_to_a_service_once(lab: Machine) -> None:
    pods = pods_of_web(lab)
    with watching(lab, "svc/web", "--count", "24", "-o", "json") as command:
        for address in cluster_ips(lab):
            for _ in range(12):
                get(lab, BOX, address)
        lines, said = ended(command)
    found = told(lines)
    assert len(found) == 24
    assert Counter(one["to"]["address"] for one in found) == dict.fromkeys(cluster_ips(lab), 12)
    for one in found:
        assert (one["node"], one["protocol"]) == ("worker001", "tcp")
        assert one["client"]["name"] == "default/box"
        assert (one["to"]["service"], one["to"]["kind"]) == ("default/web", "clusterIP")
        assert one["endpoint"]["name"] == f"default/{pods[one['endpoint']['address']]}"
        assert one["endpoint"]["port"] == 80
        assert one["masqueraded"] is False
        assert one["source"] == one["client"]
    assert "24 connections in " in said
    assert "none lost" in said
    assert sum(int(row.split()[0]) for row in said.splitlines() if "→" in row) == 24


def test_whoever_comes_from_outside_is_masqueraded(lab: Machine) -> None:
    node = objects(lab, "nodes")["worker002"]["status"]["addresses"]
    by_client = [one["address"] for one in node if one["address"].startswith("172.16.")]
    with watching(lab, "client", "-o", "json", "--count", "4") as command:
        for _ in range(4):
            get(lab, "seen.client", by_client[0], 30080)
        lines, said = ended(command)
    for one in told(lines):
        assert (one["node"], one["client"]["name"]) == ("worker002", "client")
        assert (one["to"]["kind"], one["to"]["name"], one["to"]["port"]) == (
            "nodePort", "worker002", 30080
        )  # fmt: skip
        assert one["masqueraded"] is True
        assert one["source"]["name"] == "worker002"
    assert "4 masqueraded" in said


def test_a_pods_own_connections(lab: Machine) -> None:
    """Those between pods, too, and each once, though two nodes see it."""
    (there,) = [ip for ip, name in pods_of_web(lab).items() if ":" not in ip][:1]
    with watching(lab, "pod/box", "--count", "3") as command:
        get(lab, BOX, there)
        lab.run_in(BOX, "ping", "-c1", "-W2", there)
        get(lab, BOX, cluster_ips(lab)[0])
        lines, _ = ended(command)
    first, second, third = (line.split(" ", 1)[1] for line in lines)
    assert first.startswith("worker001 tcp default/box 10.244.")
    assert f" → default/{pods_of_web(lab)[there]} {there}:80, not masqueraded" in first
    assert second.startswith("worker001 icmp default/box 10.244.")
    assert "→ default/web 10." in third


def test_what_is_refused_by_nobody_is_no_connection(lab: Machine) -> None:
    """A SYN that an endpoint answers with RST has been let through by the rules: it is told."""
    address = cluster_ips(lab, "deaf")[0]
    with watching(lab, "svc/deaf", "--count", "1") as command:
        lab.run_in(BOX, "curl", "-s", "-m3", f"http://{address}:99", check=False)
        lines, _ = ended(command)
    assert " → default/deaf:nobody " in lines[0]


def test_who_comes_while_it_runs_has_a_name(lab: Machine) -> None:
    with watching(lab, "-o", "json") as command:
        assert command.stdout is not None
        lab.netlab("apply", "-f", lab.lab_file(LATE, "late.yaml"))
        lab.netlab("wait", "--for=condition=Ready", "pod/late")
        address = cluster_ips(lab, "late")[0]
        eventually(
            lambda: "nginx" in lab.run_in(BOX, "curl", "-s", "-m1", address, check=False).stdout, 10
        )
        lines, _ = interrupted(command)
    found = [one for one in told(lines) if one["to"]["address"] == address]
    assert found
    assert {(one["to"]["service"], one["endpoint"]["name"]) for one in found} == {
        ("default/late", "default/late")
    }
    lab.netlab("delete", "-f", lab.lab_file(LATE, "late.yaml"))


FLOOD = """
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
for port in range(20000, 20000 + int(sys.argv[2])):
    with socket.socket(family, socket.SOCK_DGRAM) as one:
        one.bind(("", port))
        one.sendto(b"x", (sys.argv[1], 53))
"""


def test_of_a_flood_every_one_is_told(lab: Machine) -> None:
    number = 6000
    (address,) = json.loads(
        lab.netlab("get", "svc", "kube-dns", "-n", "kube-system", "-o", "json").stdout
    )["spec"]["clusterIPs"][:1]
    with watching(lab, "svc/kube-dns", "-n", "kube-system", "-o", "json") as command:
        lines: list[str] = []
        assert command.stdout is not None
        reader = threading.Thread(target=lambda: lines.extend(command.stdout or ()))
        reader.start()
        lab.run_in(BOX, "python3", "-c", FLOOD, address, str(number), timeout=60)
        eventually(lambda: len(lines) >= number, 30)
        command.send_signal(signal.SIGINT)
        reader.join(10)
        assert command.stderr is not None
        said = command.stderr.read()
    ports = {one["client"]["port"] for one in told(lines) if one["client"]["name"] == "default/box"}
    assert ports == set(range(20000, 20000 + number))
    assert "none lost" in said


def test_it_ends_by_itself(lab: Machine) -> None:
    done = lab.netlab("watch", "svc/web", "--for", "300ms")
    assert done.stdout == ""
    assert "0 connections in 0." in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_it_with_a_summary(lab: Machine, number: int) -> None:
    with watching(lab) as command:
        _, said = interrupted(command, number)
    assert " connections in " in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("svc/wbe",), "there is no Service default/wbe"),
        (("nobody",), "there is no nobody"),
        (("--count", "0"), "'0' is no number of connections"),
        (("--for", "never"), "'never' is no duration"),
        (("--for", "0"), "0 is no time to watch"),
    ],
)
def test_what_makes_no_sense(lab: Machine, words: tuple[str, ...], said: str) -> None:
    assert said in lab.netlab("watch", *words, code=2).stderr


def test_the_lab_goes_down_meanwhile(lab: Machine) -> None:
    """The last test: in one line it is said so."""
    with watching(lab) as command:
        lab.netlab("down", "seen")
        _, said = ended(command, code=1)
    assert said.splitlines()[-1] == "error: lab seen was taken down meanwhile"
