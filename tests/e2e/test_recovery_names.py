"""Whatever answers names is killed, while many ask: nobody has to ask twice."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from dnslib import RCODE, DNSRecord
from e2e import manifests
from e2e.labs import KUBE_DNS, Machine, answering, eventually, machine

from netlab.kernel import netns, paths

pytestmark = pytest.mark.root

LAB = (
    manifests.lab("asked")
    + manifests.box("client")
    + """\
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {clusterIP: 10.96.0.77, ports: [{port: 80, name: http}]}
---
apiVersion: v1
kind: Service
metadata: {name: outside}
spec: {type: ExternalName, externalName: db.partner.io}
"""
)
PATIENCE = 4.5
"""Seconds for an answer; a resolver asks again after 5."""

DOMAIN = "default.svc.cluster.local"
INTERNET = "198.51.100.1"

# What is asked → who is involved beside the front and a dnsmasq.
QUESTIONS: dict[str, Callable[[int], tuple[str, str, set[str]]]] = {
    "a Service": lambda _: (f"web.{DOMAIN}", "A", {"10.96.0.77"}),
    "a new name": lambda n: (f"n{n}.{DOMAIN}", "A", set()),
    "responder": lambda _: (f"_http._tcp.web.{DOMAIN}", "SRV", {f"0 100 80 web.{DOMAIN}."}),
    "CNAME": lambda _: (f"outside.{DOMAIN}", "A", {"db.partner.io.", INTERNET}),
    "internet": lambda _: ("www.example.com", "A", {INTERNET}),
    "no such name outside": lambda n: (f"n{n}.example.com", "A", set()),
}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with machine(tmp_path_factory.mktemp("asked")) as here:
        here.netlab("up", here.lab_file(LAB), timeout=120)
        yield here


class Asker:
    """Asks one thing again and again, each time once."""

    def __init__(self, here: Machine, question: Callable[[int], tuple[str, str, set[str]]]) -> None:
        self._place = here.namespace("asked.default.client")
        self._question = question
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.right = 0
        self.wrong: list[object] = []

    def __enter__(self) -> Asker:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(30)

    def _run(self) -> None:
        for number in itertools.count(1):
            if self._ended.is_set():
                return
            name, kind, wanted = self._question(number)
            try:
                reply = self._ask(name, kind)
            except OSError as error:
                self.wrong.append(error)
                continue
            found = {str(record.rdata) for record in reply.rr}
            if found == wanted and reply.header.rcode == (0 if wanted else RCODE.NXDOMAIN):
                self.right += 1
            else:
                self.wrong.append(reply)

    def _ask(self, name: str, kind: str) -> DNSRecord:
        with netns.entered(self._place):
            asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with asking:
            asking.settimeout(PATIENCE)
            asking.connect((KUBE_DNS, 53))
            asking.send(DNSRecord.question(name, kind).pack())
            return DNSRecord.parse(asking.recv(4096))


def directory(here: Machine) -> Path:
    return here.base / "run" / "asked"


def names_process(which: str) -> Callable[[Machine], int]:
    return lambda here: answering(paths.names_socket(directory(here), which))


def dnsmasq(port: int) -> Callable[[Machine], int]:
    def pid(here: Machine) -> int:
        identity = paths.dns(directory(here)) / "cluster" / str(port) / "dnsmasq.json"
        return int(json.loads(identity.read_text())["pid"])

    return pid


def kill(here: Machine, pid_of: Callable[[Machine], int]) -> None:
    """Kill it, and wait until there is another."""
    pid = pid_of(here)
    os.kill(pid, signal.SIGKILL)

    def succeeded() -> bool:
        with contextlib.suppress(OSError, ValueError):
            return pid_of(here) != pid
        return False

    eventually(succeeded, 20)


def asked(here: Machine, disturb: Callable[[], object]) -> None:
    """Everybody gets the right answer to every question while something is disturbed."""
    askers = {what: Asker(here, question) for what, question in QUESTIONS.items()}
    with contextlib.ExitStack() as stack:
        for asker in askers.values():
            stack.enter_context(asker)
        eventually(lambda: all(asker.right > 20 for asker in askers.values()), 20)
        disturb()
        before = {what: asker.right for what, asker in askers.items()}
        eventually(lambda: all(askers[what].right > n + 20 for what, n in before.items()), 20)
    assert {what: asker.wrong for what, asker in askers.items() if asker.wrong} == {}


KILLED = {
    "front and responder": names_process("cluster"),
    "one dnsmasq": dnsmasq(10531),
    "the other": dnsmasq(10532),
    "the internet's": names_process("internet"),
}


@pytest.mark.parametrize("who", KILLED)
def test_no_query_is_lost_when_one_of_those_who_answer_is_killed(here: Machine, who: str) -> None:
    def disturb() -> None:
        for _ in range(2):
            kill(here, KILLED[who])
            time.sleep(0.1)

    asked(here, disturb)


def test_nor_when_the_controller_is_and_then_another_of_them(here: Machine) -> None:
    """The next controller keeps the sockets, which it has not made."""

    def controller_killed() -> None:
        os.kill(int(paths.controller_pid(directory(here)).read_text()), signal.SIGKILL)
        time.sleep(0.5)
        here.netlab("up", here.lab_file(LAB), timeout=120)

    pids = [pid_of(here) for pid_of in KILLED.values()]
    asked(here, controller_killed)
    assert [pid_of(here) for pid_of in KILLED.values()] == pids
    asked(here, lambda: [kill(here, pid_of) for pid_of in KILLED.values()])
