"""SCTP by packets: what they hold, and what becomes of those that are lost."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from netlab.pathcheck import checksums
from netlab.workload.inside import netexec, servers
from netlab.workload.inside import sctp_packets as sctp
from netlab.workload.inside.sctp_packets import Association, Chunk


def test_packets_are_read_as_they_were_packed():
    chunks = [(sctp.COOKIE_ECHO, b"cookie"), (sctp.DATA, b"x" * 15)]
    packet = sctp.packed((1000, 95), 7, *chunks)
    assert sctp.read(packet) == ((1000, 95), 7, chunks)
    assert len(packet) % 4 == 0
    assert checksums.with_checksum(132, b"", packet[:8] + bytes(4) + packet[12:], 8) == packet


@pytest.mark.parametrize("at", [0, 5, 9, 20])
def test_damaged_packets_are_none(at):
    packet = bytearray(sctp.packed((1, 2), 3, (sctp.SHUTDOWN_ACK, b"abcdefgh")))
    packet[at] ^= 1
    assert sctp.read(bytes(packet)) is None
    assert sctp.read(bytes(packet[:15])) is None


def test_chunks_that_lie_about_their_length_end_the_packet():
    whole = sctp.packed((1, 2), 3, (sctp.ABORT, b""), (sctp.ABORT, b"1234"))
    body = whole[12:-6] + b"\xff\xff" + whole[-4:]
    packet = whole[:8] + bytes(4) + body
    assert sctp.read(checksums.with_checksum(132, b"", packet, 8)) == (
        (1, 2),
        3,
        [(sctp.ABORT, b"")],
    )


class Wire:
    """Two ends of an association, in threads of their own; loses the first `lost` chunks of a
    kind."""

    def __init__(self, lost: dict[int, int]) -> None:
        self.lost, self.seen = lost, list[int]()
        self.one = Association(lambda *c, **_: self._carry("other", c), ("a", 1), 100, 2**32 - 1)
        self.other = Association(lambda *c, **_: self._carry("one", c), ("b", 2), 2**32 - 1, 100)

    def _carry(self, end: str, chunks: tuple[Chunk, ...]) -> None:
        for kind, value in chunks:
            self.seen.append(kind)
            if self.lost.get(kind, 0):
                self.lost[kind] -= 1
            else:
                association: Association = getattr(self, end)
                threading.Thread(target=association.take, args=(kind, value)).start()


@pytest.mark.parametrize("kind", [None, sctp.DATA, sctp.SACK, sctp.SHUTDOWN, sctp.SHUTDOWN_ACK])
def test_a_message_arrives_once_whatever_is_lost(monkeypatch: pytest.MonkeyPatch, kind: Any):
    monkeypatch.setattr(sctp, "AGAIN", 0.2)
    wire = Wire({} if kind is None else {kind: 1})
    wire.one.sendall(b"hostname")
    assert wire.other.recv(1024) == b"hostname"
    wire.other.sendall(b"web-0")
    assert wire.one.recv(1024) == b"web-0"
    wire.one.close()
    assert wire.one.over.is_set()
    assert wire.other.recv(1024) == b"", "nothing came twice"


def test_an_end_that_is_gone_is_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sctp, "AGAIN", 0.01)
    deaf = Association(lambda *_, **__: None, ("a", 1), 1, 1)
    with pytest.raises(TimeoutError):
        deaf.sendall(b"x")
    with pytest.raises(TimeoutError):
        deaf.recv(10, 0.01)
    deaf.take(sctp.ABORT, b"")
    with pytest.raises(ConnectionResetError):
        deaf.recv(10)
    with pytest.raises(OSError, match="too long"):
        deaf.sendall(b"x" * (sctp.LONGEST + 1))


class Leaving:
    """One end that never hears of anything: what is said to it waits until `hears`."""

    def __init__(self, *, hears: bool) -> None:
        self.heard = threading.Event()
        self._gone = threading.Event()
        if hears:
            self._gone.set()

    def __enter__(self) -> Leaving:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to close."""

    def getpeername(self) -> tuple[str, int]:
        return "10.244.1.2", 40000

    def recv(self, _: int) -> bytes:
        self._gone.wait(60)
        return b"echo hello"

    def sendall(self, _: bytes) -> None:
        self._gone.wait(60)
        self.heard.set()


class Door:
    """A listener to which these come, one by one."""

    def __init__(self, *ends: Leaving) -> None:
        self._ends = iter(ends)

    def accept(self) -> tuple[Leaving, tuple[str, int]]:
        for end in self._ends:
            return end, end.getpeername()
        threading.Event().wait()
        raise AssertionError


@pytest.mark.parametrize(
    "serve", [lambda door: servers.greet(door, b"web-0"), netexec.NetExec().serve_messages]
)
def test_who_has_gone_keeps_nobody_waiting(serve: Any):
    gone, there = Leaving(hears=False), Leaving(hears=True)
    threading.Thread(target=serve, args=(Door(gone, there),), daemon=True).start()
    assert there.heard.wait(30)
    assert not gone.heard.is_set()
