"""Connections as connection tracking tells of them: real namespaces, whole floods."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from netlab.conntrack import NewConnection, Tuple
from netlab.errors import EnvironmentLacks
from netlab.kernel import netns, new_connections
from netlab.kernel.conntrack import connection
from netlab.kernel.new_connections import NewConnections
from netlab.kernel.run import run
from netlab.traffic.listening import Listening
from netlab.traffic.reading import Told

pytestmark = pytest.mark.root

LINKS = """\
link set lo up
addr add 10.9.1.1/24 dev lo
addr add fd09:1::1/64 dev lo nodad
route add 10.9.9.0/24 dev lo
route add fd09:9::/64 dev lo
"""
NAT = "*nat\n-A OUTPUT -d {0} -p udp --dport 99 -j DNAT --to-destination {1}\nCOMMIT\n"
FAMILIES = {
    "ipv4": ("10.9.1.1", "10.9.9.9", "10.9.1.1:98", "iptables-nft-restore"),
    "ipv6": ("fd09:1::1", "fd09:9::9", "[fd09:1::1]:98", "ip6tables-nft-restore"),
}


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A namespace that translates what is sent to port 99 of an address of nobody's."""
    path = tmp_path / "node"
    os.close(netns.create(path))
    run(["ip", "-batch", "-"], netns=path, input=LINKS)
    for _, virtual, endpoint, program in FAMILIES.values():
        run([program], netns=path, input=NAT.format(virtual, endpoint))
    yield path
    netns.remove(path)


def flood(place: Path, first: int, number: int) -> None:
    """So many connections, from ports of which none has had one before."""
    with netns.entered(place):
        for port in range(first, first + number):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                sender.bind(("10.9.1.1", port))
                sender.sendto(b"x", ("10.9.9.9", 99))


def send(place: Path, source: str, to: tuple[str, int]) -> int:
    """A datagram from some port, which is returned."""
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    with netns.entered(place), socket.socket(family, socket.SOCK_DGRAM) as sender:
        sender.bind((source, 0))
        sender.sendto(b"x", to)
        return int(sender.getsockname()[1])


@pytest.mark.parametrize("name", FAMILIES)
def test_each_is_told_once(place: Path, name: str) -> None:
    own, virtual, _, _ = FAMILIES[name]
    new = NewConnections(place)
    first = send(place, own, (virtual, 99))
    plain = send(place, own, (own, 97))
    found = new.collect(100)
    assert [each.original for each in found] == [
        Tuple(own, first, virtual, 99), Tuple(own, plain, own, 97)
    ]  # fmt: skip
    assert found[0].reply == Tuple(own, 98, own, first)
    assert {each.protocol for each in found} == {"udp"}
    table = connection(place, "udp", found[0].original)
    assert table is not None
    assert table.reply == found[0].reply
    assert new.collect(100) == []
    assert new.lost == 0
    new.close()


def test_a_filter_keeps_away_what_is_not_translated(place: Path) -> None:
    new = NewConnections(place, translated=True)
    ports = []
    for own, virtual, _, _ in FAMILIES.values():
        send(place, own, (own, 97))
        ports.append(send(place, own, (virtual, 99)))
    assert [each.original.sport for each in new.collect(100)] == ports
    assert new.lost == 0
    new.close()


def test_an_echo_has_its_identifier(place: Path) -> None:
    new = NewConnections(place)
    for address in ("10.9.1.1", "fd09:1::1"):
        run(["ping", "-c1", "-W1", address], netns=place)
        (found,) = new.collect(100)
        assert found.protocol == "icmp"
        assert (found.original.source, found.original.destination) == (address, address)
        assert found.original.sport > 0
        assert found.original.dport == 0
    new.close()


