"""The plan is a value: the same lab gives the same names, indexes and addresses."""

from __future__ import annotations

import ipaddress

import pytest
from msgspec.structs import replace

from netlab.network import names, plan
from netlab.network.model import Route
from netlab.objects.lab import lab_from_object


def lab(name="demo", **spec):
    return lab_from_object({"metadata": {"name": name}, "spec": {"nodes": 3, **spec}})


def pod(lab_, node=1, name="web", uid="u1", number=2):
    entry = lab_.nodes[node]
    ips = [plan.address_at(cidr, number) for cidr in entry.pod_cidrs]
    return plan.pod_link(lab_, entry, "default", name, uid, ips)


def test_same_lab_same_network():
    assert plan.cluster(lab()) == plan.cluster(lab())


def test_namespaces_are_named_after_the_lab():
    network = plan.cluster(lab())
    assert [namespace.name for namespace in network.namespaces] == [
        "demo.fabric",
        "demo.master001",
        "demo.worker001",
        "demo.worker002",
        "demo.client",
        "demo.internet",
    ]


def test_node_has_a_foot_on_both_networks_and_a_bridge_for_its_pods():
    node = plan.cluster(lab()).namespace("demo.worker001")
    assert node.link("eth0").addresses == ("10.10.11.11/24",)
    assert node.link("eth1").addresses == ("172.16.110.11/24",)
    assert node.link("cni0").addresses == ("10.244.1.1/24",)


def test_node_reaches_other_nodes_pods_by_their_internal_addresses():
    node = plan.cluster(lab()).namespace("demo.worker001")
    assert node.routes == (
        Route("0.0.0.0/0", "eth1", "172.16.110.1"),
        Route("10.244.0.0/24", "eth0", "10.10.11.10"),
        Route("10.244.2.0/24", "eth0", "10.10.11.12"),
    )


def test_internet_has_no_way_back_and_fabric_no_address():
    network = plan.cluster(lab())
    assert network.namespace("demo.internet").routes == ()
    fabric = network.namespace("demo.fabric")
    assert [link.addresses for link in fabric.links] == [()] * len(fabric.links)
    values = {sysctl.name: sysctl.value for sysctl in fabric.sysctls}
    assert values["net.ipv4.ip_forward"] == "0"


def test_without_a_node_the_others_lose_the_way_to_its_pods_and_nothing_else():
    here = lab(ipFamilies=["IPv4", "IPv6"])
    first, gone, last = here.nodes
    whole, rest = plan.cluster(here), plan.cluster(here, [first, last])
    assert whole.names - rest.names == {f"demo.{gone.name}"}
    ways = {route.destination for route in whole.namespace("demo.worker002").routes}
    assert set(gone.pod_cidrs) <= ways
    for namespace in rest.namespaces:
        before = whole.namespace(namespace.name)
        links = tuple(link for link in before.links if not link.name.startswith(gone.name))
        routes = tuple(r for r in before.routes if r.destination not in gone.pod_cidrs)
        assert namespace == replace(before, links=links, routes=routes)
    assert plan.alone(here, first).namespaces[0].links == whole.namespace("demo.master001").links


def test_a_node_more_or_a_client_more_changes_nobody_elses_port():
    def ports(nodes, clients):
        spec = {"nodes": nodes, "external": {"clients": [{"name": name} for name in clients]}}
        lab = lab_from_object({"metadata": {"name": "t"}, "spec": spec})
        return {link.name: link for link in plan.fabric(lab, lab.nodes).links if link.peer}

    few, more = ports(2, ["client"]), ports(5, ["client", "another"])
    assert len(more) == len(few) + 2 * 3 + 1
    assert {name: more[name] for name in few} == few
    assert len({link.index for link in more.values()}) == len(more)


def test_every_fabric_port_leads_to_a_planned_link_with_the_same_index_and_mac():
    network = plan.cluster(lab(ipFamilies=["IPv4", "IPv6"]))
    ports = [link for link in network.namespace("demo.fabric").links if link.peer]
    assert len(ports) == 3 * 2 + 2
    for port in ports:
        planned = network.namespace(port.peer.namespace).link(port.peer.name)
        assert (planned.index, planned.mac) == (port.peer.index, port.peer.mac)


def test_indexes_names_and_macs_are_unique_in_each_namespace():
    for namespace in plan.cluster(lab(nodes=30)).namespaces:
        for values in (
            [link.index for link in namespace.links],
            [link.name for link in namespace.links],
            [link.mac for link in namespace.links if link.mac],
        ):
            assert len(values) == len(set(values))


def test_link_names_fit_the_kernel():
    long = lab(nodes=[{"name": "a-node-with-a-name-much-too-long-for-an-interface.example"}])
    for namespace in plan.cluster(long).namespaces:
        assert all(len(link.name) <= 15 for link in namespace.links)


