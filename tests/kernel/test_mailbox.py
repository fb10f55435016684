"""Datagrams in a file, received by a process that is killed."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from netlab.kernel import mailbox
from netlab.kernel.mailbox import Mailbox

pytestmark = pytest.mark.root


@pytest.fixture(params=[socket.AF_INET, socket.AF_INET6])
def ends(request: pytest.FixtureRequest) -> Iterator[tuple[socket.socket, socket.socket]]:
    """A socket, and one that sends to it."""
    host = "127.0.0.1" if request.param == socket.AF_INET else "::1"
    with socket.socket(request.param, socket.SOCK_DGRAM) as here:
        here.bind((host, 0))
        here.setblocking(False)
        with socket.socket(request.param, socket.SOCK_DGRAM) as there:
            there.connect(here.getsockname())
            there.settimeout(5)
            yield here, there


def test_each_is_answered_to_its_sender(
    ends: tuple[socket.socket, socket.socket], tmp_path: Path
) -> None:
    here, there = ends
    box = Mailbox(tmp_path / "box")
    assert box.receive(here) is None
    for number in range(3 * mailbox.SLOTS):
        there.send(b"%d" % number)
        slot = box.receive(here)
        assert slot is not None
        assert box.packet(slot) == b"%d" % number
        box.answer(slot, b"yes", here)
        assert there.recv(10) == b"yes"


def test_it_tells_who_sent_a_datagram_and_when_it_came(
    ends: tuple[socket.socket, socket.socket], tmp_path: Path
) -> None:
    here, there = ends
    mailbox.stamp(here)
    box = Mailbox(tmp_path / "box")
    before = time.time()
    there.send(b"x")
    after = time.time()
    time.sleep(0.05)
    slot = box.receive(here)
    assert slot is not None
    assert before <= box.came(slot) <= after
    assert box.sender(slot) == socket.inet_pton(there.family, there.getsockname()[0])


def test_who_is_killed_leaves_what_was_not_answered(
    ends: tuple[socket.socket, socket.socket], tmp_path: Path
) -> None:
    here, there = ends
    for text in (b"one", b"two", b"three"):
        there.send(text)
    child = os.fork()
    if not child:
        box = Mailbox(tmp_path / "box")
        box.receive(here)
        second = box.receive(here)
        assert second is not None
        box.answer(second, b"2", here)
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    assert there.recv(10) == b"2"
    box = Mailbox(tmp_path / "box")
    (left,) = box.left
    assert box.packet(left) == b"one"
    box.answer(left, b"1", here)
    assert there.recv(10) == b"1"
    third = box.receive(here)
    assert third is not None
    assert box.packet(third) == b"three"


def test_what_does_not_fit_is_thrown_away_or_left_in_the_socket(
    ends: tuple[socket.socket, socket.socket], tmp_path: Path
) -> None:
    here, there = ends
    box = Mailbox(tmp_path / "box")
    there.send(bytes(2000))
    there.send(b"")
    assert box.receive(here) is None
    for _ in range(mailbox.SLOTS):
        there.send(b"x")
        slot = box.receive(here)
        assert slot is not None
    assert box.full
    there.send(b"last")
    assert box.receive(here) is None
    box.release(slot)
    slot = box.receive(here)
    assert slot is not None
    assert box.packet(slot) == b"last"


def test_nobody_else_reads_them(tmp_path: Path) -> None:
    Mailbox(tmp_path / "box")
    assert (tmp_path / "box").stat().st_mode & 0o777 == 0o600
