"""Names below a root that somebody else writes to: wherever their links lead, it is inside."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import itertools
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from netlab.kernel import mounts

pytestmark = pytest.mark.root

AT_FDCWD, RENAME_EXCHANGE = -100, 2


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    """A root with `inside/f`, beside something that is not to be reached: `outside/f`."""
    for name in ("root/inside/deep", "outside"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "root/inside/f").write_text("inside")
    (tmp_path / "outside/f").write_text("outside")
    with mounts.opened(tmp_path / "root") as descriptor:
        yield descriptor


def same(descriptor: int, path: Path) -> bool:
    return os.path.samestat(os.fstat(descriptor), path.stat())


@pytest.mark.parametrize(
    "target",
    [
        "inside", "/inside", "../../../inside", "/../inside", "inside/deep/..", "./inside/.",
        "inside/deep/../../../../../../inside",
    ],
)  # fmt: skip
def test_links_are_followed_as_if_the_root_were_all_there_is(
    root: int, tmp_path: Path, target: str
) -> None:
    (tmp_path / "root/link").symlink_to(target)
    for path in ("link", "/link", "../link", "link/../link", "inside/../link"):
        with mounts.resolved(root, path) as found:
            assert same(found, tmp_path / "root/inside")
    with mounts.resolved(root, "link/f") as found:
        assert same(found, tmp_path / "root/inside/f")


def test_what_is_only_outside_is_not_there(root: int, tmp_path: Path) -> None:
    for number, target in enumerate(
        (str(tmp_path / "outside"), "../outside", "/etc", f"/proc/{os.getpid()}/cwd")
    ):
        (tmp_path / f"root/link{number}").symlink_to(target)
        for path in (f"link{number}", f"link{number}/f"):
            with pytest.raises(FileNotFoundError), mounts.resolved(root, path):
                pass


def test_a_magic_link_of_proc_is_none_that_is_followed() -> None:
    with mounts.opened("/proc") as proc:
        for path in (f"{os.getpid()}/cwd", f"{os.getpid()}/root/etc", f"{os.getpid()}/fd/0"):
            with pytest.raises(OSError) as caught, mounts.resolved(proc, path):
                pass
            assert caught.value.errno == errno.ELOOP


def test_the_ends_of_other_kinds_of_links(root: int, tmp_path: Path) -> None:
    (tmp_path / "root/loop").symlink_to("loop")
    with pytest.raises(OSError) as caught, mounts.resolved(root, "loop"):
        pass
    assert caught.value.errno == errno.ELOOP
    with pytest.raises(NotADirectoryError), mounts.resolved(root, "inside/f/x"):
        pass
    with mounts.resolved(root, "/") as found:
        assert same(found, tmp_path / "root")


def test_directories_are_made_inside_through_links_too(root: int, tmp_path: Path) -> None:
    (tmp_path / "root/link").symlink_to("/../inside")
    os.close(mounts.ensure_directory(root, "link/a/b", owner=4711))
    made = tmp_path / "root/inside/a/b"
    assert (made.stat().st_uid, made.parent.stat().st_uid) == (4711, 4711)
    os.close(mounts.ensure_directory(root, "inside", owner=4711))
    assert (tmp_path / "root/inside").stat().st_uid == 0, "it was there"
    os.close(mounts.ensure_directory(root, "x/../../../../y"))
    assert (tmp_path / "root/y").is_dir()
    os.close(mounts.ensure_file(root, "link/new/file"))
    assert (tmp_path / "root/inside/new/file").is_file()
    assert {entry.name for entry in tmp_path.iterdir()} == {"root", "outside"}


def test_nothing_is_made_at_the_end_of_a_link_that_dangles(root: int, tmp_path: Path) -> None:
    (tmp_path / "root/link").symlink_to(tmp_path / "outside/new")
    with pytest.raises(OSError):
        os.close(mounts.ensure_directory(root, "link"))
    with pytest.raises(OSError):
        os.close(mounts.ensure_file(root, "link"))
    assert [entry.name for entry in (tmp_path / "outside").iterdir()] == ["f"]


def exchange(one: str, other: str) -> None:
    """Swap two names for ever, as quickly as the kernel does."""
    libc = ctypes.CDLL(None)
    first, second = os.fsencode(one), os.fsencode(other)
    while True:
        for _ in range(1000):
            libc.renameat2(AT_FDCWD, first, AT_FDCWD, second, RENAME_EXCHANGE)


@pytest.fixture
def swapping(tmp_path: Path) -> Iterator[Callable[[Path, Path], None]]:
    """Has two names swapped in another process until the test ends."""
    started = []

    def swap(one: Path, other: Path) -> None:
        context = multiprocessing.get_context("spawn")
        process = context.Process(target=exchange, args=(str(one), str(other)), daemon=True)
        process.start()
        started.append(process)
        was = one.is_symlink()
        while one.is_symlink() == was:
            time.sleep(0.001)

    yield swap
    for process in started:
        process.kill()
        process.join()


def tries(least: int, until: Callable[[], bool]) -> Iterator[int]:
    """Numbers from 0: at least so many, and more until the race has been met as often as wanted.

    Who swaps may wait for a processor, or have one to itself: then all tries end alike for a while.
    """
    deadline = time.monotonic() + 60
    for number in itertools.count():
        if number >= least and until():
            return
        assert time.monotonic() < deadline, f"in {number} tries the race was not met"
        yield number


def test_directories_have_the_mode_that_is_asked_for(tmp_path: Path) -> None:
    """Below a volume everybody may write to, a subPath is everybody's, too."""
    before = os.umask(0o077)
    try:
        with mounts.opened(tmp_path) as root:
            os.close(mounts.ensure_directory(root, "a/b", mode=0o1777))
    finally:
        os.umask(before)
    for place in ("a", "a/b"):
        assert (tmp_path / place).stat().st_mode & 0o7777 == 0o1777