def test_long_namespace_names_are_shortened_and_stay_distinct():
    first = names.namespace("demo", "n" * 63, "p" * 250 + "a")
    second = names.namespace("demo", "n" * 63, "p" * 250 + "b")
    assert len(first) == len(second) == 200
    assert first != second


def test_macs_are_locally_administered_unicast():
    for words in (("a",), ("a", "b"), ("pod", "uid")):
        first = int(names.mac(*words).split(":")[0], 16)
        assert first & 0b11 == 0b10


def test_macs_depend_on_where_words_end():
    assert names.mac("ab", "c") != names.mac("a", "bc")


def test_ipv6_is_off_unless_asked_for():
    def values(network, name):
        return {s.name: s.value for s in network.namespace(name).sysctls}

    off = values(plan.cluster(lab()), "demo.worker001")
    assert off["net.ipv6.conf.all.disable_ipv6"] == "1"
    on = values(plan.cluster(lab(ipFamilies=["IPv4", "IPv6"])), "demo.worker001")
    assert on["net.ipv6.conf.all.disable_ipv6"] == "0"
    assert on["net.ipv6.conf.all.forwarding"] == "1"


def test_dual_stack_routes_stay_in_their_family():
    for namespace in plan.cluster(lab(ipFamilies=["IPv4", "IPv6"])).namespaces:
        for route in namespace.routes:
            version = ipaddress.ip_network(route.destination).version
            assert ipaddress.ip_address(route.gateway).version == version


@pytest.mark.parametrize(
    ("spec", "rules"),
    [
        ({}, "auto"),
        ({"iptables": "nft"}, "nft"),
        ({"iptables": "legacy"}, "legacy"),
        ({"iptables": "libiptc"}, "legacy"),
        ({"proxyMode": "nftables"}, "nftables"),
    ],
)
def test_masquerading_is_written_in_the_proxys_own_way(spec, rules):
    assert plan.cluster(lab(**spec)).rules == rules


def test_pod_hangs_on_its_nodes_bridge_with_hairpin():
    link = pod(lab())
    assert link.node == "demo.worker001"
    assert link.name == "demo.default.web"
    assert (link.port.master, link.port.as_port.hairpin) == ("cni0", True)
    node = plan.cluster(lab()).namespace(link.node)
    assert link.master_index == node.link("cni0").index
    assert link.inside.link("eth0").addresses == ("10.244.1.2/24",)
    assert link.inside.routes == (Route("0.0.0.0/0", "eth0", "10.244.1.1"),)


def test_pod_ports_of_a_node_are_distinct_even_for_a_reused_address():
    ports = [pod(lab(), uid=f"u{n}", number=n).port for n in range(2, 250)]
    ports.append(pod(lab(), uid="successor", number=2).port)
    assert len({port.index for port in ports}) == len(ports)
    assert len({port.name for port in ports}) == len(ports)
    assert all(0 < port.index < 1 << 31 and len(port.name) == 12 for port in ports)


def test_pod_address_outside_its_nodes_range_is_refused():
    entry = lab().nodes[1]
    with pytest.raises(ValueError, match=r"10\.244\.9\.9 lies in none of 10\.244\.1\.0/24"):
        plan.pod_link(lab(), entry, "default", "web", "u", ["10.244.9.9"])


def test_the_internet_has_the_addresses_that_names_are_given_unless_they_are_the_labs():
    given = ["203.0.113.10", "198.51.100.1", "2001:db8::9", "127.0.0.1"]
    inside = ["10.10.11.10", "10.244.1.2", "10.96.0.1", "172.16.110.200"]
    names_ = {"a.example": given, "b.example": inside, "c.example": "203.0.113.10"}
    made = lab(external={"names": names_})
    assert plan.web_ips(made) == ("198.51.100.1", "203.0.113.10")
    loopback = plan.internet(made).link("lo")
    resolvers = ("8.8.8.8/32", "8.8.4.4/32", "1.1.1.1/32", "1.0.0.1/32")
    assert loopback.addresses == ("198.51.100.1/32", "203.0.113.10/32", *resolvers)
    assert plan.public_ips(made) == ("198.51.100.1",)


def test_where_nodes_have_caches_their_address_refuses_without_one():
    network = plan.cluster(lab("c", dns={"nodeLocal": {"address": "169.254.25.10"}}))
    for name in ("c.master001", "c.worker001"):
        node = network.namespace(name)
        assert node.link("lo").addresses == ("169.254.25.10/32",)
        assert ("net.ipv4.icmp_ratelimit", "0") in [(one.name, one.value) for one in node.sysctls]
    assert network.namespace("c.client").link("lo").addresses == ()
