"""Linters are tests: style, types, layers and shell scripts are held like any other promise."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted(
    path
    for folder in ("scripts", ".ci")
    for path in (ROOT / folder).iterdir()
    if path.is_file() and path.read_bytes()[:40].partition(b"\n")[0].endswith((b"bash", b"sh"))
)


def run(*argv: str) -> None:
    found = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True)
    if found.returncode:
        pytest.fail(f"{' '.join(argv)}:\n{found.stdout}{found.stderr}", pytrace=False)


def tool(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


def test_ruff():
    run(tool("ruff"), "check", ".")


def test_format():
    run(tool("ruff"), "format", "--check", ".")


def test_types():
    run(tool("mypy"))


def test_layers():
    run(tool("lint-imports"), "--no-cache")


def test_there_are_shell_scripts():
    assert {path.name for path in SCRIPTS} >= {"setup", "demo", "test", "run"}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_shellcheck(script):
    run("shellcheck", str(script))
