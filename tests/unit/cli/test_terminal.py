"""Everything that the command prints goes through one door."""

from __future__ import annotations

import argparse
import io
import logging
import sys
from pathlib import Path
from typing import Any

import pytest

from netlab.boot import Entries
from netlab.cli import main as entry
from netlab.cli import results, terminal
from netlab.cli.changes import edit_
from netlab.cli.lab import complete_
from netlab.cli.lab.complete_ import TypedLine, candidates
from netlab.cli.progress import Progress
from netlab.errors import NetlabError
from netlab.kernel import paths
from netlab.view.escape import escape

RED = "\x1b[31m"

Capture = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch


def verb(monkeypatch: Patch, does: Any) -> None:
    """Let `netlab get pods` do that."""
    monkeypatch.setattr("netlab.cli.objects.get_.run", does)


def test_what_verbs_print_is_escaped(monkeypatch: Patch, capsys: Capture) -> None:
    def does(_: argparse.Namespace) -> int:
        print(f"out {RED}")
        print(f"err {RED}", file=sys.stderr)
        raise NetlabError(f"the server says {RED}\r", hint=RED)

    verb(monkeypatch, does)
    assert entry.main(["get", "pods"]) == 1
    captured = capsys.readouterr()
    assert captured.out == "out ^[[31m\n"
    assert captured.err == "err ^[[31m\nerror: the server says ^[[31m\\r\n  hint: ^[[31m\n"


def test_words_of_the_command_line_too(tmp_path: Path, monkeypatch: Patch, capsys: Capture) -> None:
    monkeypatch.setenv(paths.RUN_VARIABLE, str(tmp_path))
    with pytest.raises(SystemExit):
        entry.main(["get", f"--{RED}"])
    assert entry.main(["get", RED]) == 2
    assert entry.main([RED]) == 2
    said = capsys.readouterr().err
    assert said == escape(said)
    assert said.count("^[[31m") >= 3


def test_what_programs_read_stays_as_it_is(monkeypatch: Patch, capsys: Capture) -> None:
    obj = {"metadata": {"name": "x"}, "text": f"{RED}\x9b\u200f"}

    def does(arguments: argparse.Namespace) -> int:
        results.show(obj, arguments.output)
        sys.stdout.flush()
        sys.stdout.buffer.write(RED.encode())
        return 0

    verb(monkeypatch, does)
    assert entry.main(["get", "pods", "-o", "yaml"]) == 0
    assert capsys.readouterr().out == f'metadata:\n  name: x\ntext: "\\e[31m\\x9B\u200f"\n{RED}'


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_moves_the_cursor_itself(monkeypatch: Patch) -> None:
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", terminal.escaped(screen))
    monkeypatch.setattr("netlab.cli.progress.DELAY", 0)
    with Progress() as progress:
        progress(f"waiting for {RED}\n")
        while "waiting" not in screen.getvalue():
            pass
    assert "waiting for ^[[31m\\n (" in screen.getvalue()
    assert screen.getvalue().endswith("\r\x1b[K")


@pytest.mark.parametrize(
    "name", [f"a{RED}", "a\n:files", "a b", "a;b", "a$(b)", "a\\", "'a", "a\u202e"]
)
def test_no_shell_is_offered_more_than_a_word(name: str, monkeypatch: Patch) -> None:
    def names(_line: TypedLine, _word: str) -> list[str]:
        return ["fine", name]

    monkeypatch.setattr(complete_, "_names", names)
    assert candidates(["get", "pods", ""]) == ["fine"]
    assert candidates(["get", "pods/"]) == ["pods/fine"]
    assert candidates(["rules", "--node="]) == ["--node=fine"]


def test_why_an_edit_was_refused_stays_a_comment() -> None:
    live = {"kind": "Pod", "metadata": {"name": "p"}}
    text = edit_._commented(live, NetlabError(f"{RED}\r\nkind: Secret\x85x"))
    assert text == escape(text)
    assert all(line.startswith("#") for line in text.splitlines())


def test_a_log_entry_is_no_two() -> None:
    def entry_of(message: str, error: BaseException | None = None) -> str:
        trouble = (type(error), error, None) if error else None
        record = logging.LogRecord("netlab", 20, "f", 1, message, (), trouble)
        return Entries("%(levelname)s %(message)s").format(record)

    assert entry_of(f"pod {RED}\r\nINFO forged") == "INFO pod ^[[31m\\r\n    INFO forged"
    assert entry_of("x", ValueError("a\nINFO b")) == "INFO x\n    ValueError: a\n    INFO b"
