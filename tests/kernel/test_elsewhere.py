"""A lab that is not seen from another mount namespace is found by its processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from netlab.kernel import elsewhere, netns, process

pytestmark = pytest.mark.root

_LOOK = """
from netlab.cli.main import main
from netlab.kernel import elsewhere
for one in elsewhere.labs():
    print(one.name, one.pid)
raise SystemExit(main(["down", NAME]))
"""


@pytest.fixture
def child(lab_dir: Path) -> Iterator[process.Process]:
    """A process of a lab that has nothing else."""
    owner = netns.owner(lab_dir)
    assert owner
    started = process.spawn(["sleep", "100"], owner=owner)
    yield started
    started.end()


def unseen(lab_dir: Path, hide: str) -> subprocess.CompletedProcess[str]:
    """What somebody finds in a mount namespace of his own, without the lab's file system."""
    look = f"exec {sys.executable} -c '{_LOOK.replace('NAME', chr(34) + lab_dir.name + chr(34))}'"
    argv = ["unshare", "--mount", "sh", "-c", f"{hide} && {look}"]
    return subprocess.run(argv, capture_output=True, text=True, check=False, env=dict(os.environ))


@pytest.mark.parametrize(
    "hide",
    ["umount -l {lab}", "mount -t tmpfs none {base}"],
    ids=["the lab's own", "the directory of all labs"],
)
def test_a_lab_that_is_not_seen_is_named_and_not_said_to_be_down(
    lab_dir: Path, child: process.Process, hide: str
) -> None:
    found = unseen(lab_dir, hide.format(lab=lab_dir, base=lab_dir.parent))
    assert f"{lab_dir.name} {child.pid}" in found.stdout.splitlines()
    assert found.returncode != 0 and "is down" not in found.stdout
    assert f"lab {lab_dir.name} lies in another mount namespace" in found.stderr
    assert f"nsenter --target {child.pid} --mount netlab down {lab_dir.name}" in found.stderr
    assert child.poll() is None and netns.owner(lab_dir) is not None, "nothing was touched"


def test_what_is_seen_is_not_elsewhere(lab_dir: Path, child: process.Process) -> None:
    assert lab_dir.name not in [one.name for one in elsewhere.labs()]
    elsewhere.require_here(lab_dir)
