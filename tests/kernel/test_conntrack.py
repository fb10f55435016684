"""One connection of connection tracking's, by its tuple, and one route: real namespaces."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from netlab.kernel import netns
from netlab.kernel.conntrack import Tuple, connection, flows_to, replied_by
from netlab.kernel.routes import Routing
from netlab.kernel.run import run

pytestmark = pytest.mark.root

NAT = "*nat\n-A OUTPUT -d {0}9 -p udp --dport 99 -j DNAT --to-destination {1}1{2}:98\nCOMMIT\n"
LINKS = """\
link set lo up
link add br0 type bridge
addr add 10.9.0.1/24 dev br0
addr add fd09::1/64 dev br0 nodad
link set br0 up
link add port type veth peer name eth0 netns {pod}
link set port master br0 up
link set port type bridge_slave learning on
addr add 10.9.1.1/24 dev lo
addr add fd09:1::1/64 dev lo nodad
route add default via 10.9.0.2
route add 10.8.0.0/16 via 10.9.0.3
route add prohibit 10.7.0.0/16
"""


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A node with a bridge, and a pod at one of its ports."""
    node, pod = tmp_path / "node", tmp_path / "pod"
    for path in (node, pod):
        os.close(netns.create(path))
    run(["ip", "-batch", "-"], netns=node, input=LINKS.format(pod=pod))
    pod_side = "addr add 10.9.0.2/24 dev eth0\nlink set eth0 up\n"
    run(["ip", "-batch", "-"], netns=pod, input=pod_side)
    yield node
    for path in (node, pod):
        netns.remove(path)


@pytest.mark.parametrize(
    ("program", "network", "inside", "family"),
    [
        ("iptables-nft-restore", "10.9.1.", "10.9.1.", socket.AF_INET),
        ("ip6tables-nft-restore", "fd09:1::", "[fd09:1::", socket.AF_INET6),
    ],
)
def test_a_connection_is_found_by_its_first_packet(
    place: Path, program: str, network: str, inside: str, family: socket.AddressFamily
) -> None:
    closing = "]" if family == socket.AF_INET6 else ""
    if family == socket.AF_INET6:
        run(["ip", "route", "add", "fd09:1::9/128", "dev", "br0"], netns=place)
    run([program], netns=place, input=NAT.format(network, inside, closing))
    with netns.entered(place), socket.socket(family, socket.SOCK_DGRAM) as sender:
        sender.bind((f"{network}1", 0))
        port = sender.getsockname()[1]
        sender.sendto(b"x", (f"{network}9", 99))
    found = connection(place, "udp", Tuple(f"{network}1", port, f"{network}9", 99))
    assert found is not None
    assert found.reply == Tuple(f"{network}1", 98, f"{network}1", port)
    assert not found.is_plain
    assert (found.state, found.seen_reply) == ("", False)
    assert 0 < found.timeout <= 120
    same = replied_by(place, "udp", found.reply)
    assert same is not None and same.timeout <= found.timeout  # a second may have gone by
    assert replace(same, timeout=found.timeout) == found
    assert replied_by(place, "udp", Tuple(f"{network}1", 99, f"{network}1", port)) is None
    assert list(flows_to(place, "udp", f"{network}9", 99)) == [found.original]
    assert list(flows_to(place, "udp", f"{network}9", 0)) == [found.original]
    assert list(flows_to(place, "udp", f"{network}9", 98)) == []
    assert list(flows_to(place, "udp", f"{network}1", 98)) == [], "an answer's source"
    assert list(flows_to(place, "tcp", f"{network}9", 99)) == []
    assert connection(place, "udp", Tuple(f"{network}1", port, f"{network}9", 100)) is None
    assert connection(place, "tcp", Tuple(f"{network}1", port, f"{network}9", 99)) is None


def test_an_echo_is_found_by_its_identifier(place: Path) -> None:
    run(["iptables-nft-restore"], netns=place, input=NAT.format("10.9.1.", "10.9.1.", ""))
    listed = run(["conntrack", "-L", "-p", "icmp"], netns=place).stdout
    run(["ping", "-c1", "-W1", "10.9.1.1"], netns=place)
    listed = run(["conntrack", "-L", "-p", "icmp"], netns=place).stdout
    number = int(listed.partition(" id=")[2].split()[0])
    found = connection(place, "icmp", Tuple("10.9.1.1", number, "10.9.1.1", 0))
    assert found is not None
    assert found.is_plain
    assert found.seen_reply


def test_the_route_used_is_told(place: Path) -> None:
    with Routing(place) as kernel:
        near = kernel.route("10.9.0.2")
        assert (near.kind, near.destination, near.link) == ("unicast", "10.9.0.0/24", "br0")
        far = kernel.route("10.8.1.2")
        assert (far.destination, far.gateway) == ("10.8.0.0/16", "10.9.0.3")
        assert kernel.route("10.1.1.1").destination == "default"
        assert kernel.route("10.9.0.1").kind == "local"
        assert kernel.route("10.7.0.1").kind in ("prohibit", "none")
        assert kernel.route("fd88::1").kind == "none"


def test_mark_and_interface_count(place: Path) -> None:
    run(["ip", "rule", "add", "fwmark", "0x4", "lookup", "77"], netns=place)
    run(["ip", "route", "add", "default", "via", "10.9.0.7", "table", "77"], netns=place)
    run(["sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv4.conf.all.rp_filter=0"], netns=place)
    with Routing(place) as kernel:
        for more in ({}, {"source": "10.9.0.2", "iif": "br0"}):
            marked = kernel.route("10.1.1.1", mark=4, **more)
            assert (marked.gateway, marked.table) == ("10.9.0.7", 77)
            assert kernel.route("10.1.1.1", **more).gateway == "10.9.0.2"


def test_the_next_machine_and_its_port(place: Path) -> None:
    with Routing(place) as kernel:
        assert kernel.neighbour("br0", "10.9.0.2").known is False
        run(["ping", "-c1", "-W1", "10.9.0.2"], netns=place)
        near = kernel.neighbour("br0", "10.9.0.2")
        assert near.mac.count(":") == 5
        assert kernel.port_of("br0", near.mac) == "port"
        assert kernel.bridge_of("port") == "br0"
        assert kernel.bridge_of("br0") == ""
        assert kernel.port_of("port", near.mac) == ""
        assert kernel.port_of("br0", "02:00:00:00:00:99") == ""
        run(["ip", "neigh", "add", "10.9.0.9", "dev", "br0", "nud", "failed"], netns=place)
        assert (kernel.neighbour("br0", "10.9.0.9").mac) == ""
