"""What a process does with its labs, where no lab has to come up for it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from netlab import lab as lives
from netlab.errors import EnvironmentLacks
from netlab.kernel import paths
from netlab.testing import runs
from netlab.testing.labs import Labs


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(paths.RUN_VARIABLE, str(tmp_path / "run"))
    monkeypatch.setenv(paths.NETNS_DIR_VARIABLE, str(tmp_path / "netns"))
    return tmp_path


def test_a_lab_that_is_down_is_not_taken_down_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By then its name is that of somebody else's lab."""
    monkeypatch.setattr(lives, "down", lambda *_, **__: pytest.fail("somebody else's"))
    gone: Any = type("Gone", (), {"name": "shop", "close": lambda _: None})()
    labs = Labs(lambda: tmp_path)
    labs.down(gone)
    labs.close()
    labs.close()


def test_without_root_nothing_is_made(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(EnvironmentLacks, match="a lab needs root"):
        Labs(lambda: place).up(["lab.yaml"])
    assert list(place.iterdir()) == []


def test_a_process_has_a_place_of_its_own_while_it_lives(place: Path) -> None:
    base = runs.base_directory()
    assert base == place / "run-tests"
    with runs.own(base) as (first, swept), runs.own(base) as (second, _):
        assert swept == []
        assert first != second
        assert paths.run_dir() == second / "labs"
        assert paths.netns_dir() == second / "netns"
    assert paths.run_dir() == place / "run"
    assert not base.exists()
