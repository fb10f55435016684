"""A process of the lab that stands still (kill -STOP) hangs what it does; that is said, and over
when it goes on."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e import manifests
from e2e.labs import KUBE_DNS, Machine, eventually, machine

from netlab.kernel import paths, process

pytestmark = pytest.mark.root

LAB = manifests.lab("still", nodes=1) + manifests.box("shell")

SECONDS = 30.0


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with machine(tmp_path_factory.mktemp("still")) as here:
        here.netlab("up", here.lab_file(LAB))
        yield here
        here.netlab("down")


def directory(lab: Machine) -> Path:
    return lab.base / "run" / "still"


def own(lab: Machine) -> list[int]:
    """The lab's own processes but for the controller; those of pods have no such mark."""
    lab.note_owners()
    controller = int(paths.controller_pid(directory(lab)).read_text())
    marked = {pid for owner in lab.owners for pid in process.owned(owner)} - {controller}
    return [pid for pid in marked if is_server(pid)]


def is_server(pid: int) -> bool:
    words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return words[0].startswith(b"netlab ") or words[0].endswith(b"dnsmasq")


def test_all_that_stand_still_are_named_until_they_go_on(lab: Machine) -> None:
    stopped = own(lab)
    assert len(stopped) == 6  # responder, runtime, two for names, two dnsmasqs
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        eventually(lambda: named(lab) == set(stopped), SECONDS)
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
    eventually(lambda: not named(lab), SECONDS)
    assert lab.resolve("still.master001", "kubernetes.default.svc.cluster.local", server=KUBE_DNS)
    assert lab.netlab("exec", "shell", "--", "echo", "on").stdout == "on\n"


def named(lab: Machine) -> set[int]:
    with lab.start("status") as command:
        out, _ = command.communicate()
    lines = " ".join(out.split()).split("- ")
    silent = [line for line in lines if "does not answer" in line]
    return {int(line.partition("(process ")[2].partition(")")[0]) for line in silent}


def test_a_controller_that_stands_still_is_named(lab: Machine) -> None:
    controller = int(paths.controller_pid(directory(lab)).read_text())
    os.kill(controller, signal.SIGSTOP)
    try:
        said = " ".join(lab.netlab("status", code=1).stdout.split())
        found = " ".join(lab.netlab("doctor").stdout.split())
    finally:
        os.kill(controller, signal.SIGCONT)
    assert f"runs, but does not answer: it is stopped, or hangs (process {controller}" in said
    assert f"its process {controller} is stopped" in found
    assert f"fix: kill -CONT {controller}" in found
    lab.status()
