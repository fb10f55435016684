"""DNS queries counted by the kernel, and its other counters: real namespaces."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from dnslib import DNSRecord

from netlab.dns import dnsmasq
from netlab.errors import KernelRefused
from netlab.kernel import netns
from netlab.kernel.counters import counters, retransmissions
from netlab.kernel.dns_queries import DnsQueries
from netlab.kernel.run import run

pytestmark = pytest.mark.root

LINKS = """\
link set lo up
link add eth0 type veth peer name eth0 netns {other}
addr add 10.9.0.1/24 dev eth0
addr add 10.9.0.9/24 dev eth0
addr add fd09::1/64 dev eth0 nodad
link set eth0 up
"""
OTHER = """\
addr add 10.9.0.2/24 dev eth0
addr add fd09::2/64 dev eth0 nodad
link set eth0 up
"""


@pytest.fixture
def places(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """A server's namespace and a client's."""
    server, client = tmp_path / "server", tmp_path / "client"
    for path in (server, client):
        os.close(netns.create(path))
    run(["ip", "-batch", "-"], netns=server, input=LINKS.format(other=client))
    run(["ip", "-batch", "-"], netns=client, input=OTHER)
    yield server, client
    for path in (server, client):
        netns.remove(path)


def send(place: Path, data: bytes, to: str, port: int = 53, times: int = 1) -> None:
    family = socket.AF_INET6 if ":" in to else socket.AF_INET
    with netns.entered(place), socket.socket(family, socket.SOCK_DGRAM) as sender:
        for _ in range(times):
            with contextlib.suppress(ConnectionRefusedError):
                sender.sendto(data, (to, port))


def counted(counting: DnsQueries, number: int) -> int:
    """Once there are so many; a neighbour must be found first, and machines are busy."""
    found, deadline = 0, time.monotonic() + 10
    while found < number and time.monotonic() < deadline:
        found += counting.taken()
        time.sleep(0.01)
    return found + counting.taken()


QUERY = DNSRecord.question("web.default.svc.cluster.local").pack()
VIGIL = dnsmasq._VERSION
ANSWER = DNSRecord.parse(QUERY).reply().pack()


@pytest.mark.parametrize("address", ["10.9.0.1", "fd09::1"])
def test_queries_and_nothing_else(places: tuple[Path, Path], address: str) -> None:
    server, client = places
    counting = DnsQueries(server, ["10.9.0.1", "fd09::1"])
    send(client, QUERY, "10.9.0.9")
    send(server, QUERY, "10.9.0.2")
    send(client, ANSWER, address)
    send(client, VIGIL, address)
    send(client, VIGIL[:20], address)
    send(client, QUERY, address, 54)
    for name in ("web.default.svc.cluster.local", "a", "version", "version.bind.example", "."):
        send(client, DNSRecord.question(name).pack(), address)
    assert counted(counting, 5) == 5
    counting.close()


def test_one_that_asks_itself(places: tuple[Path, Path]) -> None:
    """As a node asks its own cache: by the loopback link, where each packet is seen twice."""
    server, _ = places
    counting = DnsQueries(server, ["10.9.0.1"])
    send(server, QUERY, "10.9.0.1", times=2)
    assert counted(counting, 2) == 2
    assert counting.taken() == 0
    counting.close()


def test_more_than_there_is_room_for(places: tuple[Path, Path]) -> None:
    server, client = places
    counting = DnsQueries(server, ["10.9.0.1"])
    send(client, QUERY, "10.9.0.1")
    assert counted(counting, 1) == 1, "and the server's neighbour is known"
    send(client, QUERY, "10.9.0.1", times=2000)
    assert counted(counting, 2000) == 2000
    counting.close()


def test_a_service_of_no_family(places: tuple[Path, Path]) -> None:
    server, client = places
    counting = DnsQueries(server, [])
    send(client, QUERY, "10.9.0.1")
    assert counting.taken() == 0
    counting.close()


def test_what_a_namespace_has_counted(places: tuple[Path, Path]) -> None:
    """A port where nobody listens is told of by ICMP; a server that is cut off is asked again."""
    server, client = places
    before = counters(server).unreachable
    assert before is not None
    send(client, b"x", "10.9.0.1", 9)
    send(client, b"x", "fd09::1", 9)
    deadline = time.monotonic() + 10
    while counters(server).unreachable != before + 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert counters(client).retransmissions == 0
    run(["ip", "link", "set", "eth0", "down"], netns=server)
    with netns.entered(client), socket.socket() as caller:
        caller.settimeout(1.8)
        with contextlib.suppress(OSError):
            caller.connect(("10.9.0.1", 80))
    assert counters(client).retransmissions == 1
    assert retransmissions(client) == 1
    assert counters(client).most_tracked is None or counters(client).tracked is not None


def test_no_namespace(tmp_path: Path) -> None:
    with pytest.raises(KernelRefused):
        counters(tmp_path / "nothing")
