"""What a socket hears of a namespace, and of those it is linked with."""

from __future__ import annotations

import os
import select
import socket
import struct
import time

import pytest

from netlab.kernel import netns, notices
from netlab.kernel.netlink import NetlinkSocket
from netlab.kernel.run import run
from netlab.network.names import FIRST_POD_PORT_INDEX

pytestmark = pytest.mark.root

BRIDGE = 4
"""The index of a node's cni0, which comes up with its first pod."""


@pytest.fixture
def node(running):
    with_ears = notices.of_links(running.path("worker001"))
    with_ears.hear_neighbours()
    yield with_ears
    with_ears.close()


def heard(ear, seconds=2.0):
    """Everything heard until it is quiet, after there was something."""
    found = notices.Notes()
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        ready, _, _ = select.select([ear], [], [], 0.2 if found.heard else seconds)
        if not ready:
            break
        for number, what in ear.take().heard.items():
            found.heard[number].indexes |= what.indexes
            found.heard[number].others |= what.others
    return found.heard


SAID = {
    "link": ("ip link set eth0 down", {2}, None),
    "mtu": ("ip link set eth1 mtu 576", {3}, None),
    "address": ("ip addr del 10.10.11.11/24 dev eth0", set(), True),
    "route gone": ("ip route del default", set(), True),
    "route replaced": ("ip route replace default via 172.16.110.100", set(), True),
    "forwarding": ("sysctl -qw net.ipv4.ip_forward=0", set(), True),
    "neighbour": (
        "ip neigh replace 10.10.11.12 lladdr 02:00:00:00:00:99 dev eth0 nud permanent",
        {2},
        None,
    ),
}


@pytest.mark.parametrize("what", SAID)
def test_changes_of_a_node_are_heard(running, node, what):
    command, indexes, others = SAID[what]
    run(["sh", "-ec", command], netns=running.path("worker001"))
    own = heard(node)[notices.OWN]
    assert indexes <= own.indexes
    assert others is None or own.others is others


def test_what_the_kernel_finds_out_about_neighbours_is_not(running, node):
    while heard(node, 1.2):  # of its own links: the kernel tells of carriers once a second
        pass
    with running.listen("worker002", "10.10.11.12", 1000):
        running.connect("worker001", "10.10.11.12", 1000)
    run(["ip", "neigh", "flush", "all"], netns=running.path("worker001"))
    assert not heard(node, 0.5)[notices.OWN].indexes


def test_a_node_hears_of_its_pods_and_their_ports(running, node):
    pod = running.pod("worker001", "web", 2)
    running.attach(pod)
    heard(node)
    path = running.path("default.web")
    with (
        netns.opened(path) as descriptor,
        NetlinkSocket(running.path("worker001")) as asking,
    ):
        number = notices.number_of(asking, descriptor)
    assert number >= 0
    run(["ip", "route", "del", "default"], netns=path)
    assert heard(node)[number].others
    run(["ip", "link", "set", pod.port.name, "mtu", "576"], netns=running.path("worker001"))
    own = heard(node)[notices.OWN].indexes
    assert pod.port.index in own
    assert pod.port.index >= FIRST_POD_PORT_INDEX
    filters = ["tc", "qdisc", "del", "dev", pod.port.name, "ingress"]
    run(filters, netns=running.path("worker001"))
    assert pod.port.index in heard(node)[notices.OWN].indexes


def test_what_a_pod_says_by_itself_is_nobodys_change(running, node):
    """A pod with NET_ADMIN may speak netlink to all who listen, its node's ears among them."""
    pod = running.pod("worker001", "web", 2)
    running.attach(pod)
    heard(node)
    with netns.entered(running.path("default.web")):
        loud = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    with loud:
        for junk in (b"\x05\0\0\0\x11", struct.pack("=IHHII", 16, 29, 0, 0, 0), bytes(28)):
            loud.sendto(junk, (0, 1))
        notes = node.take()
    assert not notes.heard
    run(["ip", "link", "set", "eth1", "mtu", "576"], netns=running.path("worker001"))
    assert 3 in heard(node)[notices.OWN].indexes


def test_attaching_a_pod_is_heard_of_in_a_few_words(running, node):
    """There may be a thousand, and each word costs some microseconds."""
    running.attach(running.pod("worker001", "first", 2))
    heard(node)
    words = []

    taken = node._socket
    running.attach(running.pod("worker001", "second", 3))
    time.sleep(0.3)
    while select.select([taken], [], [], 0)[0]:
        words.append(taken.recv(32))
    assert 0 < len(words) <= 14


def test_a_pod_that_comes_says_of_its_node_nothing_but_its_port(running, node):
    """Else all of the cluster is looked at for each."""
    first, pod = running.pod("worker001", "first", 2), running.pod("worker001", "second", 3)
    running.attach(first)
    heard(node)
    running.attach(pod)
    own = heard(node)[notices.OWN]
    late = {first.port.index, BRIDGE}  # the kernel goes on telling of what has come up just now
    assert (own.indexes - late, own.others) == ({pod.port.index}, False)


def test_more_than_anybody_keeps_is_said_to_be_lost(running, node):
    lines = "\n".join(f"link set eth0 mtu {1400 + n % 2}" for n in range(8000))
    run(["ip", "-batch", "-"], netns=running.path("worker001"), input=lines)
    notes = node.take()
    assert notes.more
    lost = notes.lost
    while notes.more:
        notes = node.take()
        lost |= notes.lost
    assert lost


def test_a_namespace_whose_name_was_deleted_gets_it_back(running, node):
    path = running.path("worker001")
    before = path.stat().st_ino
    descriptor = node.namespace()
    netns.remove(path)
    assert not netns.exists(path)
    netns.mount_again(path, descriptor)
    os.close(descriptor)
    assert netns.exists(path)
    assert path.stat().st_ino == before


def test_mounts_are_heard_of(running):
    mounts = notices.MountNotices()
    try:
        netns.remove(running.path("internet"))
        assert select.select([mounts], [], [], 2)[0]
        mounts.take()
    finally:
        mounts.close()


def test_every_transaction_of_nf_tables_is_heard(running):
    ear = notices.of_rules(running.path("worker001"))
    try:
        run(["nft", "add", "table", "ip", "mine"], netns=running.path("worker001"))
        assert select.select([ear], [], [], 2)[0]
        assert ear.take().heard
        run(["nft", "list", "ruleset"], netns=running.path("worker001"))
        assert not select.select([ear], [], [], 0.1)[0]
    finally:
        ear.close()
