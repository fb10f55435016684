"""The controller that `up` starts before it knows the lab: it gets one, or goes with its `up`."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e import manifests
from e2e.labs import Machine, eventually, machine

from netlab.kernel import netns, paths, process

pytestmark = pytest.mark.root


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Machine]:
    with machine(tmp_path) as here:
        yield here


def controllers(here: Machine) -> set[int]:
    """Those started by commands of this test, with a lab and without."""
    place = f"{paths.RUN_VARIABLE}={here.base / 'run'}".encode()
    found = set()
    for pid in process.ids():
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes()
            if b"netlab.boot" in words and place in Path(f"/proc/{pid}/environ").read_bytes():
                found.add(pid)
        except OSError:  # it has ended
            continue
    return found


def lab_file(here: Machine, name: str) -> Path:
    return here.lab_file(manifests.lab(name, nodes=1), f"{name}.yaml")


def begun(here: Machine, *argv: str) -> tuple[subprocess.Popen[str], int]:
    """An `up` that has started a controller, and that one."""
    command = here.start(*argv)
    while not (found := controllers(here)):
        assert command.poll() is None, command.communicate()
    return command, found.pop()


def test_it_becomes_the_labs_controller(here: Machine) -> None:
    command, early = begun(here, "up", str(lab_file(here, "one")))
    out, err = command.communicate(timeout=60)
    assert command.returncode == 0, out + err
    here.note_owners()
    directory = here.base / "run" / "one"
    assert controllers(here) == {early}
    assert int(paths.controller_pid(directory).read_text()) == early
    assert process.mark_of(early) == netns.owner(directory)


@pytest.mark.parametrize(
    ("text", "code"),
    [("kind: Lab\n", 2), ("apiVersion: v1\nkind: Namespace\nmetadata: {name: x}\n", 2)],
    ids=["mistaken", "no-lab"],
)
def test_it_is_gone_before_an_up_that_fails(here: Machine, text: str, code: int) -> None:
    command, early = begun(here, "up", str(here.lab_file(text)))
    command.communicate(timeout=60)
    assert command.returncode == code
    assert not Path(f"/proc/{early}").exists()
    assert not (here.base / "run").exists()


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_it_does_not_outlive_an_up_that_is_killed(here: Machine, sent: signal.Signals) -> None:
    silent = here.base / "fifo"
    os.mkfifo(silent)
    command, early = begun(here, "up", str(silent))
    command.send_signal(sent)
    command.communicate(timeout=60)
    eventually(lambda: not controllers(here), 5.0)
    assert early not in controllers(here)


def test_one_that_is_killed_is_not_missed(here: Machine) -> None:
    file = here.base / "fifo"
    os.mkfifo(file)
    command, early = begun(here, "up", str(file))
    os.kill(early, signal.SIGKILL)
    file.write_text(manifests.lab("one", nodes=1))
    out, err = command.communicate(timeout=60)
    here.note_owners()
    assert command.returncode == 0, out + err
    (controller,) = controllers(here)
    assert controller != early
    assert process.mark_of(controller) == netns.owner(here.base / "run" / "one")


def test_where_a_lab_is_up_none_is_started_for_nothing(here: Machine) -> None:
    here.netlab("up", lab_file(here, "one"))
    (first,) = controllers(here)
    with here.start("up", str(here.base / "one.yaml")) as command:
        seen = set()
        while command.poll() is None:
            seen |= controllers(here)
            time.sleep(0.002)
    assert command.returncode == 0
    assert seen == {first}
    here.netlab("up", lab_file(here, "two"))
    assert len(controllers(here)) == 2
