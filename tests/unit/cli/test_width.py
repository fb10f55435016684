"""What is printed fits the terminal, whatever that is, and breaks no word at its edge."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from netlab.cli import main as entry
from netlab.cli import terminal
from netlab.cli.lab import up_
from netlab.cli.packets.check_ import _print
from netlab.cli.verbs import VERBS
from netlab.errors import InputError, NetlabError, Problem
from netlab.manifest import load
from netlab.pathcheck.result import CheckResult

TOPOLOGIES = Path(__file__).parents[3] / "topologies"

WIDTHS = (60, 80, 110, 200)

Capture = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch


class Screen(io.StringIO):
    """A terminal that remembers."""

    def isatty(self) -> bool:
        return True


def terminal_of(monkeypatch: Patch) -> Screen:
    """Standard output and error are one terminal from now on."""
    screen = Screen()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setattr(sys, "stderr", screen)
    return screen


@pytest.fixture(autouse=True)
def usual_terminal(monkeypatch: Patch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")


VERB_NAMES = [
    name for verb in VERBS.values() for name in (verb.name, *(part.name for part in verb.parts))
]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("verb", ["", *VERB_NAMES])
def test_help_fits(verb: str, width: int, monkeypatch: Patch, capsys: Capture) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    assert entry.main(["help", *verb.split()]) == 0
    out = capsys.readouterr().out
    assert [line for line in out.splitlines() if len(line) > width] == []
    assert "netlab" in out


@pytest.mark.parametrize("verb", VERB_NAMES)
def test_examples_stand_apart_in_all_helps(verb: str, capsys: Capture) -> None:
    entry.main(["help", *verb.split()])
    out = capsys.readouterr().out
    _, _, examples = out.partition("Examples:\n\n")
    for line in examples.partition("\n\n")[0].splitlines():
        assert line.startswith("    "), line


def test_a_note_that_does_not_fit_goes_below_its_example() -> None:
    text = "Examples:\n\n    netlab get pods    which is what one types first of all\n"
    assert entry.fitted(text, 50) == (
        "Examples:\n\n    netlab get pods\n        which is what one types first of all\n"
    )
    long = "Examples:\n\n    netlab get pods --namespace kube-system\n"
    assert entry.fitted(long, 40) == (
        "Examples:\n\n    netlab get pods \\\n        --namespace kube-system\n"
    )


LONG = "/a/very/long/name/of/a/file/that/somebody/has.yaml:12: spec.ports[0].nodePort: is not right"


@pytest.mark.parametrize("width", WIDTHS)
def test_errors_break_no_word(width: int, monkeypatch: Patch) -> None:
    screen = terminal_of(monkeypatch)
    monkeypatch.setenv("COLUMNS", str(width))

    def does(_: object) -> int:
        raise NetlabError(f"{LONG} because of this and that", hint="write something else " * 5)

    monkeypatch.setattr("netlab.cli.objects.get_.run", does)
    assert entry.main(["get", "pods"]) == 1
    said = screen.getvalue()
    words = set(f"error: {LONG} because of this and that hint: write something else".split())
    assert set(said.split()) == words
    longest = max(map(len, words))
    assert max(map(len, said.splitlines())) <= max(width, longest + 8)


def test_errors_in_a_log_stay_in_one_line(monkeypatch: Patch, capsys: Capture) -> None:
    monkeypatch.setenv("COLUMNS", "60")

    def does(_: object) -> int:
        raise NetlabError(LONG * 3)

    monkeypatch.setattr("netlab.cli.objects.get_.run", does)
    entry.main(["get", "pods"])
    assert capsys.readouterr().err == f"error: {LONG * 3}\n"


RESULT = CheckResult("web", "a check", "fail", reasons=("nobody answers on any of the nodes " * 3,))


def test_a_verdict_has_its_colour_and_no_word_is_broken(monkeypatch: Patch) -> None:
    screen = terminal_of(monkeypatch)
    monkeypatch.setattr(terminal, "width", lambda: 60)
    _print(RESULT)
    _print(CheckResult("fine", "a check", "pass", outcome="reachable"))
    said = screen.getvalue()
    assert said.startswith("\x1b[31mFAIL\x1b[0m web | nobody answers")
    assert said.endswith("\x1b[32mPASS\x1b[0m fine: reachable\n")
    assert max(map(len, said.replace("\x1b[31m", "").replace("\x1b[0m", "").splitlines())) <= 65
    assert said.count("nobody answers on any of") == 3 or "\n    " in said


@pytest.mark.parametrize("width", WIDTHS)
def test_doctor_and_next_steps_fit(width: int, monkeypatch: Patch) -> None:
    monkeypatch.delenv("SUDO_USER", raising=False)  # a command that is too long stays whole
    monkeypatch.setattr(terminal, "width", lambda: width)
    screen = terminal_of(monkeypatch)
    entry.main(["doctor"])
    up_._say_what_next(load([TOPOLOGIES / "quickstart.yaml"]))
    lines = screen.getvalue().splitlines()
    assert [line for line in lines if len(line) > width and " " in line.strip()[:width]] == []
    assert "next:" in lines


@pytest.mark.parametrize("variable", [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_no_colour_where_none_is_wanted(variable: tuple[str, str], monkeypatch: Patch) -> None:
    screen = terminal_of(monkeypatch)
    monkeypatch.setenv(*variable)
    _print(RESULT)
    assert "\x1b" not in screen.getvalue()


def test_no_colour_in_a_log(capsys: Capture) -> None:
    _print(RESULT)
    assert capsys.readouterr().out.startswith("FAIL web | nobody")


def test_advice_is_for_who_reads_it(monkeypatch: Patch, capsys: Capture) -> None:
    def does(_: object) -> int:
        raise NetlabError("no", hint="sudo netlab up FILE, or sudo ip netns exec x")

    monkeypatch.setattr("netlab.cli.objects.get_.run", does)
    monkeypatch.delenv("SUDO_USER", raising=False)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    entry.main(["get", "pods"])
    assert capsys.readouterr().err.endswith("hint: netlab up FILE, or ip netns exec x\n")
    monkeypatch.setenv("SUDO_USER", "her")
    entry.main(["get", "pods"])
    assert capsys.readouterr().err.endswith("hint: sudo netlab up FILE, or sudo ip netns exec x\n")
    monkeypatch.delenv("SUDO_USER")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    entry.main(["get", "pods"])
    assert "sudo netlab up" in capsys.readouterr().err


def test_a_long_hint_is_given_once() -> None:
    kinds = "kinds are " + ", ".join(f"Kind{number}" for number in range(21))
    problems = [Problem("f.yaml", line, "kind", "unknown kind", kinds) for line in range(1, 12)]
    problems += [
        Problem("f.yaml", line, "x", "is no text", "write it in quotes") for line in (1, 2)
    ]
    said = str(InputError(problems))
    assert said.count(kinds) == 1
    assert said.count("unknown kind") == 11
    assert said.count("write it in quotes") == 2


def test_ctrl_c_is_answered(monkeypatch: Patch, capsys: Capture) -> None:
    def does(_: object) -> int:
        raise KeyboardInterrupt("lab web is taken down again")

    monkeypatch.setattr("netlab.cli.objects.get_.run", does)
    assert entry.main(["get", "pods"]) == 130
    assert capsys.readouterr().err == "interrupted: lab web is taken down again\n"


def test_kubectl_knows_which_lab(monkeypatch: Patch) -> None:
    seen = list[tuple[str | None, list[str]]]()
    monkeypatch.setattr(
        "netlab.cli.lab.kubectl_.run_words", lambda lab, words: seen.append((lab, words)) or 0
    )
    for words in (
        ["kubectl", "--lab", "a", "get", "pods", "-n", "x"],
        ["kubectl", "get", "pods", "--lab=a", "-n", "x"],
        ["--lab", "a", "kubectl", "get", "pods", "-n", "x"],
    ):
        assert entry.main(words) == 0
    assert seen == [("a", ["get", "pods", "-n", "x"])] * 3
    entry.main(["kubectl", "exec", "p", "--", "netlab", "--lab", "b"])
    assert seen[-1] == (None, ["exec", "p", "--", "netlab", "--lab", "b"])
