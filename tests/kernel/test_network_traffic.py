"""Packets through a lab's network without any Service: who reaches whom, and as whom."""

from __future__ import annotations

import pytest

from netlab.kernel import paths, sysctl
from netlab.kernel.run import run

pytestmark = pytest.mark.root


def dnat(lab, node: str, service: str, endpoint: str) -> None:
    """One hand-written rule: what a Service with one endpoint comes down to."""
    rule = ["-d", service, "-p", "tcp", "--dport", "80", "-j", "DNAT", "--to-destination", endpoint]
    for chain in ("PREROUTING", "OUTPUT"):
        run(["iptables", "-w", "-t", "nat", "-A", chain, *rule], netns=lab.path(node))


@pytest.fixture
def pods(running):
    """web and its neighbour on worker001, far on worker002; web and far serve port 8080."""
    running.attach(
        running.pod("worker001", "web", 2),
        running.pod("worker001", "near", 3),
        running.pod("worker002", "far", 2),
    )
    with running.listen("default.web", "10.244.1.2", 8080):
        yield running


def test_pods_of_one_node_and_of_two_reach_each_other_unmasqueraded(pods):
    assert pods.connect("default.near", "10.244.1.2", 8080) == ("10.244.1.3", "t.default.web")
    assert pods.connect("default.far", "10.244.1.2", 8080) == ("10.244.2.2", "t.default.web")


def test_nodes_reach_pods_and_each_other(pods):
    assert pods.connect("worker001", "10.244.1.2", 8080)[0] == "10.244.1.1"
    assert pods.connect("worker002", "10.244.1.2", 8080)[0] == "10.10.11.12"
    with pods.listen("worker001", "10.10.11.11", 10250):
        assert pods.connect("master001", "10.10.11.11", 10250)[0] == "10.10.11.10"
        assert pods.connect("default.far", "10.10.11.11", 10250)[0] == "10.244.2.2"


def test_client_reaches_nodes_by_their_external_addresses_alone(pods):
    with pods.listen("worker001", "0.0.0.0", 30080):
        assert pods.connect("client", "172.16.110.11", 30080) == (
            "172.16.110.100",
            "t.worker001",
        )
        with pytest.raises(OSError):
            pods.connect("client", "10.10.11.11", 30080, timeout=0.3)
    with pytest.raises(OSError):
        pods.connect("client", "10.244.1.2", 8080, timeout=0.3)


def test_client_gets_no_arp_answer_for_internal_addresses_on_its_own_wire(pods):
    """A route that calls internal addresses on-link asks by ARP, which no node may answer."""
    argv = ["ip", "route", "add", "10.0.0.0/8", "dev", "eth0"]
    run(argv, netns=pods.path("client"))
    with pods.listen("worker001", "0.0.0.0", 30080), pytest.raises(OSError):
        pods.connect("client", "10.10.11.11", 30080, timeout=0.3)
    with pytest.raises(OSError):
        pods.connect("client", "10.244.1.1", 30080, timeout=0.3)


def test_pods_leave_the_cluster_with_their_nodes_external_address(pods):
    with pods.listen("internet", "198.51.100.1", 80), pods.listen("client", "172.16.110.100", 80):
        assert pods.connect("default.far", "198.51.100.1", 80)[0] == "172.16.110.12"
        assert pods.connect("default.far", "172.16.110.100", 80)[0] == "172.16.110.12"
        assert pods.connect("client", "198.51.100.1", 80)[0] == "172.16.110.100"


def test_unmasqueraded_packets_get_no_answer_from_the_internet(pods):
    run(
        ["iptables", "-w", "-t", "nat", "-F", "POSTROUTING"],
        netns=pods.path("worker002"),
    )
    with pods.listen("internet", "198.51.100.1", 80), pytest.raises(OSError):
        pods.connect("default.far", "198.51.100.1", 80, timeout=0.3)


