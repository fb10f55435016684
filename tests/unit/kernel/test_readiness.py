"""Descriptors whose numbers are above all that `select` knows."""

from __future__ import annotations

import os
import resource
import socket
from collections.abc import Iterator

import pytest

from netlab.kernel.forked import _Forked
from netlab.kernel.readiness import WRITE, is_ready
from netlab.network.attacher import _Beside

MOST_OF_SELECT = 1024


@pytest.fixture
def crowded() -> Iterator[None]:
    """A process of many descriptors: the next one is beyond."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2 * MOST_OF_SELECT), hard))
    opened = [os.open("/dev/null", os.O_RDONLY) for _ in range(MOST_OF_SELECT)]
    yield
    for one in opened:
        os.close(one)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("crowded")
def test_what_is_ready_is_seen_whatever_its_number() -> None:
    one, other = socket.socketpair()
    with one, other:
        assert one.fileno() >= MOST_OF_SELECT
        assert not is_ready(one.fileno())
        assert is_ready(one.fileno(), 0.1, WRITE)
        other.send(b"x")
        assert is_ready(one.fileno(), None)


@pytest.mark.usefixtures("crowded")
def test_a_child_is_waited_for_in_a_large_lab() -> None:
    child = os.fork()
    if child == 0:
        os._exit(3)
    assert _Forked(child).wait(5.0) == 3


@pytest.mark.usefixtures("crowded")
def test_who_attaches_pods_is_asked_in_a_large_lab() -> None:
    attacher = object.__new__(_Beside)
    attacher._socket, theirs = socket.socketpair()
    with attacher._socket, theirs:
        assert not attacher.has_ended()
        theirs.close()
        assert attacher.has_ended()
