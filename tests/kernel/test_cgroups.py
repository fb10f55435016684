"""What one pod does to its bounds stays its own affair: of memory, of processes, of a lab's whole.

Nothing here starts without having been seen to be inside a group that is limited.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import needs
import pytest
import snapshot
from e2e.labs import eventually

from netlab.errors import KernelRefused
from netlab.kernel import cgroups, netns, paths, preflight, process, teardown
from netlab.kernel.cgroups import Groups, Limits
from netlab.kernel.hierarchies import GroupHome
from netlab.workload.bounds import Bounds, Tmpfs, rlimits

pytestmark = pytest.mark.root

MIB = 1 << 20
LAB = Limits(memory=256 * MIB, pids=200)
POD = Limits(memory=64 * MIB, pids=40)

# Enters the groups given as arguments and goes on only if a limit holds in each of them.
ENTER = """
import os, sys, time
from pathlib import Path
for procs in map(Path, sys.argv[1:]):
    limits = [procs.with_name(name) for name in
              ("memory.limit_in_bytes", "memory.max", "pids.max")]
    for limit in filter(Path.exists, limits):
        assert int(limit.read_text()) <= 1 << 30, limit
    procs.write_text("0")
    assert str(os.getpid()) in procs.read_text().split()
print("in", flush=True)
"""
SLEEP = "time.sleep(100)"
BOMB = """
while True:
    try:
        os.fork()
    except BlockingIOError:
        pass
"""
HOG = """
held = []
while True:
    held.append(b"x" * 1048576)
"""
FORK_OFTEN = """
for _ in range(20):
    child = os.fork()
    if not child:
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
print("done")
"""


def hold(mebibytes: int) -> str:
    return f"held = b'x' * {mebibytes << 20}\nprint('held', flush=True)\n{SLEEP}"


@pytest.fixture(autouse=True)
def controllers() -> None:
    needs.control_groups()


@pytest.fixture
def owner() -> Iterator[str]:
    """The uid of a lab of which nothing is left afterwards."""
    owner = str(uuid.uuid4())
    yield owner
    left = cgroups.lab_groups(owner)
    Groups(owner).remove()
    assert left == []


@pytest.fixture
def groups(owner: str) -> Iterator[Groups]:
    groups = Groups(owner)
    groups.ensure_lab(LAB)
    yield groups
    groups.remove()


@contextlib.contextmanager
def running(procs: list[Path], code: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """A process inside these groups."""
    assert {file.name for path in procs for file in limit_files(path)} & {"pids.max"}
    assert {file.name for path in procs for file in limit_files(path)} - {"pids.max"}
    child = subprocess.Popen(
        [sys.executable, "-c", ENTER + code, *map(str, procs)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **environment},
        text=True,
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "in\n", child.communicate()[1]
        yield child
    finally:
        child.kill()
        child.communicate()


def says(child: subprocess.Popen[str], line: str) -> None:
    assert child.stdout is not None
    assert child.stdout.readline() == f"{line}\n"


def test_a_fork_bomb_is_held_and_its_neighbour_forks(groups):
    with running(groups.ensure_pod("bomb", POD), BOMB):
        eventually(lambda: groups.events("bomb").forks_refused > 100)
        assert len(groups.members("bomb")) <= POD.pids
        with running(groups.ensure_pod("neighbour", POD), FORK_OFTEN) as neighbour:
            says(neighbour, "done")
        assert groups.events("neighbour").forks_refused == 0
        groups.remove_pod("bomb")
    assert groups.members("bomb") == []


def test_who_takes_too_much_memory_is_killed_and_its_neighbour_is_not(groups):
    with running(groups.ensure_pod("neighbour", POD), SLEEP) as neighbour:
        with running(groups.ensure_pod("hog", POD), HOG) as hog:
            assert hog.wait(30) == -signal.SIGKILL
        assert groups.events("hog") == cgroups.Events(oom_kills=1)
        assert groups.events("neighbour") == cgroups.Events()
        assert neighbour.poll() is None


def test_what_is_written_to_a_tmpfs_counts_as_the_pods_memory(groups, tmp_path):
    """In a mount namespace of its own. What the tmpfs itself refuses is an error and no more."""
    script = f"""
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
assert libc.unshare(0x20000) == 0
assert libc.mount(None, b"/", None, 0x44000, None) == 0
here = Path("{tmp_path}")
def mount(options):
    assert libc.mount(b"t", bytes(here), b"tmpfs", 0, options) == 0
def write():
    with (here / "full").open("wb") as file:
        for _ in range(128):
            file.write(b"x" * 1048576)
            file.flush()
def touch():
    for number in range(100_000):
        (here / str(number)).touch()
