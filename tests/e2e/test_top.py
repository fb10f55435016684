"""`netlab top`: what Services, endpoints, nodes and DNS have to do, counted in real labs."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e.labs import Machine, eventually, machine

pytestmark = pytest.mark.root

LAB = """
apiVersion: netlab/v1
kind: Lab
metadata: {name: busy}
spec: {proxyMode: MODE, nodes: [{name: worker001}, {name: worker002}]}
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
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: nginx}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: empty}
spec: {selector: {app: nobody}, ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: sticky}
spec: {sessionAffinity: ClientIP, selector: {app: web}, ports: [{port: 80}]}
"""
SLOW = pytest.param("nftables", marks=pytest.mark.slow)
BOX = "busy.default.box"
NOBODY = "10.244.1.250"
"""An address of pods that none has."""

FLOOD = """
import socket, sys
for _ in range(int(sys.argv[2])):
    with socket.socket() as one:
        one.settimeout(3)
        one.connect((sys.argv[1], 80))
"""


@pytest.fixture(scope="module", params=["iptables", SLOW])
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def lab(mode: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with machine(tmp_path_factory.mktemp("busy")) as here:
        here.netlab("up", here.lab_file(LAB.replace("MODE", mode)))
        yield here


@contextlib.contextmanager
def counting(lab: Machine, *words: str) -> Iterator[Glances]:
    """One that counts, by JSON; it ends with the test at the latest."""
    with lab.start("top", "-o", "json", "--interval", "500ms", *words) as command:
        try:
            glances = Glances(command)
            eventually(lambda: glances.all, 20)
            yield glances
        finally:
            command.kill()


class Glances:
    """What is printed, as it comes."""

    def __init__(self, command: subprocess.Popen[str]) -> None:
        self.command = command
        self.all: list[dict[str, Any]] = []
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        assert self.command.stdout is not None
        for line in self.command.stdout:
            self.all.append(json.loads(line))

    def service(self, name: str) -> dict[str, Any]:
        found = [one for one in self.all[-1]["services"] if one["service"] == f"default/{name}"]
        return found[0] if found else {"connections": 0}

    def rated(self, what: str, name: str) -> float:
        """A rate times the time that it is of, of all intervals together."""
        return sum(
            one[what].get(name, 0.0) * one["interval"] for one in self.all if one[what] is not None
        )

    def end(self, number: int = signal.SIGINT) -> str:
        self.command.send_signal(number)
        self.command.wait(20)
        self._thread.join(5)
        assert self.command.stderr is not None
        return self.command.stderr.read()


def cluster_ip(lab: Machine, name: str, namespace: str = "default") -> str:
    found = lab.netlab("get", "svc", name, "-n", namespace, "-o", "json").stdout
    return str(json.loads(found)["spec"]["clusterIP"])


def flood(lab: Machine, name: str, number: int) -> None:
    lab.run_in(BOX, "python3", "-c", FLOOD, cluster_ip(lab, name), str(number), timeout=60)


def test_every_connection_is_counted_and_none_is_off(lab: Machine) -> None:
    number = 3000
    with counting(lab) as glances:
        flood(lab, "web", number)
        eventually(lambda: glances.service("web")["connections"] >= number, 20)
        assert glances.end() == ""
        web = glances.service("web")
    assert web["connections"] == number
    assert (web["port"], web["protocol"], web["family"]) == ("http", "tcp", "IPv4")
    assert sum(one["connections"] for one in web["endpoints"]) == number
    assert len(web["endpoints"]) == 3
    for one in web["endpoints"]:
        assert one["name"].startswith("default/web-")
        assert one["share"] == pytest.approx(one["connections"] / number, abs=1e-5)
        assert one["expectedShare"] == pytest.approx(1 / 3, abs=1e-5)
        low, high = one["interval95"]
        assert 0 < low < one["share"] < high < 1
        assert not one["isOff"]
    total = sum(
        node["connectionsPerSecond"] * glance["interval"]
        for glance in glances.all
        for node in glance["nodes"]
        if node["name"] == "worker001"
    )
    assert total == pytest.approx(number, rel=0.01)
    assert all(glance["lostEvents"] == {} for glance in glances.all)
    assert any(node["conntrack"] >= number / 2 for node in glances.all[-1]["nodes"])
    assert all(node["conntrackMax"] > 1000 for node in glances.all[-1]["nodes"])


def test_with_affinity_nothing_is_expected(lab: Machine) -> None:
    with counting(lab) as glances:
        flood(lab, "sticky", 50)
        eventually(lambda: glances.service("sticky")["connections"] >= 50, 20)
        glances.end()
        (one,) = [each for each in glances.service("sticky")["endpoints"] if each["connections"]]
    assert (one["share"], one["interval95"], one["expectedShare"]) == (1.0, None, None)


def test_who_is_not_answered_sends_again(lab: Machine) -> None:
    """Told of the pod, and with its node."""
    with counting(lab) as glances:
        lab.run_in(BOX, "curl", "-s", "-m2", NOBODY, check=False)
        eventually(lambda: glances.rated("retransmissionsPerSecond", "default/box") >= 0.9, 20)
        glances.end()
    node = sum(
        one["retransmissionsPerSecond"] * glance["interval"]
        for glance in glances.all
        for one in glance["nodes"]
        if one["name"] == "worker001"
    )
    assert node >= 0.9


def test_refusals_by_service_in_either_mode(lab: Machine) -> None:
    address = cluster_ip(lab, "empty")
    with counting(lab) as glances:
        for _ in range(5):
            lab.run_in(BOX, "curl", "-s", "-m1", address, check=False)
        refused = lambda: glances.rated("refusalsPerSecond", "default/empty:http")  # noqa: E731
        eventually(lambda: round(refused()) >= 5, 20)
        assert round(refused()) == 5
        seen = len(glances.all)
        eventually(lambda: len(glances.all) > seen + 1, 20)
        glances.end()
    assert "netlab-top" not in lab.run_in("busy.worker001", "nft", "list", "tables").stdout
    unreachable = sum(
        node["unreachablePerSecond"] * glance["interval"]
        for glance in glances.all
        for node in glance["nodes"]
    )
    assert unreachable >= 0.9, "the kernel tells the first of them for sure"


def test_dns_queries_exactly(lab: Machine) -> None:
    (server,) = [
        f"kube-system/{one['metadata']['name']}"
        for one in json.loads(
            lab.netlab("get", "pods", "-n", "kube-system", "-o", "json").stdout
        )["items"]
        if one["metadata"]["labels"].get("k8s-app") == "kube-dns"
    ]  # fmt: skip
    with counting(lab) as glances:
        for _ in range(20):
            lab.ask(BOX, "web.default.svc.cluster.local")
        eventually(lambda: round(glances.rated("dnsQueriesPerSecond", server)) >= 20, 20)
        glances.end()
    assert round(glances.rated("dnsQueriesPerSecond", server)) == 20


def test_one_table_where_there_is_no_terminal(lab: Machine) -> None:
    for words in ((), ("--once",)):
        done = lab.netlab("top", "--interval", "300ms", *words)
        assert done.stderr == ""
        first, *_ = done.stdout.splitlines()
        assert re.fullmatch(r"\d s: \d+ connections, \d+\.\d/s; none lost", first)
        assert re.search(r"^NODE +CONN/S +RETRANS +UNREACH +CONNTRACK +USED$", done.stdout, re.M)
        assert "worker002" in done.stdout
        assert "\x1b" not in done.stdout
    done = lab.netlab("top", "--interval", "300ms", "--once", "-o", "json")
    assert len(done.stdout.splitlines()) == 1


@pytest.mark.parametrize(
    "words", [("--interval", "0"), ("--interval", "10ms"), ("--interval", "x"), ("-o", "yaml")]
)
def test_what_makes_no_sense(lab: Machine, words: tuple[str, ...]) -> None:
    assert "hint: " in lab.netlab("top", *words, code=2).stderr


class Terminal:
    """A live `netlab top` in a terminal of that size."""

    def __init__(self, lab: Machine, columns: int, rows: int) -> None:
        self.text = ""
        self.pid, self.descriptor = pty.fork()
        if self.pid == 0:
            os.chdir(Path(__file__).parents[2])
            argv = [*map(str, lab.command), "top", "--interval", "300ms"]
            os.execvpe(argv[0], argv, {**lab.environment, "TERM": "xterm"})
        self.resize(columns, rows)

    def resize(self, columns: int, rows: int) -> None:
        size = struct.pack("HHHH", rows, columns, 0, 0)
        fcntl.ioctl(self.descriptor, termios.TIOCSWINSZ, size)

    def until(self, wanted: Callable[[list[str]], bool]) -> list[str]:
        """The first screen, as lines of text, that is as it is wanted."""
        deadline = time.monotonic() + 30
        while not (found := [each for each in self.frames() if wanted(each)]):
            assert time.monotonic() < deadline, self.text
            self.text += os.read(self.descriptor, 65536).decode()
        return found[0]

    def frames(self) -> list[list[str]]:
        """Those that are whole: after each comes another one. The first says that it counts."""
        screens = self.text.split("\x1b[H\x1b[K")[1:-1]
        return [
            each.replace("\r\n\x1b[J", "").replace("\x1b[K", "").split("\r\n") for each in screens
        ]

    def end(self, key: bytes) -> tuple[int, str]:
        """The exit code, and what it wrote last."""
        os.write(self.descriptor, key)
        before = len(self.text)
        with contextlib.suppress(OSError):  # it has gone
            while data := os.read(self.descriptor, 65536):
                self.text += data.decode()
        _, status = os.waitpid(self.pid, 0)
        os.close(self.descriptor)
        return os.waitstatus_to_exitcode(status), self.text[before:]


@pytest.mark.parametrize(("columns", "rows", "key"), [(60, 24, b"q"), (200, 50, b"\x03")])
def test_live_in_a_terminal(lab: Machine, columns: int, rows: int, key: bytes) -> None:
    terminal = Terminal(lab, columns, rows)
    terminal.until(bool)
    flood(lab, "web", 30)
    screen = terminal.until(lambda screen: " 30 connections, " in screen[0])
    assert screen[0].startswith("lab busy, ")
    assert all(len(line) <= columns and line.isprintable() for line in screen)
    assert len(screen) <= rows
    web = [line for line in screen if line.startswith("default/web:http tcp")]
    assert web
    assert any("TOTAL" in line for line in screen) == (columns == 200)
    assert any(re.search(r"33\.3%", line) for line in screen)
    code, rest = terminal.end(key)
    assert code == 0
    _, left, after = rest.partition("\x1b[?1049l")
    assert left, "the terminal's own screen is back"
    assert "default/web:http tcp" in after, "and the last table stands on it"
    assert terminal.text.count("\x1b[?25l") == terminal.text.count("\x1b[?25h") == 1


def test_the_terminal_may_change_its_size(lab: Machine) -> None:
    terminal = Terminal(lab, 120, 40)
    assert any(len(line) > 50 for line in terminal.until(bool))
    terminal.resize(50, 12)
    screen = terminal.until(lambda screen: max(map(len, screen)) <= 50)
    assert 8 < len(screen) <= 12
    assert terminal.end(b"q")[0] == 0


def test_the_lab_goes_down_meanwhile(lab: Machine) -> None:
    """The last test: in one line it is said so."""
    with counting(lab) as glances:
        lab.netlab("down", "busy")
        assert glances.command.wait(20) == 1
        assert glances.command.stderr is not None
        assert glances.command.stderr.read() == "error: lab busy was taken down meanwhile\n"
