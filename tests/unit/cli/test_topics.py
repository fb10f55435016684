"""`netlab help TOPIC`: the pages that come with netlab."""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from netlab.cli import main as entry
from netlab.cli.topics import topics
from netlab.cli.verbs import VERBS

Capture = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch

ROOT = Path(__file__).parents[3]
NAMES = (
    "architecture",
    "causes",
    "decisions",
    "fields",
    "ingress",
    "kernel",
    "kube-proxy",
    "kubernetes-api",
    "performance",
    "pictures",
    "proofs",
    "real-nodes",
    "testing",
    "tracing",
    "watching",
    "map",
)


def test_every_page_is_a_topic_with_a_name_of_its_own() -> None:
    assert tuple(topics()) == NAMES
    assert topics().keys() & VERBS.keys() == set()
    assert all(topic.summary for topic in topics().values())


def test_help_lists_them(capsys: Capture) -> None:
    entry.main(["help"])
    out = capsys.readouterr().out
    assert all(f"\n  {one.name:<16}{one.summary}" in out for one in topics().values())


@pytest.mark.parametrize("width", [60, 80, 100, 200])
@pytest.mark.parametrize("name", NAMES)
def test_a_page_fits_and_has_no_marks(
    name: str, width: int, monkeypatch: Patch, capsys: Capture
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    assert entry.main(["help", name]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 20
    assert [line for line in lines if len(line) > min(width, 100)] == []
    assert [line for line in lines if any(mark in line for mark in ("`", "**", "](", "|--"))] == []


@pytest.mark.parametrize("name", NAMES[:-1])
def test_code_of_a_page_is_whole_at_60_columns(name: str) -> None:
    code = [line for line in topics()[name].path.read_text().splitlines() if line[:4] == "    "]
    assert [line for line in code if len(line) > 60] == []


def test_pages_name_each_other_by_the_command(capsys: Capture) -> None:
    entry.main(["help", "architecture"])
    assert "(netlab help kube-proxy)" in capsys.readouterr().out.replace("\n", " ")


@pytest.mark.parametrize(
    ("word", "meant"),
    [("architektur", "architecture"), ("rols", "rules"), ("kube-prox", "kube-proxy")],
)
def test_what_is_neither_gets_a_guess(word: str, meant: str, capsys: Capture) -> None:
    assert entry.main(["help", word]) == 2
    said = f"error: there is no verb or topic '{word}'\n  hint: did you mean 'netlab help {meant}'?"
    assert capsys.readouterr().err.strip() == said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["create", "token"], "kubectl has it: netlab kubectl create token …"),
        (["auth"], "kubectl has it: netlab kubectl auth --help"),
        (["rollout", "udno"], "did you mean 'netlab rollout undo'?"),
    ],
)
def test_a_part_that_is_none_of_ours_is_told(words: list[str], said: str, capsys: Capture) -> None:
    assert entry.main(["help", *words]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    "verb", ["exec", "shell", "run", "create deployment", "create job", "create cronjob"]
)
def test_usage_tells_where_a_command_stands(verb: str, capsys: Capture) -> None:
    entry.main(["help", *verb.split()])
    assert "[-- COMMAND" in capsys.readouterr().out.partition("\n\n")[0]


def test_a_topic_without_help_gets_a_hint(capsys: Capture) -> None:
    assert entry.main(["architecture"]) == 2
    assert "did you mean 'netlab help architecture'?" in capsys.readouterr().err


class TestPager:
    """On a terminal of its own, with a pager that keeps what it gets."""

    @pytest.fixture
    def kept(self, tmp_path: Path) -> Path:
        return tmp_path / "kept"

    @pytest.fixture
    def pager(self, tmp_path: Path, kept: Path) -> str:
        script = tmp_path / "pager"
        script.write_text(f'#!/bin/sh\ntrap "" INT\nkill -INT $PPID\ncat >{kept}\n')
        script.chmod(0o755)
        return str(script)

    def test_shows_what_is_longer_than_the_screen(self, pager: str, kept: Path) -> None:
        """And its reader's Ctrl-C is no end of netlab."""
        assert on_a_terminal(40, pager) == (0, "")
        assert kept.read_text().startswith("Decisions: what was chosen")

    def test_is_not_asked_for_what_fits(self, pager: str, kept: Path) -> None:
        code, said = on_a_terminal(400, pager)
        assert (code, said[:10]) == (0, "Decisions:")
        assert not kept.exists()

    @pytest.mark.parametrize("none", ["", "/nonexistent/pager -R", "'unfinished"])
    def test_may_be_missing(self, none: str) -> None:
        code, said = on_a_terminal(40, none)
        assert (code, said[:10]) == (0, "Decisions:")

    def test_is_none_in_a_pipe(self, pager: str, kept: Path) -> None:
        done = subprocess.run(COMMAND, env=environment(pager), capture_output=True, text=True)
        assert done.stdout.startswith("Decisions:")
        assert not kept.exists()


COMMAND = [sys.executable, "-m", "netlab", "help", "decisions"]


def environment(pager: str) -> dict[str, str]:
    ours = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES")}
    return {**ours, "PAGER": pager, "PYTHONPATH": str(ROOT)}


def on_a_terminal(lines: int, pager: str) -> tuple[int, str]:
    """The exit code and what the terminal shows."""
    ours, its = os.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", lines, 80, 0, 0))
    process = subprocess.Popen(COMMAND, env=environment(pager), stdout=its, stdin=its)
    os.close(its)
    said = b""
    try:
        while piece := os.read(ours, 1 << 16):
            said += piece
    except OSError:  # the terminal's other end is closed
        pass
    os.close(ours)
    return process.wait(timeout=60), said.decode()