def test_a_link_that_comes_and_goes_never_leads_out(
    root: int, tmp_path: Path, swapping: Callable[[Path, Path], None]
) -> None:
    """A directory and a link to the machine take turns at the same name, in every place of it."""
    made = tmp_path / "root"
    (made / "part").mkdir()
    (made / "part/f").write_text("inside")
    (made / "part/deep").mkdir()
    (made / "trap").symlink_to(tmp_path / "outside")
    swapping(made / "part", made / "trap")
    outcomes = dict.fromkeys(("inside", "refused"), 0)
    for number in tries(3000, until=lambda: min(outcomes.values()) > 50):
        path = ("part/f", "part/deep/../f", "inside/../part/f")[number % 3]
        try:
            with mounts.resolved(root, path) as found:
                with open(mounts.name_of(found)) as file:  # noqa: PTH123 - it is no path
                    assert file.read() == "inside"
                outcomes["inside"] += 1
        except OSError as error:
            assert error.errno in (errno.ENOENT, errno.EAGAIN)
            outcomes["refused"] += 1


def test_nothing_is_made_outside_while_links_come_and_go(
    root: int, tmp_path: Path, swapping: Callable[[Path, Path], None]
) -> None:
    made = tmp_path / "root"
    (made / "part").mkdir()
    (made / "trap").symlink_to(tmp_path / "outside")
    swapping(made / "part", made / "trap")
    made_inside: list[int] = []
    for number in tries(1500, until=lambda: len(made_inside) > 50):
        with contextlib.suppress(OSError):
            os.close(mounts.ensure_directory(root, f"part/d{number}/e", owner=4711))
            made_inside.append(number)
        with contextlib.suppress(OSError):
            os.close(mounts.ensure_file(root, f"part/f{number}"))
    assert [entry.name for entry in (tmp_path / "outside").iterdir()] == ["f"]
    assert (tmp_path / "outside").stat().st_uid == 0


CHROOT = """
import os, sys
from pathlib import Path
from netlab.kernel import mounts, syscalls
syscalls.unshare(mounts.CLONE_NEWNS)
syscalls.mount("", Path("/"), flags=syscalls.MS_PRIVATE | syscalls.MS_REC)
place = sys.argv[1]
for name in ("lib", "lib64", "proc", "usr"):
    os.mkdir(f"{place}/{name}")
    with mounts.opened(f"/{name}") as source, mounts.opened(f"{place}/{name}") as target:
        with mounts.taken(source, recursive=True) as tree:
            mounts.attach(tree, target)
os.chroot(place)
mounts.leave_machines_mounts()
print(*sorted(os.listdir("/")), flush=True)
sys.stdin.read()
"""


def test_the_root_of_a_chroot_is_that_of_the_namespace_as_well(tmp_path: Path) -> None:
    """Whoever joins a mount namespace begins at its root, and not at that of who made it."""
    inside = subprocess.Popen(
        [sys.executable, "-c", CHROOT, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with inside:
        assert inside.stdout is not None
        assert inside.stdout.readline() == "lib lib64 proc usr\n"
        joined = ["nsenter", "--mount", "--target", str(inside.pid), "/usr/bin/ls", "/"]
        done = subprocess.run(joined, capture_output=True, text=True, check=True)
        assert done.stdout.split() == ["lib", "lib64", "proc", "usr"]
        inside.communicate()
    assert inside.returncode == 0


BUSY = """
import os, sys, time
from pathlib import Path
from netlab.kernel import mounts, syscalls
mounts.leave_machines_mounts()
syscalls.mount("", Path("/"), flags=syscalls.MS_PRIVATE | syscalls.MS_REC)
place = Path(sys.argv[1])
syscalls.mount("netlab", place, "tmpfs")
file = os.open(place / "file", os.O_CREAT | os.O_WRONLY)
if not os.fork():  # as one that another thread forks, and that is yet to become its program
    time.sleep(0.1)
    os._exit(0)
os.close(file)
with mounts.opened(place) as tree:
    mounts.make_read_only(tree)
try:
    (place / "other").touch()
except OSError as error:
    print(error.strerror)
"""


def test_a_mount_is_made_read_only_once_nobody_has_a_file_of_it_any_more(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", BUSY, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("Read-only file system\n", "")
