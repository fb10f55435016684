"""User namespaces of pods on the real kernel: whose ids they have, and that none is left over."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from netlab.kernel import netns, process, syscalls, userns
from netlab.kernel.userns import IdRange

pytestmark = pytest.mark.root

IDS = IdRange(0x7000_0000 + 7 * 0x4_0000)


def inode(pid: int | str, kind: str) -> int:
    return Path(f"/proc/{pid}/ns/{kind}").stat().st_ino


@pytest.fixture(autouse=True)
def no_child_is_left() -> Iterator[None]:
    """Beside those that other tests have started from this process."""
    before = children()
    yield
    assert children() <= before


def children() -> set[str]:
    found: set[str] = set()
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(FileNotFoundError):  # a thread of another test's that ends now
            found.update((task / "children").read_text().split())
    return found


def test_a_holder_is_in_new_namespaces_and_gone_afterwards() -> None:
    before = {kind: inode("self", kind) for kind in ("user", "net", "mnt", "pid")}
    with userns.holder(IDS, syscalls.CLONE_NEWNET) as pid:
        assert inode(pid, "user") != before["user"]
        assert inode(pid, "net") != before["net"]
        assert inode(pid, "mnt") == before["mnt"]
        for name in ("uid_map", "gid_map"):
            assert Path(f"/proc/{pid}/{name}").read_text().split() == ["0", str(IDS.first), "65536"]
        descriptor = netns.open_(Path(f"/proc/{pid}/ns/net"))
    assert not Path(f"/proc/{pid}").exists()
    owner = userns.of_namespace(descriptor)
    assert not userns.is_ours(owner)
    os.close(owner)
    os.close(descriptor)
    assert {kind: inode("self", kind) for kind in before} == before, "we are where we were"


def test_a_holder_ends_with_a_failing_body_and_makes_no_difference_to_descriptors() -> None:
    before = os.listdir("/proc/self/fd")  # noqa: PTH208
    for _ in range(20):
        with pytest.raises(ZeroDivisionError), userns.holder(IDS):
            raise ZeroDivisionError
    assert os.listdir("/proc/self/fd") == before  # noqa: PTH208


def test_a_holder_whose_ids_cannot_be_mapped_is_ended() -> None:
    with pytest.raises(OSError), userns.holder(IdRange(-5)):
        pass


def test_threads_make_theirs_one_after_the_other() -> None:
    seen: list[int] = []

    def make() -> None:
        for _ in range(20):
            with userns.holder(IDS) as pid:
                seen.append(inode(pid, "user"))

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 80


def test_a_holder_carries_our_mark_should_we_be_killed_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with userns.holder(IDS) as pid:
        assert process.mark_of(pid) == process.mark_of(os.getpid())


def test_a_namespace_made_with_ids_is_owned_by_them(tmp_path: Path) -> None:
    for name, ids in (("plain", None), ("pods", IDS)):
        path = tmp_path / name
        descriptor = netns.create(path, ids)
        owner = userns.of_namespace(descriptor)
        assert userns.is_ours(owner) == (ids is None)
        os.close(owner)
        os.close(descriptor)
        assert netns.exists(path)
        netns.remove(path)
        assert not path.exists()


def test_a_lab_has_ids_of_its_own_that_nobody_else_has() -> None:
    owner = str(uuid.uuid4())
    ids = userns.id_range(owner)
    assert ids is not None
    assert ids == userns.id_range(owner)
    assert 0x7000_0000 <= ids.first < ids.daemon(100) < 1 << 31
    assert ids.outside(0) == ids.first
    assert ids.outside(65535) == ids.first + 65535
    assert ids.outside(65536) == ids.first + 0x2_0000, "beyond those of the daemons"
    assert ids.beyond([7, 1_000_680_000]).text == (
        f"0 {ids.first} 65536\n1000680000 {ids.outside(1_000_680_000)} 1\n"
    )
    assert ids.first + 0x2_0000 <= ids.outside(1_000_680_000) < ids.first + 0x3_0000
    assert ids.daemon(0) == ids.first + 65536


def test_what_users_are_limited_to_counts_as_nobody_elses() -> None:
    """What is limited for each user counts as the maker's of a namespace too: that is not root."""
    ids = userns.id_range(str(uuid.uuid4()))
    assert ids is not None
    makers = set()
    for _ in range(3):
        with userns.holder(ids) as pid:
            descriptor = os.open(f"/proc/{pid}/ns/user", os.O_RDONLY)
            maker = bytearray(4)
            fcntl.ioctl(descriptor, 0xB704, maker)  # NS_GET_OWNER_UID
            os.close(descriptor)
        makers.add(int.from_bytes(maker, sys.byteorder))
        assert os.getresuid() == (0, 0, 0)
    assert len(makers) > 1
    assert all(ids.first + 0x3_0000 <= maker < ids.first + 0x4_0000 for maker in makers)
