"""One lock for the life of a lab, which comes and goes with it."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from netlab.kernel import basedir, lablock, lock, netns, paths

pytestmark = pytest.mark.root


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """Where labs go in these tests."""
    return tmp_path


@contextlib.contextmanager
def child_with(directory: Path, *, dies: bool = False) -> Iterator[int]:
    """Another process that has the lab; or that had it and was killed."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        with lablock.held(directory, "netlab up"):
            os.write(writer, b"1")
            time.sleep(60)
        os._exit(0)
    os.read(reader, 1)
    if dies:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    yield child
    if not dies:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    os.close(reader)
    os.close(writer)


def test_nothing_is_left_of_a_lock_without_a_lab(base: Path) -> None:
    with lablock.held(paths.lab_dir("a"), "netlab up"):
        assert lablock.holder(paths.lab_dir("a")) == f"process {os.getpid()} (netlab up)"
    assert list(base.iterdir()) == []
    assert lablock.holder(paths.lab_dir("a")) == ""


def test_a_lab_keeps_its_lock(base: Path) -> None:
    directory = paths.lab_dir("a")
    with lablock.held(directory, "netlab up"):
        basedir.make_lab(directory)
    assert paths.lab_lock(directory).exists()
    assert lablock.holder(directory) == ""
    with lablock.held(directory, "netlab down"):
        directory.rmdir()
    assert list(base.iterdir()) == []


def test_who_has_it_is_told_and_seen_by_all(base: Path) -> None:
    directory = paths.lab_dir("a")
    with child_with(directory) as child:
        assert lablock.holder(directory) == f"process {child} (netlab up)"
        assert lock._seen_holder(paths.lab_lock(directory)) == f"process {child}"
        (base / "run" / "b").mkdir()  # another lab, whose lock is nobody's business here
        basedir.tidy(base / "run")
        assert paths.lab_lock(directory).exists(), "somebody has it"
        (base / "run" / "b").rmdir()
    basedir.tidy(base / "run")
    assert list(base.iterdir()) == []


def test_who_was_killed_leaves_nothing_that_stays(base: Path) -> None:
    with child_with(paths.lab_dir("a"), dies=True):
        assert lablock.holder(paths.lab_dir("a")) == ""
        basedir.tidy(base / "run")
    assert list(base.iterdir()) == []


def test_who_was_killed_before_the_first_note_leaves_nothing(base: Path) -> None:
    (base / "run").mkdir(0o700)
    basedir.tidy(base / "run")
    assert list(base.iterdir()) == []
    (base / "run").mkdir(0o755)  # somebody else's
    basedir.tidy(base / "run")
    assert (base / "run").exists()
    (base / "run").rmdir()


def test_the_last_lab_may_go_while_another_one_comes(base: Path) -> None:
    """The directory of all labs goes and comes back under those who wait."""
    children = []
    for number in range(4):
        child = os.fork()
        if not child:
            code = 1
            with contextlib.suppress(BaseException):
                for _ in range(50):
                    directory = paths.lab_dir(f"lab{number % 2}")
                    with lablock.held(directory, "netlab up"):
                        directory.mkdir()
                        directory.rmdir()
                code = 0
            os._exit(code)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4
    assert list(base.iterdir()) == []


class Interrupter:
    """Ctrl-C before one of the lines that are run in netlab's own files, the first being 0.

    A line counts once for each call: Python looks for signals where it calls and jumps, and not
    when it comes back to a `with` to leave it.
    """

    def __init__(self, line: int) -> None:
        self.left = line
        self._seen: set[tuple[FrameType, int]] = set()

    def trace(self, frame: FrameType, event: str, _: object) -> Any:
        """As `sys.settrace` calls it."""
        if "netlab/kernel" not in frame.f_code.co_filename:
            return None
        if event == "line" and (frame, frame.f_lineno) not in self._seen:
            self._seen.add((frame, frame.f_lineno))
            self.left -= 1
            if self.left == -1:
                signal.raise_signal(signal.SIGINT)
        return self.trace


def test_an_interrupt_at_any_line_leaves_nothing(base: Path) -> None:
    """From before the first directory is there until the lock is had."""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    for line in range(1000):
        interrupter, before = Interrupter(line), sys.gettrace()
        try:
            sys.settrace(interrupter.trace)
            with lablock.held(paths.lab_dir("a"), "netlab up"):
                sys.settrace(before)
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(before)
        assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == mask
        assert list(base.iterdir()) == [], f"interrupted before line {line}"
        if interrupter.left >= 0:
            assert line > 50
            return
    raise AssertionError("it has no end")


def _gone_and_come(lab: str) -> None:
    mount = netns.LabMount(paths.lab_dir(lab))
    mount.ensure()
    mount.teardown()


@pytest.mark.parametrize("name", [".lock", ".made"])
def test_who_looked_the_base_up_just_before_it_went_may_still_write_into_it(
    base: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    removed = basedir._remove_notes
    late = ["once"]

    def and_one_comes_late(directory: Path) -> None:
        removed(directory)
        if directory.name != "run" and late:
            late.clear()
            (directory / name).touch()

    monkeypatch.setattr(basedir, "_remove_notes", and_one_comes_late)
    _gone_and_come("a")
    assert not late, "the base directory went otherwise than this test thinks"
    assert list(base.iterdir()) == []


def test_two_labs_that_are_the_last_one_each_go_at_the_same_time(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The base directory of the one is not yet gone when that of the other goes."""
    removed = basedir._remove_notes
    nested = ["once"]

    def another_lab_meanwhile(directory: Path) -> None:
        if nested:
            nested.clear()
            _gone_and_come("b")
        removed(directory)

    monkeypatch.setattr(basedir, "_remove_notes", another_lab_meanwhile)
    _gone_and_come("a")
    assert not nested
    assert list(base.iterdir()) == []


def test_the_lock_of_a_lab_that_went_is_taken_away_by_its_holder_alone(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or who takes it in the moment before has it to himself, and so has the next one."""
    directory = paths.lab_dir("a")
    with child_with(directory, dies=True):
        held, unlink = [], Path.unlink

        def seen(path: Path, missing_ok: bool = False) -> None:
            if path == paths.lab_lock(directory):
                held.append(lock.is_held(path))
            unlink(path, missing_ok)

        monkeypatch.setattr(Path, "unlink", seen)
        basedir.tidy(base / "run")
    assert held == [True]
