"""What `netlab doctor` says of a container, seen in such surroundings."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from e2e.labs import eventually

from netlab.kernel import preflight, surroundings

pytestmark = pytest.mark.root

OVERLAYS = "from netlab.kernel import surroundings; print(surroundings.overlays())"
# Two of ours in all, whether or not what is there is one already.
STACK = """
mount -t tmpfs none /tmp
mkdir /tmp/one /tmp/two
mount -t overlay -o lowerdir=/tmp/one:/usr none /usr
test "$0" = one || mount -t overlay -o lowerdir=/tmp/two:/usr none /usr || true
shift 0
exec "$@"
"""


def seen_under(overlays: str) -> str:
    argv = ["unshare", "--mount", "sh", "-ec", STACK, overlays, sys.executable, "-c", OVERLAYS]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def test_overlays_that_leave_no_room_for_one_more() -> None:
    assert surroundings.overlays().ok
    found = seen_under("two")
    assert "ok=False" in found
    assert "required=False" in found
    assert "cannot mount" in found or "mount: /usr" in found


@pytest.mark.parametrize(
    ("argv", "collects"),
    [
        (["sleep", "60"], False),
        (["bash", "-c", "trap : CHLD; sleep 60; :"], True),
        (["env", "--ignore-signal=CHLD", "sleep", "60"], True),
    ],
    ids=["sleep", "shell", "ignoring"],
)
def test_who_collects_orphans(argv: list[str], collects: bool) -> None:
    named = f", {argv[0].replace('env', 'sleep')},"
    with subprocess.Popen(argv) as first:
        try:
            status = Path(f"/proc/{first.pid}/status")
            # Until it is the program itself, and has said what it heeds.
            eventually(
                lambda: (
                    named in (found := surroundings.init(status)).detail and found.ok == collects
                )
            )
            finding = surroundings.init(status)
        finally:
            first.kill()
    assert not finding.required
    assert bool(finding.fix) == (not collects)


def test_where_modules_are_to_be_loaded_is_said() -> None:
    here = surroundings.modules_can_be_loaded()
    assert surroundings.modules().ok == here
    assert surroundings.modprobe("a").startswith("modprobe" if here else "on the machine itself")
    assert surroundings.modprobe("a", "b").endswith("modprobe -a a b")


def test_doctor_says_all_of_it() -> None:
    names = [finding.name for finding in preflight.checks()]
    assert set(names) >= {"kernel modules", "init", "overlays", "memory bound"}
