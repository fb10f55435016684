"""Whatever happened to a lab, `netlab down` leaves the machine as it was: snapshots prove it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from e2e import manifests
from e2e.labs import TOPOLOGIES, Machine, eventually, greeting, machine

from netlab.kernel import netns, paths, syscalls

pytestmark = pytest.mark.root

QUICKSTART = str(TOPOLOGIES / "quickstart.yaml")
POD = "quickstart.default.client-pod"

Changes = Callable[[], list[str]]


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Machine]:
    with machine(tmp_path) as here:
        yield here


@pytest.fixture
def linked(tmp_path: Path) -> Iterator[Machine]:
    """Whose labs lie on a file system of their own, in a directory that a link leads to."""
    disk, link = tmp_path / "disk", tmp_path / "link"
    disk.mkdir()
    syscalls.mount("tmpfs", disk, "tmpfs")
    try:
        (disk / "labs").mkdir()
        link.symlink_to("disk/labs")
        with machine(link) as here:
            yield here
    finally:
        syscalls.unmount(disk)


@pytest.fixture
def changes(here: Machine) -> Changes:
    """What is otherwise on the machine than before the test."""
    return here.mark()


def controller(here: Machine) -> int:
    """The process id of the quickstart's controller."""
    directory = here.base / "run" / "quickstart"
    return int(paths.controller_pid(directory).read_text())


def test_down_leaves_nothing(here: Machine, changes: Changes) -> None:
    here.netlab("up", QUICKSTART)
    assert changes() != [], "a lab that is up must show, or this proves nothing"
    assert here.processes()
    here.netlab("down")
    assert changes() == []
    assert list(here.base.iterdir()) == []


def test_the_machine_itself_is_not_touched_while_a_lab_runs(here: Machine) -> None:
    """But for the lab's own names and mounts nothing differs: no link, rule, sysctl or file."""
    changes = here.mark()
    here.netlab("up", QUICKSTART)
    here.netlab("check")
    own = ("netns names:", "labs:", "mounts:", "processes:", "control groups:")
    assert [line for line in changes() if not line.startswith(own)] == []


def test_a_lab_below_a_link(linked: Machine) -> None:
    """It is one lab by either name of its directory."""
    changes = linked.mark()
    linked.netlab("up", QUICKSTART)
    page = linked.netlab("exec", "client-pod", "--", "curl", "-s", "hostname-svc-clusterip:8080")
    assert greeting(page.stdout).startswith("hostname-deployment-")
    os.kill(controller(linked), signal.SIGKILL)
    direct = Machine(linked.base.resolve())
    direct.netlab("up", QUICKSTART)
    linked.netlab("check", "--only", "client-to-nodeport-master001")
    assert "lab quickstart: running" in linked.netlab("doctor").stdout
    direct.netlab("down")
    assert changes() == []
    assert list(linked.base.iterdir()) == []


def test_down_twice(here: Machine, changes: Changes) -> None:
    here.netlab("up", QUICKSTART)
    here.netlab("down")
    again = here.netlab("down", code=1)
    assert "no lab is running" in again.stderr
    here.netlab("down", "--all")
    assert changes() == []


def test_after_the_controller_was_killed(here: Machine, changes: Changes) -> None:
    here.netlab("up", QUICKSTART)
    os.kill(controller(here), signal.SIGKILL)
    here.netlab("down")
    assert changes() == []


def test_after_everything_was_killed(here: Machine, changes: Changes) -> None:
    here.netlab("up", QUICKSTART)
    for pid in here.processes():
        with contextlib.suppress(ProcessLookupError):  # one that ended with another of them
            os.kill(pid, signal.SIGKILL)
    here.netlab("down")
    assert changes() == []


def test_after_the_lab_was_worked_with(here: Machine, changes: Changes) -> None:
    """Pods that came and went, an exec that runs, a check: nothing of them stays either."""
    here.netlab("up", QUICKSTART)
    here.netlab("scale", "deploy/hostname-deployment", "--replicas=6")
    here.netlab("run", "brief", "--image=busybox", "--", "sleep", "1000")
    here.netlab("scale", "deploy/hostname-deployment", "--replicas=1")
    with here.start("exec", "client-pod", "--", "sleep", "1000") as command:
        eventually(lambda: sum(_argv(pid) == "sleep 1000" for pid in _all_processes()) >= 1)
        here.netlab("down")
        command.wait(5)
    assert changes() == []


