"""A controller that is killed and started again: what runs stays ready, and no traffic is lost.

NETLAB_KILLS=24 kills as often (3 times without it).
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from dnslib import DNSRecord
from e2e.labs import KUBE_DNS, Machine, machine

from netlab.kernel import netns, paths

pytestmark = pytest.mark.root

KILLS = int(os.environ.get("NETLAB_KILLS", "3"))
PAUSE = 0.01
"""Seconds between two questions of one kind."""

SERVER = """
import contextlib, socket, threading
tcp, udp = socket.create_server(("", 7000), backlog=500), socket.socket(type=socket.SOCK_DGRAM)
udp.bind(("", 7001))
def answer():
    while True:
        client, _ = tcp.accept()
        with client, contextlib.suppress(OSError):  # a probe goes without a word
            client.sendall(b"here")
            client.recv(1)  # who closes first has to keep the port for a minute
threading.Thread(target=answer).start()
while True:
    data, client = udp.recvfrom(100)
    udp.sendto(data, client)
"""
LAB = f"""
apiVersion: netlab/v1
kind: Lab
metadata: {{name: calm}}
spec: {{nodes: 2}}
---
apiVersion: v1
kind: ConfigMap
metadata: {{name: code}}
data: {{server.py: {json.dumps(SERVER)}}}
---
apiVersion: v1
kind: Pod
metadata: {{name: server, labels: {{app: server}}}}
spec:
  nodeName: worker001
  initContainers: [{{name: first, image: busybox, command: ["true"]}}]
  containers:
  - name: c
    image: busybox
    command: [python3, /code/server.py]
    readinessProbe: {{tcpSocket: {{port: 7000}}, periodSeconds: 1}}
    volumeMounts: [{{name: code, mountPath: /code}}]
  - {{name: beside, image: nginx}}
  volumes: [{{name: code, configMap: {{name: code}}}}]
---
apiVersion: v1
kind: Service
metadata: {{name: server}}
spec:
  clusterIP: 10.96.7.7
  selector: {{app: server}}
  ports: [{{name: tcp, port: 7000}}, {{name: udp, port: 7001, protocol: UDP}}]
"""


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Machine]:
    with machine(tmp_path) as here:
        here.netlab("up", here.lab_file(LAB))
        yield here


class Traffic:
    """Asks from the other node, one kind a thread, until it ends; counts what came of it."""

    def __init__(self, lab: Machine) -> None:
        self.answered: Counter[str] = Counter()
        self.lost: list[str] = []
        self._ended = threading.Event()
        self._place = lab.namespace("calm.master001")
        kinds = (self._tcp, self._udp, self._dns)
        self._threads = [threading.Thread(target=self._ask, args=(kind,)) for kind in kinds]

    def __enter__(self) -> Traffic:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, kind: Callable[[], None]) -> None:
        name = kind.__name__.strip("_")
        with netns.entered(self._place):
            while not self._ended.wait(PAUSE):
                try:
                    kind()
                    self.answered[name] += 1
                except (OSError, AssertionError) as error:
                    self.lost.append(f"{time.monotonic():.3f} {name}: {error!r}")

    def _tcp(self) -> None:
        with socket.create_connection(("10.96.7.7", 7000), 2) as client:
            assert client.recv(10) == b"here"

    def _udp(self) -> None:
        self._datagram("10.96.7.7", 7001, b"x")

    def _dns(self) -> None:
        question = DNSRecord.question("server.default.svc.cluster.local").pack()
        (answer,) = DNSRecord.parse(self._datagram(KUBE_DNS, 53, question)).rr
        assert str(answer.rdata) == "10.96.7.7"

    def _datagram(self, address: str, port: int, data: bytes) -> bytes:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(2)
            client.connect((address, port))
            client.send(data)
            return client.recv(4096)


def kill_controller(lab: Machine) -> None:
    pid = int(paths.controller_pid(lab.base / "run" / "calm").read_text())
    descriptor = os.pidfd_open(pid)
    signal.pidfd_send_signal(descriptor, signal.SIGKILL)
    ended, _, _ = select.select([descriptor], [], [], 10)
    os.close(descriptor)
    assert ended


def changes(journal: Path) -> list[str]:
    """What has been written of pods and their endpoints, a line each."""
    found = []
    for line in journal.read_text().splitlines()[1:]:
        word, _, body = line.partition(" ")
        obj = json.loads(body)
        if word != "OBJECT" and obj["kind"] in ("Pod", "EndpointSlice", "Endpoints"):
            said = obj.get("status") or obj.get("endpoints")
            found.append(f"{word} {obj['kind']} {obj['metadata']['name']}: {json.dumps(said)}")
    return found


def test_nobody_notices_that_the_controller_was_replaced(lab: Machine) -> None:
    journal = paths.store(lab.base / "run" / "calm")
    before, kills = changes(journal), []
    with Traffic(lab) as traffic:
        for _ in range(KILLS):
            kills.append(f"{time.monotonic():.3f}")
            kill_controller(lab)
            lab.netlab("up", lab.base / "lab.yaml")
            time.sleep(0.2)
    assert changes(journal)[len(before) :] == []
    print(f"{KILLS} kills, at {kills}: {dict(traffic.answered)}, lost {traffic.lost}")
    assert traffic.lost == []
    assert min(traffic.answered[kind] for kind in ("tcp", "udp", "dns")) > 10 * KILLS
