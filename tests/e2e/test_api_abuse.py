"""What a lab puts up with: bodies without end, clients that stall, never read, or die."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import pty
import re
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from e2e.kubectls import Shell, installed, shell
from e2e.labs import eventually

from netlab.agents import network
from netlab.api.identity import Identity
from netlab.client.sync import Client
from netlab.kernel import paths

pytestmark = pytest.mark.root

LAB = """
apiVersion: netlab/v1
kind: Lab
metadata: {name: tutorial}
spec: {nodes: 1}
---
apiVersion: v1
kind: Pod
metadata: {name: box}
spec:
  containers:
  - {name: box, image: busybox, stdin: true, command: [sh, -c, "echo tick; exec cat"]}
---
apiVersion: v1
kind: Pod
metadata: {name: page, labels: {app: page}}
spec:
  containers: [{name: page, image: nginx, ports: [{containerPort: 80}]}]
"""
MB = 1_000_000
BODY = 50 * MB
CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
SOON = 20.0
"""Seconds that anything may take on a busy machine."""


@dataclass
class Door:
    """The running controller as its clients and its machine see it."""

    shell: Shell

    @property
    def directory(self) -> Path:
        return self.shell.here.base / "run" / self.shell.lab

    @property
    def controller(self) -> Path:
        return Path("/proc") / paths.controller_pid(self.directory).read_text().strip()

    def memory(self, field: str = "VmHWM") -> int:
        """Bytes of memory: VmHWM is the most there ever was, VmRSS what there is."""
        text = (self.controller / "status").read_text()
        found = re.search(rf"^{field}:\s+(\d+) kB", text, re.MULTILINE)
        assert found is not None
        return int(found[1]) * 1024

    def descriptors(self) -> int:
        return len(list((self.controller / "fd").iterdir()))

    def calm_descriptors(self) -> int:
        """How many there are once earlier clients' connections are closed."""
        before = -1
        while (now := self.descriptors()) != before:
            before = now
            time.sleep(0.3)
        return now

    def is_at_rest(self) -> bool:
        """Whether all that is looked at regularly is open by now, and nothing more is opened."""
        before = self.descriptors()
        time.sleep(2 * network.SLOW)
        opened = [str(entry.readlink()) for entry in (self.controller / "fd").iterdir()]
        return len(opened) == before and any("/sys/net/" in name for name in opened)

    def forget_peak(self) -> None:
        """VmHWM starts anew (proc(5), clear_refs)."""
        (self.controller / "clear_refs").write_text("5")

    def connect(self, receive_buffer: int = 0) -> socket.socket:
        """A TCP connection, without the handshake that belongs on it."""
        sock = socket.socket()
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.settimeout(SOON)
        sock.connect(("127.0.0.1", int(paths.api_port(self.directory).read_text())))
        return sock

    def enter(self, context: ssl.SSLContext, receive_buffer: int = 0) -> ssl.SSLSocket:
        """A connection that the lab's certificate has opened."""
        return context.wrap_socket(self.connect(receive_buffer), server_hostname="127.0.0.1")

    def context(self) -> ssl.SSLContext:
        identity = Identity(paths.tls(self.directory))
        context = ssl.create_default_context(cafile=str(identity.authority))
        context.load_cert_chain(identity.certificate("client"), identity.key("client"))
        return context


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    with shell(tmp_path_factory.mktemp("abuse"), LAB) as opened:
        opened("kubectl wait --for=condition=Ready pod/box pod/page")
        opened("kubectl exec page -- true")  # a pod's first command begins its sandbox, which stays
        door = Door(opened)
        eventually(lambda: door.is_at_rest(), SOON)
        yield door


@pytest.fixture
def door(running: Door) -> Iterator[Door]:
    """The lab, which afterwards must be as well as it was before."""
    descriptors = running.descriptors()
    processes = set(running.shell.here.processes())
    yield running
    eventually(lambda: running.descriptors() <= descriptors + 5, SOON)
    eventually(lambda: set(running.shell.here.processes()) <= processes, SOON)
    assert running.shell("kubectl get pod box -o jsonpath={.status.phase}") == "Running"
    assert running.shell("kubectl exec page -- echo well") == "well\n"
    assert "Traceback" not in paths.controller_log(running.directory).read_text()


