"""The process behind all built-in servers is killed: clients wait a moment, and that is all."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from e2e import manifests
from e2e.labs import Machine, answering, eventually, machine

from netlab.kernel import netns, paths

pytestmark = pytest.mark.root

LAB = (
    manifests.lab("served")
    + manifests.web(replicas=5, readinessProbe={"tcpSocket": {"port": 80}, "periodSeconds": 1})
    + manifests.service(clusterIP="10.96.0.77")
    + manifests.box("client")
    + """\
---
apiVersion: v1
kind: Pod
metadata: {name: echo, labels: {app: echo}}
spec:
  containers: [{name: c, image: "example.com/echo:1", ports: [{containerPort: 7, protocol: UDP}]}]
---
apiVersion: v1
kind: Service
metadata: {name: echo}
spec: {clusterIP: 10.96.0.78, selector: {app: echo}, ports: [{port: 7, protocol: UDP}]}
"""
)
INTERNET = "198.51.100.1"
KILLS = 3
REQUEST = b"GET / HTTP/1.0\r\n\r\n"


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Machine]:
    with machine(tmp_path) as here:
        here.netlab("up", here.lab_file(LAB))
        yield here
        here.netlab("down")


class Client:
    """Asks again and again, as one who patiently waits for each answer."""

    def __init__(self, here: Machine, ask: Callable[[socket.socket], bytes], kind: int) -> None:
        self._place = here.namespace("served.default.client")
        self._ask = ask
        self._kind = kind
        self._ended = threading.Event()
        self.answers = 0
        self.failures: list[OSError] = []
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Client:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(30)

    def _run(self) -> None:
        while not self._ended.is_set():
            with netns.entered(self._place):
                asking = socket.socket(socket.AF_INET, self._kind)
            with asking:
                asking.settimeout(20)
                try:
                    assert self._ask(asking)
                    self.answers += 1
                except OSError as error:
                    self.failures.append(error)
            time.sleep(0.002)


def page_of(address: str) -> Callable[[socket.socket], bytes]:
    def ask(asking: socket.socket) -> bytes:
        asking.connect((address, 80))
        asking.sendall(REQUEST)
        return asking.recv(65536) or _reset()

    return ask


def _reset() -> bytes:
    raise ConnectionResetError


def echo(asking: socket.socket) -> bytes:
    asking.connect(("10.96.0.78", 7))
    asking.send(b"hello")
    return asking.recv(100)


def kill_responder(here: Machine) -> bool:
    """Kill the process behind the lab's responder socket; False while there is none."""
    with contextlib.suppress(OSError):
        os.kill(answering(paths.responder_socket(here.base / "run" / "served")), signal.SIGKILL)
        return True
    return False


def test_no_client_is_refused_when_the_responder_is_killed(here: Machine) -> None:
    """What was being answered at that very moment is lost; who comes then is answered."""
    web = Client(here, page_of("10.96.0.77"), socket.SOCK_STREAM)
    world = Client(here, page_of(INTERNET), socket.SOCK_STREAM)
    datagrams = Client(here, echo, socket.SOCK_DGRAM)
    clients = (web, world, datagrams)
    eventually(lambda: "nginx" in here.curl("served.default.client", "10.96.0.77"), 10)
    with web, world, datagrams:
        for _ in range(KILLS):
            before = [client.answers for client in clients]
            eventually(lambda: kill_responder(here), 20)
            for client, count in zip(clients, before, strict=True):
                eventually(lambda c=client, n=count: c.answers > n + 20, 30)  # type: ignore[misc]
    for client in (web, world):
        assert {type(failure) for failure in client.failures} <= {ConnectionResetError}
        assert len(client.failures) <= KILLS
    # a datagram that had been read is lost, and nobody sends it again
    assert {type(failure) for failure in datagrams.failures} <= {TimeoutError}
    assert len(datagrams.failures) <= KILLS
