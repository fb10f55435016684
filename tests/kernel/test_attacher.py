"""Many pods are attached by a process of their own; whatever becomes of it, they are attached."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from netlab.errors import KernelRefused
from netlab.kernel import netns, paths, process
from netlab.network.attacher import MANY, Attacher

pytestmark = pytest.mark.root


@pytest.fixture
def attacher(running):
    with closing(Attacher(running.directory)) as made:
        yield made


def pods_of(running, count, first=2):
    return [running.pod("worker001", f"p{n}", n) for n in range(first, first + count)]


def listening(attacher):
    """Have the process started, and wait until it does its work."""
    while not attacher._listens(MANY):
        time.sleep(0.01)
    return attacher._beside


def attached(attacher, pods):
    found = []
    failed = attacher.attach(pods, found.extend)
    return failed, found


def close_all(found):
    for each in found:
        os.close(each.descriptor)


def helpers(running):
    found = []
    for pid in process.owned(netns.owner(running.directory)):
        if b"netlab.network.attaching" in Path(f"/proc/{pid}/cmdline").read_bytes():
            found.append(pid)
    return found


def test_few_pods_need_no_process(running, attacher):
    failed, found = attached(attacher, pods_of(running, 2))
    close_all(found)
    assert failed == {} and len(found) == 2
    assert helpers(running) == []


def test_many_pods_are_attached_by_a_process_and_come_back_with_their_namespaces(
    running, attacher, monkeypatch
):
    listening(attacher)
    monkeypatch.setattr("netlab.network.apply.attach_pods", None)  # not here
    pods = pods_of(running, MANY)
    failed, found = attached(attacher, pods)
    assert failed == {}
    assert [each.pod for each in found] == pods
    for each in found:
        path = paths.namespace(running.directory, each.pod.name)
        assert netns.is_at(path, each.descriptor) and not os.get_inheritable(each.descriptor)
        assert each.number >= 0
    close_all(found)
    with running.listen("default.p2", "10.244.1.2", 80):
        assert running.connect(f"default.p{MANY}", "10.244.1.2", 80)[0] == f"10.244.1.{MANY}"
    attacher.close()
    assert helpers(running) == []


def test_a_refusal_comes_back_as_it_was(running, attacher):
    listening(attacher)
    good, bad = pods_of(running, 2)
    bad = replace(bad, port=replace(bad.port, name="a-name-much-too-long-for-a-link"))
    failed, found = attached(attacher, [good, bad])
    close_all(found)
    assert [each.pod for each in found] == [good]
    (error,) = failed.values()
    assert isinstance(error, KernelRefused) and "connect" in error.message and error.errno


def test_when_it_is_killed_the_pods_are_attached_here(running, attacher):
    beside = listening(attacher)
    os.kill(beside._process.pid, signal.SIGSTOP)
    os.kill(beside._process.pid, signal.SIGKILL)
    failed, found = attached(attacher, pods_of(running, 3))
    close_all(found)
    assert failed == {} and len(found) == 3
    assert helpers(running) == []


def test_what_it_had_begun_is_made_good_here(running, attacher):
    pods = pods_of(running, 3)
    netns.remove(paths.namespace(running.directory, pods[0].name))
    paths.namespace(running.directory, pods[1].name).touch()  # as one that was killed leaves it
    listening(attacher)
    failed, found = attached(attacher, pods)
    close_all(found)
    assert failed == {} and len(found) == 3


_PARENT = """
    import sys, time
    from pathlib import Path
    from netlab.network.attacher import MANY, Attacher
    attacher = Attacher(Path(sys.argv[1]))
    while not attacher._listens(MANY):
        time.sleep(0.01)
    print("listens", flush=True)
    time.sleep(60)
"""


def test_it_dies_with_whoever_started_it(running):
    command = [sys.executable, "-c", textwrap.dedent(_PARENT), str(running.directory)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout.readline() == "listens\n"
        assert len(helpers(running)) == 1
        parent.kill()
    while helpers(running):
        time.sleep(0.01)
