"""Test runs that begin and end at the same time, in the directory that they share."""

from __future__ import annotations

from pathlib import Path

import pytest

from netlab.testing import runs


def test_the_last_one_leaves_the_directory_to_one_that_comes_just_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base, unlink = tmp_path / "netlab-tests", Path.unlink

    def and_the_next_one_comes(path: Path, missing_ok: bool = False) -> None:
        unlink(path, missing_ok)
        if path == base / ".lock":
            path.touch()

    monkeypatch.setattr(Path, "unlink", and_the_next_one_comes)
    with runs.own(base):
        pass
    assert [entry.name for entry in base.iterdir()] == [".lock"]
