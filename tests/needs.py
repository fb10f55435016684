"""What tests need of the machine, and what becomes of a test that cannot have it.

Who is not root has forgotten `sudo`: in CI that is a failure, elsewhere the test is skipped. What
the machine itself lacks, `netlab doctor` says; tests of just that are skipped with its words, and
stand among the last lines of the run.
"""

from __future__ import annotations

import os

import pytest

from netlab.kernel import cgroups, preflight, tools
from netlab.kernel.hierarchies import Lacking


def root() -> None:
    """Go on as root only."""
    if os.geteuid() != 0:
        refuse = pytest.fail if os.environ.get("CI") else pytest.skip
        refuse("needs root: sudo scripts/test")


def control_groups() -> None:
    """Go on where every controller can bound a pod."""
    lacking = [str(each) for each in cgroups.detect().values() if isinstance(each, Lacking)]
    if lacking:
        pytest.skip(f"netlab doctor: {'; '.join(lacking)}")


def drop_reasons() -> None:
    """Go on where the kernel says of one packet why it dropped it; CI's does."""
    finding = preflight.drop_reasons()
    if not finding.ok:
        refuse = pytest.fail if os.environ.get("CI") else pytest.skip
        refuse(f"netlab doctor: {finding.detail}")


def stream_module() -> None:
    """Go on where nginx can lead ports by TCP and UDP; CI's can."""
    program("nginx")
    program(tools.STREAMS)


def program(name: str) -> None:
    """Go on where a program is that only some labs want; CI has all of them."""
    for finding in tools.optional():
        if finding.name == name and not finding.ok:
            refuse = pytest.fail if os.environ.get("CI") else pytest.skip
            refuse(f"netlab doctor: {name} is {finding.detail}")