def request(method: str, path: str, *headers: str) -> bytes:
    return "\r\n".join((f"{method} {path} HTTP/1.1", "Host: lab", *headers, "", "")).encode()


def answered(sock: socket.socket) -> tuple[int, bytes]:
    """(code, body) of what was answered, as far as it came before the connection broke."""
    came = b""
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        while chunk := sock.recv(65536):
            came += chunk
    head, _, body = came.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1."), came
    return int(head.split()[1]), body


# -- too much ------------------------------------------------------------------------------


def _chunked(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


@pytest.mark.parametrize("content_type", ["application/json", "application/yaml"])
@pytest.mark.parametrize("announced", [True, False], ids=["announced", "chunked"])
def test_a_body_of_50_megabytes_is_too_large(
    door: Door, content_type: str, announced: bool
) -> None:
    door.forget_peak()
    before = door.memory()
    size = f"Content-Length: {BODY}" if announced else "Transfer-Encoding: chunked"
    with door.enter(door.context()) as sock:
        sock.sendall(
            request("POST", CONFIGMAPS, f"Content-Type: {content_type}", size, "Connection: close")
        )
        piece = b'{"a": "' + b"x" * MB
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            for _ in range(BODY // MB):
                sock.sendall(piece if announced else _chunked(piece))
            sock.sendall(b"" if announced else _chunked(b""))
        code, body = answered(sock)
    status = json.loads(body)
    assert (code, status["code"], status["reason"]) == (413, 413, "RequestEntityTooLarge")
    assert status["message"] == "Request entity too large: limit is 3145728"
    assert door.memory() - before < 30 * MB


def test_kubectl_says_so(door: Door) -> None:
    big = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "big"},
        "data": {"a": "x" * 4 * MB},
    }
    (door.shell.directory / "big.json").write_text(json.dumps(big))
    done = door.shell.run("kubectl create -f big.json")
    assert done.returncode == 1
    assert "(RequestEntityTooLarge)" in done.stdout
    assert "Request entity too large: limit is 3145728" in done.stdout


def test_what_is_compressed_stays_compressed(door: Door) -> None:
    door.forget_peak()
    before = door.memory()
    bomb = gzip.compress(b" " * BODY)
    with door.enter(door.context()) as sock:
        headers = ("Content-Type: application/json", "Content-Encoding: gzip")
        length = f"Content-Length: {len(bomb)}"
        sock.sendall(request("POST", CONFIGMAPS, *headers, length, "Connection: close") + bomb)
        code, body = answered(sock)
    assert (code, json.loads(body)["reason"]) == (400, "BadRequest")
    assert door.memory() - before < 10 * MB


@pytest.mark.parametrize(
    "sent",
    [
        request("GET", "/api/v1/" + "a" * 2 * MB),
        request("GET", "/api/v1/pods", "X-Long: " + "a" * MB),
        request("GET", "/api/v1/pods", *(f"X-{n}: a" for n in range(50_000))),
    ],
    ids=["URL", "header", "headers"],
)
def test_heads_without_end_are_refused(door: Door, sent: bytes) -> None:
    with door.enter(door.context()) as sock:
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            sock.sendall(sent)
        code, _ = answered(sock)
    assert code in (400, 414, 431)


# -- too slow ------------------------------------------------------------------------------


def test_half_open_connections_are_in_nobodys_way(door: Door) -> None:
    context, whole = door.context(), request("POST", CONFIGMAPS, "Content-Length: 1000")
    with contextlib.ExitStack() as open_:
        for number in range(200):
            open_.enter_context(door.connect())  # no handshake
            sock = open_.enter_context(door.enter(context))
            sock.sendall((b"", whole[:30], whole, whole + b"{")[number % 4])
        start = time.monotonic()
        assert "box" in door.shell("kubectl get pods")
        assert time.monotonic() - start < SOON


