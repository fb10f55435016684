"""`netlab trace --follow`: connections that others open, told as they come."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Iterator

import pytest
from e2e.labs import Machine, machine
from e2e.test_trace import LAB, OBJECTS

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
    assert command.returncode == 0, err
    stories = [json.loads(line) for line in out.splitlines()]
    assert len(stories) == 2
    for told in stories:
        assert told["from"] == "default/box"
        assert (told["verdict"], told["toldBy"], told["agree"]) == ("delivered", "kernel", True)
        assert told["packet"]["destination"] == f"{address}:80"
        assert told["deliveredTo"] in ("default/near", "default/far")
        assert any(chain["met"] for chain in told["chains"])


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


@pytest.mark.parametrize("more", ["--udp", "--http /", "--payload x", "--source-port 5"])
def test_what_it_cannot_be_asked(lab: Machine, more: str) -> None:
    done = lab.netlab("trace", "box", "svc/web:80", "--follow", *more.split(), code=2)
    assert "--follow tells of TCP connections" in done.stderr
