"""`netlab capture`: what passes all interfaces of a lab, for as long as it runs."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e.labs import Machine, eventually, machine

pytestmark = pytest.mark.root

LAB = """
apiVersion: netlab/v1
kind: Lab
metadata: {name: heard}
spec: {nodes: [{name: worker001}, {name: worker002}]}
---
apiVersion: v1
kind: Pod
metadata: {name: box}
spec: {nodeName: worker001, containers: [{name: box, image: netshoot, command: [sleep, "9999"]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec: {nodeName: worker002, containers: [{name: web, image: nginx}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: NodePort, selector: {app: web}, ports: [{port: 80, nodePort: 30080}]}
"""
LATE = """
apiVersion: v1
kind: Pod
metadata: {name: late, labels: {app: late}}
spec: {nodeName: worker001, containers: [{name: web, image: nginx}]}
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with machine(tmp_path_factory.mktemp("heard")) as here:
        here.netlab("up", here.lab_file(LAB))
        yield here


@contextlib.contextmanager
def capturing(lab: Machine, *words: str | Path) -> Iterator[subprocess.Popen[str]]:
    """A capture that runs; it ends with the test at the latest."""
    with lab.start("capture", *map(str, words)) as command:
        try:
            assert command.stderr is not None
            assert command.stderr.readline().startswith("capturing in ")
            yield command
        finally:
            command.kill()


def ended(command: subprocess.Popen[str], code: int = 0) -> str:
    """What it says in the end."""
    _, said = command.communicate(timeout=20)
    assert command.returncode == code, said
    assert "Traceback" not in said
    return said


def interrupted(command: subprocess.Popen[str], number: int = signal.SIGINT) -> str:
    command.send_signal(number)
    return ended(command)


def points(path: Path, only: str = "") -> Counter[str]:
    """How many packets each capture point has, as tshark reads them."""
    argv = ["tshark", "-r", str(path), "-T", "fields", "-e", "frame.interface_name"]
    done = subprocess.run([*argv, *(["-Y", only] if only else [])], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "cut short" not in done.stderr
    return Counter(done.stdout.split())


def get(lab: Machine, place: str = "heard.default.box", target: str = "web") -> None:
    address = target
    if target == "web":
        (address,) = lab.resolve("heard.default.box", "web.default.svc.cluster.local")
    assert "nginx" in lab.curl(place, address)


def test_a_connection_at_every_hop(lab: Machine, tmp_path: Path) -> None:
    path = tmp_path / "x.pcapng"
    with capturing(lab, "--from", "box", "--to", "svc/web:80", "-o", path) as command:
        get(lab)
        said = interrupted(command)
    found = points(path, "tcp.flags.syn == 1 && tcp.flags.ack == 0")
    assert sum(found.values()) == len(found), "each once"
    assert {name.partition(":")[0] for name in found} == {
        "default/box", "worker001", "worker002", "default/web"
    }  # fmt: skip
    assert f", in {path}; none lost" in said
    assert points(path).total() == points(path, "tcp.port == 80").total(), "and nothing else"
    assert (path.stat().st_mode & 0o777) == 0o600


def test_a_client_is_followed_through_masquerade(lab: Machine, tmp_path: Path) -> None:
    path = tmp_path / "x.pcapng"
    wanted = '{.status.addresses[?(@.type=="ExternalIP")].address}'
    node = lab.netlab("get", "node", "worker001", "-o", f"jsonpath={wanted}").stdout
    with capturing(lab, "--from", "client", "--to", "svc/web", "-o", path) as command:
        get(lab, "heard.client", f"{node}:30080")
        interrupted(command, signal.SIGTERM)
    assert {"client:eth0", "worker002:eth0", "default/web:eth0"} <= set(points(path))


def test_it_ends_by_itself(lab: Machine, tmp_path: Path) -> None:
    path = tmp_path / "x.pcapng"
    with capturing(lab, "--from", "box", "--count", "7", "-o", path) as command:
        get(lab)
        assert "7 packets at " in ended(command)
    assert points(path).total() == 7
    began = time.monotonic()
    with capturing(lab, "--udp", "--duration", "1500ms", "-o", path) as command:
        ended(command)
    assert 1.4 < time.monotonic() - began < 15


def test_into_a_pipe(lab: Machine) -> None:
    """What reads it may go as it likes."""
    command = [*lab.command, "capture", "--from", "box", "-o", "-"]
    with subprocess.Popen(
        command, env=lab.environment, cwd="/", stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as capture:
        reader = subprocess.Popen(
            ["tcpdump", "-nr", "-", "-c", "2"],
            stdin=capture.stdout,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert capture.stdout is not None
        assert capture.stderr is not None
        capture.stdout.close()
        capture.stderr.readline()
        get(lab)
        out, _ = reader.communicate(timeout=20)
        assert len(out.splitlines()) == 2
        get(lab)  # nobody reads that
        assert capture.wait(20) == 0
        assert b"Traceback" not in capture.stderr.read()


def test_pods_that_come_are_heard_and_those_that_go_are_let_go(
    lab: Machine, tmp_path: Path
) -> None:
    path = tmp_path / "x.pcapng"
    with capturing(lab, "--tcp", "-o", path) as command:
        lab.netlab("apply", "-f", lab.lab_file(LATE, "late.yaml"))
        lab.netlab("wait", "pod/late", "--for=condition=Ready")
        address = lab.netlab("get", "pod", "late", "-o", "jsonpath={.status.podIP}").stdout
        eventually(lambda: get(lab, target=address) or seen(path, "default/late:eth0"), 20.0)
        lab.netlab("delete", "pod", "late", "--now")
        namespaces = lab.base / "run/heard/netns"
        eventually(lambda: not (namespaces / "heard.default.late").exists(), 10.0)
        eventually(lambda: not holds(command.pid, tap_count(lab) + 1), 10.0)
        interrupted(command)
    assert points(path)["default/late:eth0"]


def seen(path: Path, point: str) -> bool:
    return point.encode() in path.read_bytes()


def tap_count(lab: Machine) -> int:
    """The namespaces there are, but that of the wires between nodes."""
    return len(list((lab.base / "run/heard/netns").iterdir())) - 1


def holds(pid: int, number: int) -> bool:
    """Whether a process has so many packet sockets, or more."""
    links = [str(each.readlink()) for each in Path(f"/proc/{pid}/fd").iterdir()]
    return sum(link.startswith("socket:") for link in links) >= number


BAD = [
    ("-o /nonexistent/x", "error: there is no directory /nonexistent for x"),
    ("-o /tmp", "error: /tmp cannot be written: is a directory"),
    ("--to svc/wbe -o {}/x", "error: there is no Service default/wbe"),
    ("--from bxo -o {}/x", "error: there is no bxo"),
    ("--count 0 -o {}/x", "error: argument --count: '0' is no number of packets"),
    ("--duration soon -o {}/x", "error: 'soon' is no duration"),
    ("--duration -3s -o {}/x", "error: "),
    ("box -o {}/x", "error: unrecognized arguments: box"),
    ("", "error: the following arguments are required: -o/--output"),
]


@pytest.mark.parametrize(("words", "complaint"), BAD)
def test_what_cannot_be_captured(lab: Machine, tmp_path: Path, words: str, complaint: str) -> None:
    done = lab.netlab("capture", *words.format(tmp_path).split(), code=2)
    assert done.stderr.startswith(complaint), done.stderr
    assert len(done.stderr.splitlines()) <= 2
    assert not list(tmp_path.iterdir())


def test_packets_are_nothing_for_a_terminal(lab: Machine) -> None:
    leader, follower = os.openpty()
    done = subprocess.run(
        [*lab.command, "capture", "-o", "-"],
        env=lab.environment, stdout=follower, stderr=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("error: packets are nothing for a terminal\n  hint: ")
    for descriptor in (leader, follower):
        os.close(descriptor)


def test_a_lab_that_goes_down_meanwhile(tmp_path: Path) -> None:
    """Nothing of it is kept alive, and what was seen is in the file."""
    base, path = tmp_path / "lab", tmp_path / "x.pcapng"
    base.mkdir()
    with machine(base) as here:
        here.netlab("up", here.lab_file(LAB))
        with capturing(here, "-o", path) as command:
            get(here)
            eventually(lambda: seen(path, "default/web:eth0"), 10.0)
            here.netlab("down")
            said = ended(command, code=1)
    assert said.splitlines()[-1] == "error: lab heard was taken down meanwhile"
    assert points(path)["default/web:eth0"]