@pytest.mark.slow
def test_a_thousand_watchers_that_never_read(door: Door) -> None:
    context, before = door.context(), door.memory("VmRSS")
    with contextlib.ExitStack() as open_:
        client = open_.enter_context(contextlib.closing(Client(paths.api_socket(door.directory))))
        client.request("POST", CONFIGMAPS, _configmap("busy", ""))
        watchers = []
        for _ in range(1000):
            watchers.append(open_.enter_context(door.enter(context, receive_buffer=4096)))
            watchers[-1].sendall(request("GET", f"{CONFIGMAPS}?watch=1"))
        for number in range(10_000):
            client.request("PUT", f"{CONFIGMAPS}/busy", _configmap("busy", f"{number:02000}"))
        assert door.memory("VmRSS") - before < 400 * MB
        start = time.monotonic()
        assert "busy" in door.shell("kubectl get configmaps")
        assert time.monotonic() - start < SOON
        assert b'"code":410' in _last_line(watchers[500])  # what it missed is gone: list again
        client.request("DELETE", f"{CONFIGMAPS}/busy")


def _configmap(name: str, text: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"a": text}}


def _last_line(watcher: socket.socket) -> bytes:
    """What a watch says before its end, by a reader that has come to its senses."""
    last = b""
    while not last.endswith(b"0\r\n\r\n"):
        last = (last + watcher.recv(1 << 20))[-4000:]
    return last


# -- too soon gone -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [
        "exec -it page -- sleep 1000",
        "exec -i page -- sh -c 'sleep 1001 & sleep 1002'",
        "exec page -- sh -c 'trap \"\" TERM HUP; sleep 1003'",
        "attach -it box",
        "port-forward pod/page :80",
        "logs -f box",
    ],
)
@pytest.mark.parametrize("kubectl", ["oldest", "newest"])
def test_a_client_that_dies_leaves_nothing_behind(door: Door, command: str, kubectl: str) -> None:
    door.shell.use(list(installed().values())[0 if kubectl == "oldest" else -1])
    before = set(door.shell.here.processes())
    descriptors = door.calm_descriptors()
    ours, theirs = pty.openpty()
    client = door.shell.start(f"exec kubectl {command}", stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    try:
        if command.startswith("exec"):
            eventually(lambda: set(door.shell.here.processes()) - before, SOON)
        else:
            os.read(ours, 100)
            eventually(lambda: door.descriptors() > descriptors, SOON)
    finally:
        client.kill()
        client.wait()
        os.close(ours)
    eventually(lambda: set(door.shell.here.processes()) <= before, SOON)


# -- what there is not ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (
            "kubectl get --raw /apis/nobody.example/v1/things",
            "(NotFound): the server could not find the requested resource",
        ),
        ("kubectl get things", 'the server doesn\'t have a resource type "things"'),
        (
            "kubectl get deployments.v7.apps",
            'the server doesn\'t have a resource type "deployments"',
        ),
        ("kubectl frobnicate", 'unknown command "frobnicate"'),
        (
            "kubectl create -f - <<< '{apiVersion: nobody/v1, kind: Thing, metadata: {name: a}}'",
            'no matches for kind "Thing" in version "nobody/v1"',
        ),
    ],
)
def test_unknown_verbs_and_groups(door: Door, line: str, words: str) -> None:
    done = door.shell.run(line)
    assert done.returncode == 1
    assert words in done.stdout


@pytest.mark.parametrize("method", ["PROPFIND", "OPTIONS", "TRACE"])
def test_an_unknown_verb_on_the_wire(door: Door, method: str) -> None:
    with door.enter(door.context()) as sock:
        sock.sendall(request(method, "/api/v1/pods", "Connection: close"))
        code, body = answered(sock)
    assert (code, json.loads(body)["reason"]) == (405, "MethodNotAllowed")
