"""`netlab forward`: nodes' ports on one's own 127.0.0.1, with nothing changed on the machine."""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import subprocess
from collections.abc import Iterator

import pytest
from e2e.kubectls import Shell, shell
from e2e.labs import eventually

pytestmark = pytest.mark.root

LAB = """
apiVersion: netlab/v1
kind: Lab
metadata: {name: tutorial}
spec:
  nodes: [{name: master001, role: control-plane}, {name: worker001}]
---
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  nodeName: worker001
  containers:
  - {name: web, image: nginx, ports: [{containerPort: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  type: NodePort
  selector: {app: web}
  ports: [{port: 80, nodePort: 30642}]
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    with shell(tmp_path_factory.mktemp("forward"), LAB) as opened:
        yield opened


@contextlib.contextmanager
def forwarding(lab: Shell, *words: str) -> Iterator[list[int]]:
    """The ports on which it listens, one for each word."""
    with lab.here.start("forward", *words) as process:
        try:
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in words]
            yield [int(re.findall(r"127\.0\.0\.1:(\d+) -> ", line)[0]) for line in lines]
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == 0


def page(port: int) -> str:
    return subprocess.run(
        ["curl", "-sS", "--max-time", "5", f"127.0.0.1:{port}"],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip


def test_a_node_port_is_reached_from_one_s_own_terminal(lab: Shell) -> None:
    rules = subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True).stdout
    with forwarding(lab, "30642:worker001", "0:master001:30642") as (first, second):
        assert first == 30642
        for port in (first, second):
            assert "nginx" in page(port)
        now = subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True).stdout
        assert now == rules
        listening = subprocess.run(["ss", "-Hltn"], capture_output=True, text=True).stdout
        assert "127.0.0.1:30642" in listening
        assert "0.0.0.0:30642" not in listening
    with pytest.raises(subprocess.CalledProcessError):
        page(first)


def test_many_at_once_and_all_that_is_sent(lab: Shell) -> None:
    with forwarding(lab, "0:worker001:30642") as (port,), contextlib.ExitStack() as stack:
        socks = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port), 10))
            for _ in range(50)
        ]
        for sock in socks:
            sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
            sock.shutdown(socket.SHUT_WR)  # which is passed on, and ends nothing else
        for sock in socks:
            came = b""
            while chunk := sock.recv(65536):
                came += chunk
            assert b"nginx" in came


def test_a_port_that_nobody_answers_breaks_off_and_is_said(lab: Shell) -> None:
    with lab.here.start("forward", "0:worker001:31999") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        found = re.findall(r"127\.0\.0\.1:(\d+)", process.stdout.readline())
        with (
            socket.create_connection(("127.0.0.1", int(found[0])), 10) as sock,
            contextlib.suppress(ConnectionError),
        ):
            assert sock.recv(1) == b""
        assert "31999): Connection refused" in process.stderr.readline()
        process.terminate()
        assert process.wait(20) == 0


def test_a_port_in_use_is_said(lab: Shell) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = lab.here.netlab("forward", f"{port}:worker001", code=1)
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in done.stderr
    assert f"another port: netlab forward 0:worker001:{port}" in done.stderr


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["30642"], 2, '"30642" is not LOCAL:NODE[:PORT]'),
        (["x:worker001"], 2, '"x" is no port'),
        (["65536:worker001"], 2, '"65536" is no port'),
        (["0:worker001"], 2, "does not say to which port"),
        (["1:2:3:4"], 2, "is not LOCAL:NODE[:PORT]"),
        (["30642:nobody"], 1, 'lab tutorial has no node "nobody"'),
        ([], 2, "required"),
    ],
)
def test_what_cannot_be_forwarded(lab: Shell, words: list[str], code: int, said: str) -> None:
    assert said in lab.here.netlab("forward", *words, code=code).stderr


def test_it_outlives_the_pod_behind_it(lab: Shell) -> None:
    with forwarding(lab, "0:master001:30642") as (port,):
        assert "nginx" in page(port)
        lab("kubectl delete pod web --now")
        lab("kubectl run web --image nginx --labels app=web")
        lab("kubectl wait --for=condition=Ready pod/web --timeout=20s")

        def answers() -> bool:
            with contextlib.suppress(subprocess.CalledProcessError):
                return "nginx" in page(port)
            return False

        eventually(answers, 20)
