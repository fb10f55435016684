"""`netlab trace --follow`: what others begin, told as it comes."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest
from e2e.labs import KUBE_DNS, Machine, machine
from e2e.test_trace import LAB, OBJECTS

from netlab.cli.main import main
from netlab.kernel import netns
from netlab.pathcheck.capture import Capture
from netlab.pathcheck.decode import Observation

pytestmark = pytest.mark.root


@pytest.fixture(scope="module", params=["iptables: nft", "proxyMode: nftables"])
def lab(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Machine]:
    with machine(tmp_path_factory.mktemp("followed")) as here:
        here.netlab("up", str(here.lab_file(LAB % request.param + OBJECTS)))
        yield here


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """What is started may be interrupted, also where we ourselves, in the background, may not."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def following(lab: Machine, *words: str) -> Iterator[subprocess.Popen[str]]:
    """One that waits by now."""
    with lab.start("trace", *words, "--follow") as command:
        try:
            yield command
        finally:
            command.kill()


def waits(command: subprocess.Popen[str]) -> None:
    assert command.stderr is not None
    assert select.select([command.stderr], [], [], 20)[0]
    assert "waiting for" in command.stderr.readline()


def curl(lab: Machine, place: str, target: str) -> None:
    lab.run_in(f"traced.{place}", "curl", "-s", "-m", "2", "-o", "/dev/null", target, check=False)


@contextlib.contextmanager
def noise(lab: Machine, place: str, target: str) -> Iterator[None]:
    """Others who connect to the same all the time."""
    stop = threading.Event()

    def go() -> None:
        while not stop.is_set():
            curl(lab, place, target)

    thread = threading.Thread(target=go)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def until_told(lab: Machine, command: subprocess.Popen[str], place: str, target: str) -> None:
    """Connect until one has been told of: who waits has said so a moment before he does."""
    deadline = time.monotonic() + 30
    while command.poll() is None and time.monotonic() < deadline:
        curl(lab, place, target)
        time.sleep(0.05)


def test_the_next_connection_is_told_as_one_that_was_sent(lab: Machine) -> None:
    """By its own rules, among those of others to the same Service."""
    address = lab.netlab("get", "svc", "web", "-o", "jsonpath={.spec.clusterIP}").stdout
    with (
        noise(lab, "default.near", address),
        following(lab, "box", "svc/web:80", "--count", "2", "-o", "json") as command,
    ):
        waits(command)
        until_told(lab, command, "default.box", address)
        out, err = command.communicate(timeout=20)
    assert command.returncode == 0, out + err
    stories = [json.loads(line) for line in out.splitlines()]
    assert len(stories) == 2
    for told in stories:
        assert told["from"] == "default/box"
        assert (told["verdict"], told["toldBy"], told["agree"]) == ("delivered", "kernel", True)
        assert told["packet"]["destination"] == f"{address}:80"
        assert told["deliveredTo"] in ("default/near", "default/far")
        assert any(chain["met"] for chain in told["chains"])