@pytest.mark.parametrize("name", FAMILIES)
def test_both_ways_of_taking_a_message_apart_agree(
    place: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, virtual, _, _ = FAMILIES[name]
    new = NewConnections(place)
    send(place, own, (virtual, 99))
    (quick,) = new.collect(100)
    monkeypatch.setattr(new_connections, "_LAYOUTS", {})
    send(place, own, (virtual, 99))
    (slow,) = new.collect(100)

    def without_port(one: NewConnection) -> tuple[object, ...]:
        there, back = one.original, one.reply
        return one.protocol, there.source, there.destination, there.dport, back.source, back.sport

    assert without_port(quick) == without_port(slow)
    assert slow.original.sport == slow.reply.dport != quick.original.sport
    new.close()


def test_thousands_are_counted_and_what_is_lost_is_told(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    roomy = NewConnections(place, translated=True)
    monkeypatch.setattr(new_connections, "_BUFFER", 8192)
    narrow = NewConnections(place, translated=True)
    sent = 3000
    flood(place, 20000, sent)
    found = roomy.collect(2 * sent)
    assert sorted(each.original.sport for each in found) == list(range(20000, 20000 + sent))
    assert roomy.lost == 0
    few = narrow.collect(2 * sent)
    assert narrow.lost > 0
    assert len(few) + narrow.lost == sent
    send(place, "10.9.1.1", ("10.9.9.9", 99))
    assert len(narrow.collect(10)) == 1, "it goes on"
    roomy.close()
    narrow.close()


def test_the_rest_is_left_for_the_next_time(place: Path) -> None:
    new = NewConnections(place)
    ports = [send(place, "10.9.1.1", ("10.9.9.9", 99)) for _ in range(5)]
    assert [each.original.sport for each in new.collect(3)] == ports[:3]
    assert [each.original.sport for each in new.collect(3)] == ports[3:]
    new.close()


def test_nobody_else_is_believed(place: Path) -> None:
    """Who is in a node's namespace may send to our socket; only the kernel's word counts."""
    new = NewConnections(place)
    send(place, "10.9.1.1", ("10.9.9.9", 99))
    kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC
    (port, _) = new._socket.getsockname()
    with netns.entered(place), socket.socket(socket.AF_NETLINK, kind, 12) as forger:
        forger.bind((0, 0))
        forger.sendto(new._socket.recv(8192), (port, 0))
    assert new.collect(10) == []
    send(place, "10.9.1.1", ("10.9.9.9", 99))
    assert len(new.collect(10)) == 1
    new.close()


def test_a_kernel_that_tells_nothing_is_told_of(place: Path) -> None:
    with netns.entered(place):
        Path("/proc/sys/net/netfilter/nf_conntrack_events").write_text("0")
    with pytest.raises(EnvironmentLacks, match="nf_conntrack_events is 0"):
        NewConnections(place)


def ports(told: list[Told], node: str) -> list[int]:
    return [new.original.sport for name, new in told if name == node]


def test_nodes_that_come_and_go(place: Path, tmp_path: Path) -> None:
    with Listening(translated=True) as listening:
        listening.follow({"one": place, "off": tmp_path / "nothing"})
        assert listening.nodes == ("one",)
        first = send(place, "10.9.1.1", ("10.9.9.9", 99))
        assert ports(listening.round(1.0), "one") == [first]
        assert listening.round(0) == []
        listening.follow({"two": place})
        assert listening.nodes == ("two",)
        second = send(place, "10.9.1.1", ("10.9.9.9", 99))
        assert ports(listening.round(1.0), "two") == [second]
        netns.remove(place)
        listening.follow({"two": place})
        assert listening.nodes == ()
        assert listening.lost == {}


def test_what_was_lost_is_known_by_node(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(new_connections, "_BUFFER", 8192)
    sent = 500
    with Listening(translated=False) as listening:
        listening.follow({"one": place})
        flood(place, 20000, sent)
        told = listening.round(1.0)
        assert listening.lost["one"] == sent - len(told) > 0
        before = listening.lost["one"]
        flood(place, 30000, sent)
        listening.follow({})
        assert listening.lost["one"] > before, "what nobody has read yet counts as well"


ENTRY = (
    "conntrack -I -p udp --timeout 60 --src 10.9.1.1 --dst 10.9.9.9 --sport 40000 --dport 99"
    " --reply-src 10.9.1.1 --reply-dst 10.9.1.1 --reply-port-src 98 --reply-port-dst 40000"
)


def test_what_a_pod_forges_in_its_own_namespace_reaches_nobody(place: Path, tmp_path: Path) -> None:
    """With all rights there: messages to the listener's port and to its group, and connections that
    the kernel is told to have."""
    pod = tmp_path / "pod"
    os.close(netns.create(pod))
    try:
        with closing(NewConnections(place)) as new, closing(NewConnections(pod)) as its_own:
            send(place, "10.9.1.1", ("10.9.9.9", 99))
            genuine = new._socket.recv(8192)
            kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC
            port = new._socket.getsockname()[0]
            with netns.entered(pod), socket.socket(socket.AF_NETLINK, kind, 12) as forger:
                forger.bind((0, 0))
                with suppress(ConnectionRefusedError):  # unless its own listener has that number
                    forger.sendto(genuine, (port, 0))
                with suppress(OSError):
                    forger.sendto(genuine, (0, 1))
            run(ENTRY.split(), netns=pod)
            assert [one.original.sport for one in its_own.collect(100)] == [40000], "it was made"
            assert new.collect(100) == []
            assert new.lost == 0
            port = send(place, "10.9.1.1", ("10.9.9.9", 99))
            assert [one.original.sport for one in new.collect(100)] == [port]
    finally:
        netns.remove(pod)
