"""Captures that run on: nothing in a wrong order, what is lost is counted, nothing is held."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from netlab.kernel import netns, paths
from netlab.kernel.run import run
from netlab.pathcheck.conversation import Conversation, Side
from netlab.pathcheck.recording import Recording

pytestmark = pytest.mark.root

PORT = 4242
Make = Callable[[str], Path]


@pytest.fixture
def make(lab_dir: Path) -> Make:
    """Makes a namespace with a loopback."""

    def made(name: str) -> Path:
        path = paths.namespace(lab_dir, f"t.{name}")
        os.close(netns.create(path))
        run(["ip", "link", "set", "lo", "up"], netns=path)
        return path

    return made


def send(path: Path, number: int, address: str = "127.0.0.1") -> None:
    with netns.entered(path):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with sock:
        for _ in range(number):
            sock.sendto(b"x" * 100, (address, PORT))


def times(file: bytes) -> list[int]:
    """When each of its packets passed."""
    found, at = [], 0
    while at < len(file):
        kind, length = struct.unpack_from("<II", file, at)
        if kind == 6:
            high, low = struct.unpack_from("<II", file, at + 12)
            found.append(high << 32 | low)
        at += length
    return found


def test_in_the_order_of_time(make: Make) -> None:
    one, two = make("one"), make("two")
    file = bytearray()
    with Recording(file.extend, Conversation()) as recording:
        recording.follow({"one": one, "two": two})
        for number in range(20):
            send((two, one)[number % 2], 7)
            recording.round(0.05)
        recording.finish()
    passed = times(bytes(file))
    assert len(passed) == recording.packets >= 20 * 7 * 2, "and what refuses them, by ICMP"
    assert passed == sorted(passed)
    assert recording.points == {("one", "lo"), ("two", "lo")}
    assert not recording.lost


def test_what_is_lost_is_counted(make: Make) -> None:
    one = make("one")
    file = bytearray()
    with Recording(file.extend, Conversation(protocols=frozenset({17}))) as recording:
        recording.follow({"one": one})
        send(one, 30_000)
        recording.round(0.1)
        recording.finish()
    assert recording.lost["one"] > 0
    assert recording.packets > 0
    assert recording.packets + recording.lost["one"] >= 60_000


def test_others_are_not_heard(make: Make) -> None:
    """Nor do they take room: the kernel's filter keeps them out."""
    one = make("one")
    asked = Conversation(target=Side(doors=frozenset({("127.0.0.2", PORT)})))
    with Recording(lambda _: None, asked) as recording:
        recording.follow({"one": one})
        with netns.entered(one), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
            deaf.bind(("127.0.0.1", PORT))  # or there were as many ICMP errors
            send(one, 30_000)
        send(one, 3, "127.0.0.2")
        recording.round(0.1)
        recording.ask_for(Conversation(target=Side(frozenset({"127.0.0.3"}))))
        send(one, 3, "127.0.0.2")
        send(one, 4, "127.0.0.3")
        recording.finish()
    # each is seen going out and coming in, as is the ICMP error about it
    assert recording.packets == (3 + 4) * 4
    assert not recording.lost


def test_no_more_than_are_asked_for(make: Make) -> None:
    one = make("one")
    file = bytearray()
    with Recording(file.extend, Conversation()) as recording:
        recording.follow({"one": one})
        send(one, 10)
        recording.finish(at_most=5)
    assert len(times(bytes(file))) == recording.packets == 5


def test_namespaces_come_go_and_are_made_anew(make: Make) -> None:
    one = make("one")
    file = bytearray()
    places = {"one": one, "two": one.with_name("t.two")}
    with Recording(file.extend, Conversation()) as recording:
        recording.follow(places)
        assert recording.places == 1
        two = make("two")
        recording.follow(places)
        assert recording.places == 2
        send(two, 1)
        netns.remove(two)
        recording.follow(places)
        assert recording.places == 1, "it is not kept alive by being heard"
        make("two")
        recording.follow(places)
        send(two, 1)
        recording.finish()
    assert recording.packets == 8