@pytest.mark.parametrize("place", ["default.box", "worker001"])
def test_one_that_comes_as_the_instruments_are_proved_is_told_whole(
    lab: Machine, place: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What its rules were is told before anybody waits for it."""
    address = lab.netlab("get", "svc", "web", "-o", "jsonpath={.spec.clusterIP}").stdout
    proving = Capture.prove

    def proved(capture: Capture) -> list[Observation]:
        seen = proving(capture)
        curl(lab, place, address)
        return seen

    monkeypatch.setattr(Capture, "prove", proved)
    for name in ("NETLAB_RUN", "NETLAB_NETNS_DIR"):
        monkeypatch.setenv(name, lab.environment[name])
    sender = "box" if place == "default.box" else f"node/{place}"
    code = main(["trace", sender, "svc/web:80", "--follow", "--count", "1", "-o", "json"])
    out = capsys.readouterr().out
    assert code == 0, out
    assert (json.loads(out)["verdict"], json.loads(out)["agree"]) == ("delivered", True), out


def asked_by_datagrams(lab: Machine, place: str, target: str, sockets: int) -> None:
    """The DNS is asked from so many ports, and from the first of them over and over."""
    script = (
        "import socket, time\n"
        "question = bytes.fromhex('1f2e01000001000000000000') + b'\\3web\\7default\\3svc"
        "\\7cluster\\5local\\0\\0\\1\\0\\1'\n"
        f"asking = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range({sockets})]\n"
        "for each in (asking[0], asking[0], *asking):\n"
        "    each.settimeout(2)\n"
        f"    each.connect(({target!r}, 53))\n"
        "    each.send(question)\n"
        "    each.recv(512)\n"
        "    time.sleep(0.01)\n"
    )
    lab.run_in(f"traced.{place}", sys.executable, "-c", script)


@pytest.mark.parametrize("place", ["default.box", "worker001"])
def test_the_next_flow_of_datagrams_is_told(lab: Machine, place: str) -> None:
    """By a pod, and by a node, whose packets are seen behind its own rules."""
    sender = "box" if place == "default.box" else f"node/{place}"
    words = [sender, f"{KUBE_DNS}:53", "--udp", "--count", "1", "-o", "json"]
    with following(lab, *words) as command:
        waits(command)
        deadline = time.monotonic() + 30
        while command.poll() is None and time.monotonic() < deadline:
            asked_by_datagrams(lab, place, KUBE_DNS, 3)
        out, err = command.communicate(timeout=20)
    assert command.returncode == 0, out + err
    told = json.loads(out)
    assert (told["verdict"], told["toldBy"], told["agree"]) == ("delivered", "kernel", True), out
    assert told["packet"]["protocol"] == "udp"
    assert told["packet"]["destination"] == f"{KUBE_DNS}:53"
    assert any(chain["met"] for chain in told["chains"])
    assert told["reply"]["what"] == "a datagram"


def test_later_datagrams_of_a_flow_are_not_told(lab: Machine) -> None:
    """One that was there before is told of by nobody."""
    stop = threading.Event()
    with netns.entered(lab.namespace("traced.default.box")):
        asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    asking.connect((KUBE_DNS, 53))
    asking.send(b"netl")

    def go() -> None:
        while not stop.wait(0.02):
            asking.send(b"again")

    words = ["box", f"{KUBE_DNS}:53", "--udp", "-o", "json"]
    thread = threading.Thread(target=go)
    with asking, following(lab, *words) as command:
        thread.start()
        try:
            waits(command)
            time.sleep(1.5)
            os.killpg(command.pid, signal.SIGINT)
            out, err = command.communicate(timeout=20)
        finally:
            stop.set()
            thread.join()
    assert out == "", out
    assert command.returncode == 0, out + err


def test_a_node_s_connections_are_told_as_they_were_opened(lab: Machine) -> None:
    """What is seen of them goes to an endpoint."""
    address = lab.netlab("get", "svc", "web", "-o", "jsonpath={.spec.clusterIP}").stdout
    with following(lab, "node/worker001", "svc/web:80", "--count", "1", "-o", "json") as command:
        waits(command)
        until_told(lab, command, "worker001", address)
        out, err = command.communicate(timeout=20)
    assert command.returncode == 0, out + err
    told = json.loads(out)
    assert (told["verdict"], told["agree"]) == ("delivered", True), out
    assert told["packet"]["destination"] == f"{address}:80"


def test_it_ends_as_it_is_told_to_and_leaves_nothing(lab: Machine) -> None:
    before = lab.run_in("traced.worker001", "nft", "list", "tables").stdout
    with following(lab, "client", "node/worker001:30080") as command:
        waits(command)
        os.killpg(command.pid, signal.SIGINT)
        _, err = command.communicate(timeout=20)
    assert command.returncode == 0, err
    assert "Traceback" not in err
    with following(lab, "client", "node/worker001:30080") as command:
        waits(command)
        command.kill()
        command.communicate(timeout=20)
    assert lab.run_in("traced.worker001", "nft", "list", "tables").stdout == before


def test_a_pod_that_goes_meanwhile_is_said(lab: Machine) -> None:
    pod = "metadata: {name: brief}\nspec: {containers: [{name: web, image: nginx}]}"
    file = lab.lab_file(f"apiVersion: v1\nkind: Pod\n{pod}\n", "pod.yaml")
    lab.netlab("apply", "-f", str(file))
    lab.netlab("wait", "pod", "brief", "--for", "condition=Ready")
    with following(lab, "brief", "svc/web:80") as command:
        waits(command)
        lab.netlab("delete", "pod", "brief")
        _, err = command.communicate(timeout=30)
    assert command.returncode == 2
    assert "default/brief went away meanwhile" in err


@pytest.mark.parametrize("more", ["--sctp", "--http /", "--payload x", "--source-port 5"])
def test_what_it_cannot_be_asked(lab: Machine, more: str) -> None:
    done = lab.netlab("trace", "box", "svc/web:80", "--follow", *more.split(), code=2)
    assert "--follow tells of what others begin by TCP or UDP" in done.stderr
