"""`up` says what it waits for while it waits, and in the end which pod is not ready, and why."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e import manifests
from e2e.labs import ROOT, Machine, machine

pytestmark = pytest.mark.root

LAB = manifests.lab("slow")
POD = "---\napiVersion: v1\nkind: Pod\nmetadata: {name: %s}\nspec: %s\n"

GOOD = POD % ("good", "{containers: [{name: c, image: nginx}]}")
HOPELESS = {
    "nowhere": (
        "{nodeSelector: {disk: ssd}, containers: [{name: c, image: nginx}]}",
        "cannot be scheduled: 0/2 nodes are available: 1 node(s) didn't match",
    ),
    "no-config": (
        "{containers: [{name: c, image: nginx, envFrom: [{configMapRef: {name: missing}}]}]}",
        'container c: CreateContainerConfigError: configmap "missing" not found',
    ),
    "no-volume": (
        "{volumes: [{name: v, configMap: {name: missing}}], containers: "
        "[{name: c, image: nginx, volumeMounts: [{name: v, mountPath: /v}]}]}",
        'container c: ContainerCreating: MountVolume.SetUp failed for volume "v" : '
        'configmap "missing" not found',
    ),
    "failed": (
        "{restartPolicy: Never, containers: "
        '[{name: c, image: busybox, command: [sh, -c, "echo never >&2; exit 4"]}]}',
        'container c: Error: exit code 4; it last said: "never"',
    ),
}
JOB = (
    "---\napiVersion: batch/v1\nkind: Job\nmetadata: {name: lost}\nspec: {template: {spec: "
    "{restartPolicy: Never, containers: "
    '[{name: c, image: busybox, command: [sh, -c, "echo no luck; exit 5"]}]}}}\n'
)
UNREADY = POD % (
    "unready",
    "{containers: [{name: c, image: nginx, "
    "readinessProbe: {httpGet: {path: /, port: 81}, periodSeconds: 1}}]}",
)
REFUSED = (
    "pod default/unready: container c runs and is not ready: Readiness probe failed: "
    'Get "http://10.244.1.2:81/": dial tcp 10.244.1.2:81: connect: connection refused'
)
# What has no probe is ready from its start to its crash, and `up` may look just then.
CRASHING = POD % (
    "crashing",
    '{containers: [{name: c, image: busybox, command: [sh, -c, "echo no such config; exit 3"],'
    ' readinessProbe: {exec: {command: ["false"]}}}]}',
)


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Machine]:
    with machine(tmp_path) as here:
        yield here


def test_what_waiting_does_not_help_is_named_at_once(here: Machine) -> None:
    pods = [POD % (name, spec) for name, (spec, _) in HOPELESS.items()]
    done = here.netlab("up", here.lab_file("".join([LAB, GOOD, *pods])), code=1)
    assert "and waiting does not help" in done.stderr
    assert "pod/good created\n" in done.stdout
    assert "is up" not in done.stdout
    assert "error: lab slow is up, but after " in done.stderr
    for name, (_, why) in HOPELESS.items():
        assert f"  pod default/{name}: {why}" in done.stderr
    assert "default/good" not in done.stderr
    assert re.search(r"\n  hint: netlab describe pod [a-z-]+\n$", done.stderr)
    shown = here.netlab("status", code=1).stdout
    assert all(f"- pod default/{name}: {why}" in shown for name, (_, why) in HOPELESS.items())


def test_a_job_whose_pod_failed_is_not_waited_for(here: Machine) -> None:
    """Its next pod comes after ten seconds, and may do no better."""
    failed = here.netlab("up", here.lab_file(LAB + JOB), code=1, timeout=30)
    said = [one for one in failed.stderr.splitlines() if not one.endswith(" …")]
    (line,) = [one for one in said if "default/lost-" in one]
    assert line.endswith('container c: Error: exit code 5; it last said: "no luck"')


def test_what_somebody_else_has_put_there_is_not_waited_for(here: Machine) -> None:
    """Failed, hopeless or slow: what the file asks for is ready, and the lab is up."""
    file = here.lab_file(LAB + GOOD)
    here.netlab("up", file)
    failed, hopeless = (
        POD % ("failed", HOPELESS["failed"][0]),
        POD % ("nowhere", HOPELESS["nowhere"][0]),
    )
    others = here.lab_file(failed + hopeless + JOB + UNREADY, "others.yaml")
    here.netlab("apply", "-f", others)
    here.netlab("wait", "pod/failed", "--for=jsonpath={.status.phase}=Failed", "--timeout=30s")
    done = here.netlab("up", file, "--timeout=20s")
    assert "pod/good unchanged\nlab slow is up" in done.stdout
    assert "pod default/failed: container c" in here.netlab("status", code=1).stdout
    both = here.netlab("up", file, others, "--timeout=0", code=1).stderr
    assert "pod default/failed: container c" in both


def test_it_tells_what_it_waits_for_until_its_time_is_over(here: Machine) -> None:
    file = here.lab_file(LAB + UNREADY)
    done = here.netlab("up", file, "--timeout=4s", code=1)
    told = [line for line in done.stderr.splitlines() if line.endswith(" …")]
    assert f"waiting for {REFUSED} …" in told
    assert len(told) == len(set(told)), "said twice"
    assert f"this did not get ready:\n  {REFUSED}\n  hint: netlab describe pod" in done.stderr
    answer = json.loads(here.netlab("up", file, "--timeout=0", "-o", "json", code=1).stdout)
    assert answer["waitingFor"] == [REFUSED]
    assert "lab slow is up" in here.netlab("up", file, "--no-wait").stdout


def test_it_gives_up_on_what_has_crashed_three_times(here: Machine) -> None:
    done = here.netlab("up", here.lab_file(LAB + CRASHING), code=1)
    crash = "pod default/crashing: container c: CrashLoopBackOff: exit code 3, restarted"
    assert f"  {crash} 2 times" in done.stderr
    assert 'it last said: "no such config"' in done.stderr
    assert f"waiting for {crash} 1 time" in done.stderr


def test_a_wrong_timeout_touches_nothing(here: Machine) -> None:
    refused = here.netlab("up", here.lab_file(LAB), "--timeout=soon", code=2)
    assert "'soon' is no duration" in refused.stderr
    assert not (here.base / "run").exists()


@pytest.mark.parametrize("width", [60, 200])
def test_on_a_terminal_it_is_one_line_that_changes(here: Machine, width: int) -> None:
    file = here.lab_file(LAB + UNREADY)
    ours, theirs = pty.openpty()
    os.system(f"stty cols {width} rows 24 < {os.ttyname(theirs)}")
    argv = [sys.executable, "-m", "netlab", "up", str(file), "--timeout=3s"]
    with subprocess.Popen(
        argv, env=here.environment, cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs
    ) as command:
        os.close(theirs)
        text = _all_of(ours)
    here.note_owners()
    assert command.returncode == 1, text
    shown = [line for part in text.split("\n") for line in part.split("\r") if "waiting" in line]
    assert any("Readiness" in line for line in shown) or width == 60
    assert all(len(re.sub(r"\x1b\[K", "", line)) <= width for line in shown), shown
    after = text.rpartition("\x1b[K")[2]
    assert "lab slow is up, but after" in after.replace("\r\n    ", " ").replace("\r\n", " ")
    words = {word for line in after.split("\r\n") for word in line.split()}
    assert set(REFUSED.split()) <= words, "a word is broken"


def _all_of(descriptor: int) -> str:
    data = b""
    try:
        while part := os.read(descriptor, 65536):
            data += part
    except OSError:  # the other end is closed
        pass
    os.close(descriptor)
    return data.decode()


def test_an_interrupted_wait_says_what_becomes_of_the_lab(here: Machine) -> None:
    file = here.lab_file(LAB + UNREADY)
    with here.start("up", str(file)) as command:
        assert command.stderr is not None
        for line in command.stderr:
            if "Readiness" in line:
                break
        here.note_owners()
        command.send_signal(2)
        _, said = command.communicate(timeout=30)
    assert command.returncode == 130
    assert said.endswith("interrupted: lab slow is taken down again\n")
    here.netlab("up", file, "--no-wait")
    with here.start("up", str(file)) as command:
        assert command.stderr is not None
        command.stderr.readline()
        command.send_signal(2)
        _, said = command.communicate(timeout=30)
    assert said.endswith("interrupted: lab slow stays as far as it has come\n")
    assert "unready" in here.netlab("get", "pods").stdout