for fill in (write, touch):
    mount(b"{Tmpfs(16 * MIB).options}")
    try:
        fill()
    except OSError as error:
        print(error.strerror, flush=True)
mount(b"{Tmpfs(128 * MIB).options}")
write()
"""
    with running(groups.ensure_pod("writer", POD), script) as writer:
        says(writer, "No space left on device")
        says(writer, "No space left on device")
        assert writer.wait(30) == -signal.SIGKILL
    assert groups.events("writer").oom_kills == 1


def test_without_controllers_processes_have_limits_of_their_own(groups):
    """As a pod's first process has them: root of a user namespace whose users are its own."""
    bounds = Bounds(48 * MIB, 20, {}, {})
    script = f"""
import ctypes, resource
libc = ctypes.CDLL(None, use_errno=True)
asks, answers = os.pipe(), os.pipe()
child = os.fork()
if child:
    os.read(asks[0], 1)
    for name in ("uid_map", "gid_map"):
        Path(f"/proc/{{child}}/{{name}}").write_text("0 1879048192 65536")
    os.write(answers[1], b"x")
    sys.exit(os.waitpid(child, 0)[1])
assert libc.unshare(0x10000000) == 0
os.write(asks[1], b"x"), os.read(answers[0], 1)
os.setresgid(0, 0, 0), os.setresuid(0, 0, 0)
for name, value in {rlimits(bounds.memory, bounds.pids, ())}.items():
    resource.setrlimit(getattr(resource, name), (value, value))
try:
    held = b"x" * {bounds.memory}
except MemoryError:
    print("no memory", flush=True)
children = []
try:
    while len(children) < 30:
        if not (child := os.fork()):
            time.sleep(30)
        children.append(child)
except BlockingIOError:
    print("no process", flush=True)
for child in children:
    os.kill(child, 9)
"""
    with running(groups.ensure_pod("p", POD), script) as pod:
        says(pod, "no memory")
        says(pod, "no process")
        assert pod.wait(30) == 0
    assert groups.events("p") == cgroups.Events()


def test_the_labs_own_memory_limit_holds_over_its_pods(owner):
    groups = Groups(owner)
    groups.ensure_lab(Limits(memory=96 * MIB, pids=200))
    big = Limits(memory=80 * MIB, pids=40)
    with running(groups.ensure_pod("a", big), hold(40)) as first:
        says(first, "held")
        with running(groups.ensure_pod("b", big), hold(70)) as second:
            eventually(lambda: first.poll() or second.poll(), 30)
            killed = [groups.events(uid).oom_kills for uid in "ab"]
            assert sum(killed) == 1
            used = [groups.usage(uid).memory or 0 for uid in "ab"]
            assert sum(used) <= 96 * MIB
    groups.remove()


def test_the_labs_own_limit_of_processes_holds_over_its_pods(owner):
    groups = Groups(owner)
    groups.ensure_lab(Limits(memory=256 * MIB, pids=50))
    pod = Limits(memory=128 * MIB, pids=40)
    with running(groups.ensure_pod("a", pod), BOMB), running(groups.ensure_pod("b", pod), BOMB):
        eventually(lambda: sum(len(groups.members(uid)) for uid in "ab") > 40)
        for _ in range(50):
            now = [groups.usage(uid).pids or 0 for uid in "ab"]
            assert sum(now) <= 50 + 2  # two looks, one after the other
            time.sleep(0.005)
        groups.remove()


def test_a_pod_is_limited_anew_up_and_down(groups):
    for limits in (POD, Limits(128 * MIB, 80), Limits(32 * MIB, 20)):
        procs = groups.ensure_pod("p", limits)
        with running(procs, SLEEP):
            files = {file.name: file.read_text() for path in procs for file in limit_files(path)}
        assert {name: int(text) for name, text in files.items() if "swap.max" not in name} == {
            name: limits.pids if name == "pids.max" else limits.memory
            for name in files
            if "swap.max" not in name
        }


def limit_files(procs: Path) -> list[Path]:
    names = ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "memory.max", "pids.max")
    return [file for name in names if (file := procs.with_name(name)).exists()]


def test_what_holds_is_known_by_name(groups):
    assert groups.held >= {"memory", "pids"}


def test_an_adopted_lab_keeps_its_limits(groups, owner):
    again = Groups(owner)
    again.ensure_lab(Limits(memory=32 * MIB, pids=10))
    for group in cgroups.lab_groups(owner):
        values = [int(file.read_text()) for file in limit_files(group / "cgroup.procs")]
        assert set(values) <= {LAB.memory, LAB.pids}


def test_a_group_that_cannot_be_limited_lets_nothing_in(groups):
    with pytest.raises(KernelRefused, match="cannot bound pod p by the"):
        groups.ensure_pod("p", Limits(memory=1, pids=-5))