def test_same_bridge_service_needs_and_has_bridge_netfilter(pods):
    dnat(pods, "worker001", "10.96.0.80", "10.244.1.2:8080")
    assert pods.connect("default.near", "10.96.0.80", 80) == ("10.244.1.3", "t.default.web")
    sysctl.set(pods.path("worker001"), {"net.bridge.bridge-nf-call-iptables": "0"})
    with pytest.raises(OSError):
        pods.connect("default.near", "10.96.0.80", 80, timeout=0.3)


def test_pod_reaches_itself_through_a_service_by_hairpin(pods):
    dnat(pods, "worker001", "10.96.0.80", "10.244.1.2:8080")
    masquerade = ["-s", "10.244.1.2", "-d", "10.244.1.2", "-j", "MASQUERADE"]
    run(
        ["iptables", "-w", "-t", "nat", "-A", "POSTROUTING", *masquerade],
        netns=pods.path("worker001"),
    )
    assert pods.connect("default.web", "10.96.0.80", 80)[0] == "10.244.1.1"
    port = pods.pod("worker001", "web", 2).port.name
    run(["bridge", "link", "set", "dev", port, "hairpin", "off"], netns=pods.path("worker001"))
    with pytest.raises(OSError):
        pods.connect("default.web", "10.96.0.80", 80, timeout=0.3)


def test_service_from_the_node_itself_and_from_another_node(pods):
    dnat(pods, "worker001", "10.96.0.80", "10.244.1.2:8080")
    dnat(pods, "worker002", "10.96.0.80", "10.244.1.2:8080")
    assert pods.connect("worker001", "10.96.0.80", 80)[1] == "t.default.web"
    assert pods.connect("default.far", "10.96.0.80", 80) == ("10.244.2.2", "t.default.web")


def test_loopback_node_port_is_routed(pods):
    """127.0.0.1:30080 on a node: route_localnet lets the rewritten packet leave."""
    dnat(pods, "worker001", "127.0.0.1", "10.244.1.2:8080")
    run(
        ["iptables", "-w", "-t", "nat", "-A", "POSTROUTING", "-o", "cni0", "-j", "MASQUERADE"],
        netns=pods.path("worker001"),
    )
    assert pods.connect("worker001", "127.0.0.1", 80)[1] == "t.default.web"


def test_detached_pod_is_out_of_reach_at_once_even_while_something_lives_in_it(pods):
    from netlab.network import apply

    web = pods.pod("worker001", "web", 2)
    apply.detach_pods([web], pods.directory)
    with pytest.raises(OSError):
        pods.connect("default.near", "10.244.1.2", 8080, timeout=0.3)
    assert not paths.namespace(pods.directory, web.name).exists()
    assert not paths.netns_link(web.name).is_symlink()


def test_dual_stack(labs):
    lab = labs.make(ipFamilies=["IPv4", "IPv6"])
    with labs.standing(lab) as up:
        near, far = up.pod("worker001", "near", 2), up.pod("worker002", "far", 2)
        up.attach(near, far)
        far4, far6 = (a.split("/")[0] for a in far.inside.link("eth0").addresses)
        with up.listen("default.far", far6, 80), up.listen("default.far", far4, 80):
            near4, near6 = (a.split("/")[0] for a in near.inside.link("eth0").addresses)
            assert up.connect("default.near", far6, 80)[0] == near6
            assert up.connect("default.near", far4, 80)[0] == near4
        external = lab.nodes[1].external_ips[1]
        with up.listen("client", lab.external.clients[0].ips[1], 80):
            seen = up.connect("default.near", lab.external.clients[0].ips[1], 80)[0]
            assert seen == external
        with up.listen("worker001", "::", 30080):
            assert up.connect("client", external, 30080)[0] == lab.external.clients[0].ips[1]
            with pytest.raises(OSError):
                up.connect("client", lab.nodes[1].internal_ips[1], 30080, timeout=0.3)
