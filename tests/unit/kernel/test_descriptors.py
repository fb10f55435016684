"""Descriptors from another process: whose they are, and that no child has them."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from netlab.kernel import descriptors
from netlab.network import attacher
from netlab.workload import handover


def _open() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    here, there = socket.socketpair()
    with here, there:
        yield here, there


def test_sockets_that_are_handed_over_are_not_inherited(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    here, there = ends
    with socket.socket() as one, socket.socket() as two:
        handover.send(here, [one, two])
    received = handover.take(there, 2)
    assert [each.get_inheritable() for each in received] == [False, False]
    for each in received:
        each.close()


def test_those_of_an_attacher_neither(ends: tuple[socket.socket, socket.socket]) -> None:
    here, there = ends
    attacher.send(here, "there", [here.fileno(), there.fileno()])
    message, received = attacher.receive(there, str) or ("", [])
    assert message == "there" and [os.get_inheritable(each) for each in received] == [False, False]
    for each in received:
        os.close(each)


@pytest.mark.parametrize("sent", [0, 1, 3])
def test_no_more_come_than_are_asked_for(
    ends: tuple[socket.socket, socket.socket], sent: int
) -> None:
    here, there = ends
    socket.send_fds(here, [b"word"], [here.fileno()] * sent)
    before = _open()
    content, received = descriptors.receive(there, 10, 1)
    assert content == b"word" and len(received) == min(sent, 1)
    assert _open() == before + len(received)
    for each in received:
        os.close(each)
