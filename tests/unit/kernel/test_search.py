"""Programs are found as `shutil` finds them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from netlab.kernel.search import which


@pytest.fixture
def path(tmp_path: Path) -> str:
    for place, names in {"first": ("only", "both"), "second": ("both", "other")}.items():
        for name in names:
            file = tmp_path / place / name
            file.parent.mkdir(exist_ok=True)
            file.touch(0o755)
    (tmp_path / "first" / "other").touch(0o644)
    (tmp_path / "first" / "nothing").mkdir()
    return f"{tmp_path}/first{os.pathsep}{tmp_path}/missing{os.pathsep}{tmp_path}/second"


@pytest.mark.parametrize("program", ["only", "both", "other", "nothing", "missing", "first/only"])
def test_it_is_where_shutil_finds_it(path: str, program: str) -> None:
    assert which(program, path) == shutil.which(program, path=path)


@pytest.mark.parametrize("name", ["only", "other", "nothing"])
def test_a_path_is_itself_or_no_program(path: str, name: str) -> None:
    program = f"{path.partition(os.pathsep)[0]}/{name}"
    assert which(program, path) == shutil.which(program, path=path)
    assert (which(program, "") is None) == (name != "only")