def test_a_pod_before_its_lab_is_refused(owner):
    with pytest.raises(KernelRefused, match="cannot bound pod p"):
        Groups(owner).ensure_pod("p", POD)


@pytest.mark.parametrize("name", ["", "..", "a/b", "/", "tasks\0", "a.b", "a\n", "x" * 300])
def test_names_that_are_no_names(groups, name):
    with pytest.raises(KernelRefused, match="cannot be the name"):
        groups.ensure_pod(name, POD)
    with pytest.raises(KernelRefused, match="cannot be the name"):
        groups.remove_pod(name)
    with pytest.raises(KernelRefused, match="cannot be the name"):
        Groups(name)
    assert cgroups.lab_groups(name) == []


def test_removing_ends_what_runs_there_and_works_twice(groups, owner):
    with running(groups.ensure_pod("p", POD), SLEEP) as child:
        groups.remove_pod("p")
        assert child.wait(5) == -signal.SIGKILL
        groups.remove_pod("p")
    with running(groups.ensure_pod("q", POD), BOMB):
        groups.remove()
        groups.remove()
    assert cgroups.lab_groups(owner) == []
    assert groups.events("q") == cgroups.Events()
    assert groups.usage("q") == cgroups.Usage()


def test_groups_half_made_go_too(owner):
    places = [each for each in cgroups.detect().values() if isinstance(each, GroupHome)]
    (places[-1].top / f"netlab-{owner}").mkdir()
    Groups(owner).remove()
    groups = Groups(owner)
    groups.ensure_lab(LAB)
    (places[0].top / f"netlab-{owner}" / "podp").mkdir()
    groups.remove()


def test_teardown_ends_what_is_in_the_groups_and_no_other_labs(lab_dir, groups):
    own = Groups(netns.owner(lab_dir) or "")
    own.ensure_lab(LAB)
    bystander = running(groups.ensure_pod("p", POD), SLEEP)
    with running(own.ensure_pod("p", POD), SLEEP) as child, bystander as other:
        teardown.teardown(lab_dir)
        assert child.wait(5) is not None
        assert other.poll() is None
        assert groups.members("p") == [other.pid]


def test_what_is_in_a_labs_group_carries_its_mark(groups, owner):
    """Whatever its environment says: a pod's is the pod's own."""
    with running(groups.ensure_pod("p", POD), SLEEP, **{process.OWNER_VARIABLE: "another"}) as one:
        assert process.owned(owner) == [one.pid]
        assert process.owned("another") == []
        process.end_owned(owner)
        assert one.wait(5) is not None


def test_teardown_stops_a_bomb_that_carries_the_labs_mark(lab_dir):
    owner = netns.owner(lab_dir) or ""
    groups = Groups(owner)
    groups.ensure_lab(LAB)
    mark = {process.OWNER_VARIABLE: owner}
    with running(groups.ensure_pod("p", Limits(128 * MIB, 100)), BOMB, **mark):
        eventually(lambda: groups.events("p").forks_refused)
        teardown.teardown(lab_dir)
    assert process.owned(owner) == []
    assert cgroups.lab_groups(owner) == []


def test_what_was_killed_while_it_made_groups_leaves_nothing(tmp_path):
    script = """
from netlab.kernel import cgroups, netns, paths
groups = cgroups.Groups(netns.LabMount(paths.lab_dir("t")).ensure())
print(flush=True)
groups.ensure_lab(cgroups.Limits(1 << 28, 200))
for number in range(1000):
    groups.ensure_pod(str(number), cgroups.Limits(1 << 26, 40))
"""
    made = []
    for delay in (0.0, 0.0005, 0.002, 0.03):
        child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(delay)
        child.kill()
        child.communicate()
        owner = netns.owner(paths.lab_dir("t")) or ""
        made.append(cgroups.lab_groups(owner))
        teardown.teardown(paths.lab_dir("t"))
        assert cgroups.lab_groups(owner) == []
    assert made[-1]


def test_snapshots_see_groups(groups, owner):
    before = snapshot.take()
    groups.ensure_pod("p", POD)
    new = [line for line in before.difference(snapshot.take()) if owner in line]
    assert new
    assert all(line.startswith("control groups: + ") for line in new)
    assert all(line.endswith(f"/netlab-{owner}/podp {owner}") for line in new)


def test_doctor_tries_the_bounds_and_leaves_nothing():
    findings = {finding.name: finding for finding in preflight.bounds(cgroups.detect())}
    assert list(findings) == ["memory bound", "pids bound", "cpu bound", "disk bound"]
    assert all(finding.ok for finding in findings.values())
    assert "the memory controller of cgroup v" in findings["memory bound"].detail
