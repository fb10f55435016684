"""A lab in a container of the kind that CI jobs run in: what is not there is done without."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e import manifests
from e2e.labs import ROOT, Machine, machine

pytestmark = pytest.mark.root

LAB = (
    manifests.lab("job")
    + """\
---
{apiVersion: v1, kind: Pod, metadata: {name: web, labels: {app: web}},
 spec: {containers: [{name: c, image: nginx}]}}
"""
    + manifests.service()
    + manifests.box("box")
)
# In namespaces of its own, where the shell is process 1. `$0` is the lab's file.
JOB = """
netlab() { "$PYTHON" -m netlab "$@"; }
netlab doctor | grep "^note  memory bound: each process of a pod by RLIMIT_DATA"
netlab up "$0"
netlab wait --for=condition=Ready pod/box pod/web --timeout=30s
netlab exec box -- curl -sS --max-time 5 web
netlab down
test ! -e "$NETLAB_RUN/job"
grep -c " $NETLAB_RUN" /proc/self/mountinfo || echo nothing is left
"""
READ_ONLY = """
for m in $(grep -o '/sys/fs/cgroup[^ ]*' /proc/self/mounts | sort -u)
do mount -o remount,bind,ro $m; done
"""


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Machine]:
    with machine(tmp_path) as here:
        yield here


@pytest.mark.parametrize(
    "prepare",
    [
        "! mountpoint -q /sys/fs/cgroup || umount -R /sys/fs/cgroup",
        READ_ONLY,
        "mount -t tmpfs none /sys/fs/cgroup",
    ],
    ids=["no-control-groups", "read-only-control-groups", "covered"],
)
def test_a_lab_in_a_bare_container(here: Machine, prepare: str) -> None:
    argv = ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "--uts", "--ipc"]
    argv += ["sh", "-ec", prepare + JOB, str(here.lab_file(LAB))]
    done = subprocess.run(
        argv,
        env={**here.environment, "PYTHON": sys.executable},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Hello" in done.stdout or "nginx" in done.stdout, done.stdout
    assert done.stdout.endswith("nothing is left\n"), done.stdout + done.stderr
