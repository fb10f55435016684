"""Locks that are waited for aloud, and not without end; files with the mode they are to have."""

from __future__ import annotations

import contextlib
import os
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from netlab.errors import KernelRefused
from netlab.kernel import caller, files, lock, paths


@pytest.fixture(params=[0o022, 0o000, 0o077], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@contextlib.contextmanager
def held_elsewhere(path: Path) -> Iterator[int]:
    """Another process that has the lock; yields its id."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        with lock.held(path) as is_ours:
            os.write(writer, b"1" if is_ours else b"0")
            time.sleep(60)
        os._exit(0)
    try:
        assert os.read(reader, 1) == b"1"
        yield child
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)
        os.close(reader)
        os.close(writer)


def test_who_is_waited_for_is_said_and_then_complained_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(lock, "QUIET", 0.05)
    path, told = tmp_path / "lock", list[str]()
    with held_elsewhere(path) as holder:
        for tell in (told.append, None):
            with (
                pytest.raises(KernelRefused, match=f"process {holder} keeps {path}") as caught,
                lock.awaited(path, tell=tell, patience=0.2),
            ):
                pytest.fail("it is somebody else's")
        assert caught.value.hint == f"ps -fp {holder}"
    assert told == [f"waiting for process {holder}, which holds {path}"]
    assert capsys.readouterr().err == f"note: {told[0]}\n"


def test_a_lock_dies_with_its_holder(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with held_elsewhere(path) as holder:
        assert path.read_text() == f"{holder}\n"
        assert lock.is_held(path)
        with lock.held(path) as is_ours:
            assert not is_ours
    assert not lock.is_held(path)
    with lock.awaited(path):
        assert path.read_text() == f"{os.getpid()}\n"
        assert lock.is_held(path)


def test_a_lock_that_is_gone_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    waiting, taken = threading.Event(), threading.Event()

    def wait() -> None:
        waiting.set()
        with lock.awaited(path):
            taken.set()
            assert path.stat().st_size

    with lock.awaited(path):
        thread = threading.Thread(target=wait)
        thread.start()
        waiting.wait()
        time.sleep(0.05)
        path.unlink()
        assert not taken.is_set()
    thread.join(10)
    assert taken.is_set()


def test_no_lock_where_there_is_no_directory(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), lock.awaited(tmp_path / "no" / "lock"):
        pass
    assert not lock.is_held(tmp_path / "no" / "lock")


def test_onlookers_keep_nobody_from_a_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    ended = threading.Event()

    def look() -> None:
        while not ended.is_set():
            lock.is_held(path)

    lookers = [threading.Thread(target=look) for _ in range(2)]
    for looker in lookers:
        looker.start()
    try:
        for _ in range(50):
            with lock.held(path) as is_ours:
                assert is_ours
    finally:
        ended.set()
        for looker in lookers:
            looker.join()


@pytest.mark.usefixtures("umask")
def test_modes_are_nobodys_umask(tmp_path: Path) -> None:
    base = tmp_path / "a" / "b"
    files.directory(base, files.PASSABLE)
    assert (mode(base.parent), mode(base)) == (0o755, 0o711)
    files.directory(base, files.PRIVATE)
    assert mode(base) == 0o700
    files.write(base / "file", "1")
    files.write(base / "shared", "2", mode=0o640, owner=os.getuid(), group=os.getgid())
    assert [mode(base / name) for name in ("file", "shared")] == [0o600, 0o640]
    with lock.held(base / "lock"):
        assert mode(base / "lock") == 0o600


def test_a_file_of_old_is_closed(tmp_path: Path) -> None:
    old = tmp_path / "log"
    old.write_text("old ")
    old.chmod(0o666)
    with os.fdopen(files.opened(old, os.O_WRONLY | os.O_APPEND), "w") as file:
        file.write("new")
    assert (old.read_text(), mode(old)) == ("old new", 0o600)
    old.chmod(0o666)
    files.write(old, "other")
    assert (old.read_text(), mode(old)) == ("other", 0o600)
    assert list(tmp_path.iterdir()) == [old]


@pytest.mark.parametrize(("text", "uid"), [("1234", 1234), ("", None), ("-1", None), ("²", None)])
def test_who_called_sudo(text: str, uid: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_UID", text)
    monkeypatch.setenv("SUDO_GID", text)
    assert caller.uid() == (os.getuid() if uid is None else uid)
    assert caller.gid() == (os.getgid() if uid is None else uid)


def test_every_part_but_names_is_private() -> None:
    here = Path("/x")
    assert {path.name for path in paths.private(here)} >= {"pods", "locks", "processes", "netns"}
    assert paths.dns(here) not in paths.private(here)
    assert paths.pod(here, "u").parent in paths.private(here)


def test_a_lock_that_went_with_its_directory_is_not_the_one_that_is_waited_for(
    tmp_path: Path,
) -> None:
    """Whoever else comes takes the one that is where it was."""
    base = tmp_path / "run"
    base.mkdir()
    waits, has = threading.Event(), threading.Event()
    has_which = list[bool]()

    def wait() -> None:
        with lock.awaited(base / "lock", tell=lambda _: waits.set()):
            has_which.append(lock.is_held(base / "lock"))
            has.set()

    waiting = threading.Thread(target=wait)
    with lock.awaited(base / "lock"):
        waiting.start()
        assert waits.wait(30)
        base.rename(tmp_path / "gone")
        base.mkdir()
    assert has.wait(30)
    waiting.join()
    assert has_which == [True]


def test_a_lock_is_taken_away_only_of_nobody(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    lock.remove_unheld(path)
    with held_elsewhere(path):
        lock.remove_unheld(path)
        assert path.exists()
    lock.remove_unheld(path)
    assert not path.exists()