@pytest.mark.parametrize("moment", [0.05, 0.15, 0.3, 0.4, 0.5, 0.6])
def test_after_up_was_killed(here: Machine, changes: Changes, moment: float) -> None:
    with here.start("up", QUICKSTART) as command:
        time.sleep(moment)
        here.note_owners()
        command.kill()
    here.note_owners()
    here.netlab("down", "--all")
    assert changes() == []


@pytest.mark.parametrize("moment", [0.1, 0.3, 0.5])
def test_an_interrupted_up_takes_itself_down(
    here: Machine, changes: Changes, moment: float
) -> None:
    with here.start("up", QUICKSTART) as command:
        time.sleep(moment)
        here.note_owners()
        command.send_signal(signal.SIGINT)
        _, said = command.communicate(timeout=20)
    # 130, or where Python has not yet begun to listen for it: ended by the signal itself
    assert command.returncode in (130, 0, -signal.SIGINT)
    # its own, when that came while it was still starting
    assert "Traceback" not in said or (command.returncode < 0 and "in main" not in said)
    if command.returncode == 0:  # it was faster than the signal
        here.netlab("down")
    assert changes() == []


@pytest.mark.parametrize("moment", [0.1, 0.3, 0.5])
def test_down_during_up(here: Machine, changes: Changes, moment: float) -> None:
    """Up fails, with words, and does not bring back what down took away."""
    with here.start("up", QUICKSTART) as command:
        time.sleep(moment)
        here.note_owners()
        here.netlab("down", "--all")
        _, said = command.communicate(timeout=30)
    here.note_owners()
    assert "Traceback" not in said
    if command.returncode == 0:  # down came before there was anything, or up was done already
        here.netlab("down", "--all")
    assert changes() == []


def test_with_a_process_of_the_user_in_a_pod(here: Machine, changes: Changes) -> None:
    """It is not ours to end: it stays, in a namespace that has no name any more."""
    here.netlab("up", QUICKSTART)
    with netns.entered(here.namespace(POD)):
        visitor = subprocess.Popen(["sleep", "1000"])
    try:
        here.netlab("down")
        assert visitor.poll() is None
        assert changes() == []
    finally:
        visitor.kill()
        visitor.wait()


def test_with_a_shell_in_the_labs_directory(here: Machine, changes: Changes) -> None:
    here.netlab("up", QUICKSTART)
    visitor = subprocess.Popen(["sleep", "1000"], cwd=here.base / "run" / "quickstart")
    try:
        here.netlab("down")
        assert visitor.poll() is None
        assert changes() == []
    finally:
        visitor.kill()
        visitor.wait()


def test_two_labs_side_by_side(here: Machine, changes: Changes) -> None:
    """The same addresses in both; neither sees the other, and one down leaves the other up."""
    text = Path(QUICKSTART).read_text()
    other = here.lab_file(text.replace("name: quickstart}", "name: other}"), "other.yaml")
    here.netlab("up", QUICKSTART)
    here.netlab("up", other)
    refused = here.netlab("get", "pods", code=2)
    assert "--lab" in refused.stderr
    here.netlab("down", "--lab", "quickstart")
    assert greeting(here.curl("other.client", "172.16.110.20:30080")).startswith("hostname-")
    assert "PASS" in here.netlab("check", "--only", "node-to-clusterip").stdout
    here.netlab("down")
    other.unlink()
    assert changes() == []


def test_down_all(here: Machine, changes: Changes) -> None:
    for name in ("one", "two"):
        file = here.lab_file(manifests.lab(name, nodes=1))
        here.netlab("up", file)
        file.unlink()
    done = here.netlab("down", "--all")
    assert "lab one is down" in done.stdout
    assert "lab two is down" in done.stdout
    assert changes() == []


def _all_processes() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _argv(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").strip()
    except OSError:
        return ""
