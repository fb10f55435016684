"""Files that commands write at a path that was named: as their caller's, and over nobody else's."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from netlab.errors import UsageError
from netlab.kernel.results import PRIVATE, result

pytestmark = pytest.mark.root

HERS = 54321


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory as /tmp is, where her sudo has brought us."""
    monkeypatch.setenv("SUDO_UID", str(HERS))
    monkeypatch.setenv("SUDO_GID", str(HERS))
    base = Path(tempfile.mkdtemp())
    base.chmod(0o1777)
    yield base
    shutil.rmtree(base)


def test_a_file_is_its_callers(place: Path) -> None:
    path = place / "x"
    with result(path, PRIVATE) as file:
        file.write(b"one ")
        file.write(b"two")
    found = path.stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (HERS, HERS, 0o600)
    assert path.read_text() == "one two"
    assert (os.geteuid(), os.getegid()) == (0, 0)
    with result(path) as file:
        assert path.read_text() == "one two", "it stays until there is something to write"
        file.write(b"3")
    assert path.read_text() == "3"


def test_what_fails_leaves_nothing(place: Path) -> None:
    old = place / "old"
    old.write_text("old")
    os.chown(old, HERS, HERS)
    for path in (old, place / "new"):
        with pytest.raises(ValueError, match="no"), result(path):
            raise ValueError("no")
    assert [path.name for path in place.iterdir()] == ["old"]
    assert old.read_text() == "old"


@pytest.mark.parametrize("as_root", [False, True])
def test_nobody_elses_file_is_written(
    place: Path, monkeypatch: pytest.MonkeyPatch, as_root: bool
) -> None:
    """However it got its name: neither by her sudo, nor by a root who came in himself."""
    if as_root:
        monkeypatch.delenv("SUDO_UID")
    other, closed = place / "other", place / "closed"
    other.write_text("other's")
    os.chown(other, HERS + 1, HERS + 1)
    other.chmod(0o666)
    closed.mkdir(0o700)
    os.chown(closed, HERS + 1, HERS + 1)
    (place / "link").symlink_to(other)
    (place / "dangling").symlink_to(closed / "x")
    os.link(other, place / "hard")
    os.mkfifo(place / "fifo", 0o666)
    os.chown(place / "fifo", HERS + 1, HERS + 1)
    reader = os.open(place / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    for name in ("other", "link", "dangling", "hard", "fifo"):
        with pytest.raises(UsageError, match=name), result(place / name) as file:
            file.write(b"mine")
    os.close(reader)
    assert other.read_text() == "other's"
    assert not list(closed.iterdir())
    if not as_root:
        with pytest.raises(UsageError, match="permission denied"), result(closed / "x"):
            pass


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("", "is a directory"),
        ("no/x", "there is no directory .*/no for x"),
        ("a" * 300, "too long"),
    ],
)
def test_what_is_no_place_for_a_file(place: Path, name: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint), result(place / name):
        pass


def test_a_pipe_of_ones_own_is_written_to(place: Path) -> None:
    path = place / "pipe"
    os.mkfifo(path)
    os.chown(path, HERS, HERS)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(path.read_bytes()))
    reader.start()
    with result(path) as file:
        file.write(b"through")
    reader.join()
    assert read == [b"through"]
    with result(Path("/dev/null")) as file:
        file.write(b"nothing")


def test_a_full_disk_is_named() -> None:
    with pytest.raises(OSError, match="/dev/full"), result(Path("/dev/full")) as file:
        file.write(b"x")
