"""The kernel's reasons for drops: of the packets that are asked about, and of no others."""

import contextlib
import os
import socket
from pathlib import Path

import needs
import pytest

from netlab.errors import EnvironmentLacks
from netlab.kernel import drops, netns
from netlab.kernel.drops import Drop, Drops, Mark
from netlab.kernel.run import run

pytestmark = pytest.mark.root


@pytest.fixture(autouse=True)
def able():
    needs.drop_reasons()


MARKS = [Mark(15, b"0000000a"), Mark(8, b"ours")]


@pytest.fixture(params=["127.0.0.1", "::1"])
def place(tmp_path, request):
    """A namespace, and a loopback's address."""
    descriptor = netns.create(tmp_path / "place")
    run(["ip", "link", "set", "lo", "up"], netns=descriptor)
    yield descriptor, request.param
    os.close(descriptor)
    netns.remove(tmp_path / "place")


def send(place, payload):
    descriptor, address = place
    kind = socket.AF_INET6 if ":" in address else socket.AF_INET
    with netns.entered(descriptor), socket.socket(kind, socket.SOCK_DGRAM) as sender:
        sender.sendto(payload, (address, 9))


def test_it_tells_why_a_packet_was_dropped(place):
    with Drops(MARKS) as told:
        send(place, b"netlab-0000000b")
        assert told.collect() == []
        send(place, b"netlab-0000000a")
        send(place, b"ours, and more")
        assert told.collect() == [Drop(0, "NO_SOCKET"), Drop(1, "NO_SOCKET")]
        assert told.collect() == []
        program = "ip6tables" if ":" in place[1] else "iptables"
        drop = ["-A", "INPUT", "-p", "udp", "--dport", "9", "-j", "DROP"]
        run([f"{program}-nft", *drop], netns=place[0])
        send(place, b"netlab-0000000a")
        assert told.collect() == [Drop(0, "NETFILTER_DROP")]


def test_who_listens_drops_nothing(place):
    descriptor, address = place
    kind = socket.AF_INET6 if ":" in address else socket.AF_INET
    with contextlib.ExitStack() as stack:
        told = stack.enter_context(Drops(MARKS))
        with netns.entered(descriptor):
            listener = stack.enter_context(socket.socket(kind, socket.SOCK_DGRAM))
            listener.bind((address, 9))
        send(place, b"netlab-0000000a")
        assert listener.recv(100) == b"netlab-0000000a"
        assert told.collect() == []


def descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


def test_nothing_is_held_when_it_is_closed():
    before = descriptors()
    for _ in range(3):
        with Drops(MARKS):
            assert descriptors() > before
    assert descriptors() == before


def test_what_a_kernel_says_of_itself_is_kept_for_the_next(tmp_path, monkeypatch):
    first = drops.layout(tmp_path)
    monkeypatch.setattr(drops, "_TYPES", tmp_path / "not-there")
    assert drops.layout(tmp_path) == first
    (kept,) = tmp_path.iterdir()
    for broken in ("", "{}", '{"kernel": 1}', kept.read_text().replace("kernel", "k"), "[]"):
        kept.write_text(broken)
        with pytest.raises(EnvironmentLacks, match="no reasons of drops"):
            drops.layout(tmp_path)
