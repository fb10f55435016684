"""What pods leave behind, and those who were to take it away."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from netlab.agents.pod_network import PodNetwork
from netlab.kernel import paths

pytestmark = pytest.mark.root


def deep(directory: Path, depth: int) -> None:
    """Directories one inside the other, deeper than Python's stack."""
    directory.mkdir(parents=True)
    here = os.open(directory, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)


def test_files_too_deep_to_remove_do_not_stop_the_sweep(running):
    for uid in ("a", "deep", "z"):
        deep(paths.pod(running.directory, uid), 1500 if uid == "deep" else 3)
    assert PodNetwork(running.lab, running.directory).sweep([], running.network.names) == []
    left = {entry.name for entry in paths.pod(running.directory, "any").parent.iterdir()}
    assert left <= {"deep"}
