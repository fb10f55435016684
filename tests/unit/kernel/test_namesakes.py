"""`netlab doctor` tells of others' commands and packages called netlab."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

import pytest

from netlab.kernel import namesakes
from netlab.kernel.finding import Finding

OURS = "#!/usr/bin/python3\nimport sys\nfrom netlab.__main__ import main\nsys.exit(main())\n"
NETWORKLAB = "#!/usr/bin/python3\nimport sys\nfrom netsim.cli import main\nsys.exit(main())\n"


def command(directory: Path, text: str, mode: int = 0o755) -> str:
    directory.mkdir()
    (directory / "netlab").write_text(text)
    (directory / "netlab").chmod(mode)
    return str(directory)


def told(monkeypatch: pytest.MonkeyPatch, *directories: str) -> list[Finding]:
    monkeypatch.setenv("PATH", os.pathsep.join(directories))
    return namesakes.findings()


def test_it_is_called_what_pip_knows_it_by() -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())
    assert project["project"]["name"] == namesakes.DISTRIBUTION


def test_our_own_commands_are_in_nobodys_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    venv = command(tmp_path / "venv", OURS)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "netlab").symlink_to(f"{venv}/netlab")
    file = command(tmp_path / "file", NETWORKLAB, mode=0o644)
    (found,) = told(monkeypatch, str(tmp_path / "bin"), venv, "", file, str(tmp_path / "nowhere"))
    assert found.ok


def test_anothers_command_in_front_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs, ours = command(tmp_path / "theirs", NETWORKLAB), command(tmp_path / "ours", OURS)
    (found,) = told(monkeypatch, theirs, ours)
    assert not found.ok and not found.required
    assert found.detail.startswith(f"{theirs}/netlab is another program, and what one gets")
    assert "networklab" in found.fix


def test_anothers_command_behind_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs, ours = command(tmp_path / "theirs", NETWORKLAB), command(tmp_path / "ours", OURS)
    (found,) = told(monkeypatch, ours, theirs, theirs)
    assert found.detail == f"{theirs}/netlab is another program, behind {ours}/netlab on the PATH"
    assert not found.required and not found.fix


def test_anothers_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netlab").mkdir()
    (tmp_path / "netlab" / "__init__.py").touch()  # else Python 3.12 takes it for uninstalled
    for name in ("templater", namesakes.DISTRIBUTION):
        info = tmp_path / f"{name.replace('-', '_')}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "RECORD").write_text("netlab/__init__.py,,\n")
    monkeypatch.syspath_prepend(tmp_path)
    (found,) = told(monkeypatch, "")
    assert found.detail.startswith("the distribution templater has a Python package netlab too")
    assert not found.ok and not found.required
    assert "pip uninstall templater" in found.fix
