"""Addresses that nodes answer for on load balancers' behalf: found, moved, never a source."""

from __future__ import annotations

import pytest

from netlab.kernel.run import run
from netlab.network import apply, plan

pytestmark = pytest.mark.root

DUAL = {"ipFamilies": ["IPv4", "IPv6"]}
VIPS = ("172.16.110.200", "fd00:172:16:110::200")
OWN = ("172.16.110.11", "fd00:172:16:110::11")


def announce(lab, **wanted: list[str]):
    """Have these nodes answer for these addresses, and no others for any."""
    nodes = {plan.node_name(lab.lab, node.name): [] for node in lab.lab.nodes}
    for node, ips in wanted.items():
        nodes[plan.node_name(lab.lab, node)] = [plan.announced(ip) for ip in ips]
    return apply.ensure_announced(lab.network, nodes, lab.directory)


def neighbour(lab, ip: str) -> str:
    """The hardware address that the client knows an address by."""
    family = "-6" if ":" in ip else "-4"
    line = run(["ip", family, "neigh", "show", ip], netns=lab.path("client")).stdout
    return line.split("lladdr ")[1].split()[0] if "lladdr" in line else ""


def mac(lab, node: str) -> str:
    return lab.network.namespace(plan.node_name(lab.lab, node)).link("eth1").mac


@pytest.fixture
def dual(labs):
    with labs.standing(labs.make(**DUAL)) as lab:
        yield lab


@pytest.mark.parametrize("vip", VIPS)
def test_a_client_follows_an_address_at_once(dual, vip):
    anywhere = "::" if ":" in vip else "0.0.0.0"
    with dual.listen("worker001", anywhere, 80), dual.listen("worker002", anywhere, 80):
        with pytest.raises(OSError):
            dual.connect("client", vip, 80, timeout=0.3)
        announce(dual, worker001=[vip])
        assert dual.connect("client", vip, 80)[1] == "t.worker001"
        assert neighbour(dual, vip) == mac(dual, "worker001")
        announce(dual, worker002=[vip])
        assert neighbour(dual, vip) == mac(dual, "worker002")
        assert dual.connect("client", vip, 80, timeout=0.5)[1] == "t.worker002"
        announce(dual)
        with pytest.raises(OSError):
            dual.connect("client", vip, 80, timeout=0.3)


def test_what_stands_is_left_alone_and_what_is_lost_put_back(dual):
    assert announce(dual, worker001=VIPS) != ()
    assert announce(dual, worker001=VIPS) == ()
    assert apply.ensure_cluster(dual.network, dual.directory) == ()
    run(["ip", "address", "del", f"{VIPS[0]}/32", "dev", "eth1"], netns=dual.path("worker001"))
    assert {each.address for each in announce(dual, worker001=VIPS)} == {f"{VIPS[0]}/32"}
    assert announce(dual, worker001=VIPS) == ()


@pytest.mark.parametrize("damage", ["true", "ip link set eth1 down"])
@pytest.mark.parametrize("family", [0, 1], ids=["IPv4", "IPv6"])
def test_nobody_speaks_with_an_announced_address(dual, damage, family):
    """The client's own address is nearer to the announced one than to the node's: in IPv6 the
    longest common prefix decides, unless the address is deprecated."""
    pod = dual.pod("worker001", "web", 2)
    dual.attach(pod)
    announce(dual, worker001=VIPS)
    run(["sh", "-ec", damage], netns=dual.path("worker001"))
    apply.ensure_cluster(dual.network, dual.directory)
    announce(dual, worker001=VIPS)
    client = dual.lab.external.clients[0].ips[family]
    public = plan.PUBLIC_ADDRESSES[family].split("/")[0]
    with dual.listen("client", client, 80), dual.listen("internet", public, 80):
        for place in ("worker001", "default.web"):
            assert dual.connect(place, client, 80)[0] == OWN[family]
            assert dual.connect(place, public, 80)[0] == OWN[family]
    with dual.listen("worker002", dual.lab.nodes[2].external_ips[family], 80):
        there = dual.lab.nodes[2].external_ips[family]
        assert dual.connect("worker001", there, 80)[0] == OWN[family]
