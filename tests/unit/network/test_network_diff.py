"""What is missing is added, what differs is mended, what is others' is left alone."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from netlab.network import findings, plan, pod_diff
from netlab.network.diff import announcements, diff, stations
from netlab.network.model import Link, Neighbour, Port, Route, Sysctl
from netlab.network.operations import (
    AddAddress,
    AddGuard,
    AddIngressQdisc,
    AddMasquerade,
    AddRoute,
    AddStation,
    AddVeth,
    Announce,
    CreateNamespace,
    DeleteAddress,
    DeleteIngressQdisc,
    DeleteLink,
    DeleteNeighbour,
    DeleteRoute,
    Rename,
    SetMac,
    SetMaster,
    SetMtu,
    SetPort,
    SetSysctl,
    SetUp,
)
from netlab.objects.lab import lab_from_object

LAB = lab_from_object({"metadata": {"name": "demo"}, "spec": {"nodes": 2}})
WANTED = plan.cluster(LAB)
NODE = "demo.worker001"


def as_read(network=WANTED):
    """What `read.state` gives for a network that stands as planned."""
    return {
        namespace.name: replace(
            namespace, links=tuple(replace(link, peer=None) for link in namespace.links)
        )
        for namespace in network.namespaces
    }


def changed(where, /, **fields):
    state = as_read()
    state[where] = replace(state[where], **fields)
    return diff(WANTED, state)


def with_link(where, link_name, /, **fields):
    links = as_read()[where].links
    new = tuple(replace(link, **fields) if link.name == link_name else link for link in links)
    return changed(where, links=new)


def test_nothing_to_do_for_what_stands():
    assert diff(WANTED, as_read()) == ()


def test_from_nothing_namespaces_come_first_and_rules_last():
    operations = diff(WANTED, {})
    kinds = [type(operation) for operation in operations]
    count = len(WANTED.namespaces)
    assert set(kinds[:count]) == {CreateNamespace}
    assert kinds[-2:] == [AddMasquerade, AddMasquerade]
    assert CreateNamespace not in kinds[count:]


def test_every_link_is_made_before_it_is_used():
    made = {(namespace.name, "lo") for namespace in WANTED.namespaces}
    for operation in diff(WANTED, {}):
        if hasattr(operation, "link"):
            made.add((operation.namespace, operation.link.name))
            if operation.link.peer:
                made.add((operation.link.peer.namespace, operation.link.peer.name))
        elif isinstance(operation, SetUp | AddAddress):
            assert (operation.namespace, operation.name) in made
        elif isinstance(operation, AddRoute):
            assert (operation.namespace, operation.route.link) in made


def test_link_down_is_brought_up():
    assert with_link(NODE, "eth0", up=False) == (SetUp(NODE, "eth0", 2),)


def test_wrong_address_is_replaced():
    assert with_link(NODE, "eth0", addresses=("10.10.11.99/24",)) == (
        DeleteAddress(NODE, "eth0", 2, "10.10.11.99/24"),
        AddAddress(NODE, "eth0", 2, "10.10.11.11/24"),
    )


def test_foreign_addresses_on_loopback_stay():
    links = as_read()[NODE].links
    assert links[0].name == "lo"
    assert with_link(NODE, "lo", addresses=("127.0.0.1/8", "192.0.2.1/32")) == ()


def test_missing_and_extra_routes():
    extra = Route("192.0.2.0/24", "eth0", "10.10.11.10")
    routes = as_read()[NODE].routes
    operations = changed(NODE, routes=(*routes[1:], extra))
    assert operations == (DeleteRoute(NODE, extra, 2), AddRoute(NODE, routes[0], 3))


def test_sysctl_set_back():
    sysctls = (Sysctl("net.ipv4.ip_forward", "0"), *as_read()[NODE].sysctls[1:])
    assert changed(NODE, sysctls=sysctls) == (SetSysctl(NODE, Sysctl("net.ipv4.ip_forward", "1")),)


def test_sysctl_that_the_kernel_lacks_is_only_missed_when_required():
    sysctls = tuple(entry for entry in as_read()[NODE].sysctls if entry.required)
    assert changed(NODE, sysctls=sysctls) == ()


def test_sysctl_values_are_compared_by_words():
    link = pod()
    tabbed = tuple(
        replace(entry, value=entry.value.replace(" ", "\t")) for entry in link.inside.sysctls
    )
    assert not pod_diff.differs(link, replace(link.inside, sysctls=tabbed), port_of(link))


def test_port_that_left_its_bridge_comes_back():
    assert with_link("demo.fabric", "worker001-eth0", master=None) == (
        SetMaster("demo.fabric", "worker001-eth0", 32, "nodes", 2),
    )


def test_unknown_veth_in_the_fabric_goes_but_stays_in_a_node():
    stray = Link("veth0", 99, "veth")
    fabric = as_read()["demo.fabric"].links
    assert changed("demo.fabric", links=(*fabric, stray)) == (
        DeleteLink("demo.fabric", "veth0", 99),
    )
    assert changed(NODE, links=(*as_read()[NODE].links, stray)) == ()


def test_namespace_that_is_gone_is_made_anew_with_new_pairs():
    state = as_read()
    del state[NODE]
    operations = diff(WANTED, state)
    made = [op.link.name for op in operations if isinstance(op, AddVeth)]
    gone = [op.name for op in operations if isinstance(op, DeleteLink)]
    assert made == gone == ["worker001-eth0", "worker001-eth1"]
    assert operations[0] == CreateNamespace(NODE)
    assert {op.namespace for op in operations} == {NODE, "demo.fabric"}


def test_link_with_the_wrong_index_is_made_anew():
    operations = with_link("demo.fabric", "worker001-eth0", index=77)
    assert operations[:2] == (
        DeleteLink("demo.fabric", "worker001-eth0", 77),
        DeleteLink(NODE, "eth0", 2),  # were it not its peer, it would still be in the way
    )
    assert [type(op) for op in operations[2:]] == [AddVeth, SetUp, AddAddress, AddRoute]


def test_lost_fabric_takes_old_ends_out_of_the_way_first():
    state = as_read()
    del state["demo.fabric"]
    operations = diff(WANTED, state)
    deletions = [op for op in operations if isinstance(op, DeleteLink)]
    assert DeleteLink(NODE, "eth1", 3) in deletions
    first_veth = next(n for n, op in enumerate(operations) if isinstance(op, AddVeth))
    assert all(operations.index(deletion) < first_veth for deletion in deletions)


def test_links_made_anew_get_their_addresses_before_their_routes():
    """Of a namespace that just died the far ends may still be there, without their routes."""
    state = as_read()
    del state["demo.fabric"]
    state[NODE] = replace(state[NODE], routes=())
    there = [operation for operation in diff(WANTED, state) if operation.namespace == NODE]
    routes = [operation for operation in there if isinstance(operation, AddRoute)]
    assert {route.route for route in routes} == set(WANTED.namespace(NODE).routes)
    addressed = [op.name for op in there[: there.index(routes[0])] if isinstance(op, AddAddress)]
    assert addressed == ["eth0", "eth1"]


def test_address_whose_on_link_route_is_gone_is_given_again():
    assert with_link(NODE, "eth0", unrouted=("10.10.11.11/24",)) == (
        DeleteAddress(NODE, "eth0", 2, "10.10.11.11/24"),
        AddAddress(NODE, "eth0", 2, "10.10.11.11/24"),
    )


def test_missing_masquerade_is_added():
    operations = changed(NODE, masquerades=())
    assert [type(op) for op in operations] == [AddMasquerade]


def pod():
    return plan.pod_link(LAB, LAB.nodes[1], "default", "web", "u1", ["10.244.1.2"])


def port_of(link):
    return replace(link.port, peer=None)


def test_pod_as_planned_does_not_differ():
    link = pod()
    assert not pod_diff.differs(link, link.inside, port_of(link))


def test_half_made_pods_differ():
    link = pod()
    eth0 = link.inside.link("eth0")
    no_eth0 = replace(link.inside, links=link.inside.links[:1])
    no_address = replace(link.inside, links=(link.inside.links[0], replace(eth0, addresses=())))
    assert pod_diff.differs(link, link.inside, None)
    assert pod_diff.differs(link, link.inside, replace(port_of(link), master=None))
    assert pod_diff.differs(link, no_eth0, port_of(link))
    assert pod_diff.differs(link, no_address, port_of(link))
    assert pod_diff.differs(link, replace(link.inside, routes=()), port_of(link))


def test_attaching_a_pod_in_order():
    kinds = [type(operation) for operation in pod_diff.attach(pod())]
    kinds = [kind for kind in kinds if kind is not SetSysctl]
    port = [AddVeth, SetPort, AddStation, AddIngressQdisc, AddGuard]
    assert kinds == [CreateNamespace, *port, SetUp, SetUp, AddAddress, AddRoute]


VIP, OTHER_VIP = "172.16.110.200/32", "172.16.110.201/32"
OTHER_NODE = "demo.master001"


def test_an_address_leaves_one_node_before_another_has_it():
    found = {OTHER_NODE: (VIP,), NODE: ()}
    assert announcements(WANTED, {NODE: [VIP]}, found) == (
        DeleteAddress(OTHER_NODE, "eth1", 3, VIP),
        AddAddress(NODE, "eth1", 3, VIP, announced=True),
        Announce(NODE, "eth1", 3, WANTED.namespace(NODE).link("eth1").mac, VIP),
    )
    assert announcements(WANTED, {NODE: [VIP]}, {NODE: (VIP,)}) == ()
    assert announcements(WANTED, {}, {NODE: (VIP, OTHER_VIP)}) == (
        DeleteAddress(NODE, "eth1", 3, VIP),
        DeleteAddress(NODE, "eth1", 3, OTHER_VIP),
    )


def test_what_a_node_announces_is_none_of_its_plan_s_business():
    assert with_link(NODE, "eth1", announced=(VIP,)) == ()


def test_an_announced_address_as_commands():
    lines = [each.describe() for each in announcements(WANTED, {NODE: [VIP]}, {NODE: ()})]
    assert lines == [
        f"ip -n {NODE} addr add {VIP} dev eth1 preferred_lft 0",
        f"ip netns exec {NODE} arping -c1 -UI eth1 172.16.110.200",
    ]


def test_a_pods_port_is_mended_where_it_differs():
    def repairs(**fields):
        port = port_of(link)
        found = replace(port, as_port=replace(port.as_port, **fields))
        return pod_diff.port_repairs(link, found)

    link = pod()
    node, name, index, wanted = link.node, link.port.name, link.port.index, link.port.as_port
    assert repairs() == ()
    assert repairs(flood=True) == (SetPort(node, name, index, wanted),)
    assert repairs(stations=()) == (AddStation(node, name, index, wanted.stations[0]),)
    assert repairs(stations=("02:00:00:00:00:09", *wanted.stations)) == ()
    assert repairs(guard=()) == (
        DeleteIngressQdisc(node, name, index),
        AddIngressQdisc(node, name, index),
        AddGuard(node, name, index, wanted.guard),
    )


def test_renamed_link_gets_its_name_back_and_is_brought_up():
    found = as_read()[NODE]
    links = [replace(e, name="uplink") if e.name == "eth0" else e for e in found.links]
    routes = [replace(r, link="uplink") if r.link == "eth0" else r for r in found.routes]
    assert changed(NODE, links=tuple(links), routes=tuple(routes)) == (
        Rename(NODE, "uplink", 2, "eth0"),
        SetUp(NODE, "eth0", 2),
        *(AddRoute(NODE, route, 2) for route in found.routes if route.link == "eth0"),
    )


def test_mtu_is_set_back():
    assert with_link(NODE, "eth0", mtu=576) == (SetMtu(NODE, "eth0", 2, 1500),)


def test_only_neighbours_that_are_elsewhere_are_asked_for_again():
    other = WANTED.namespace(OTHER_NODE).link("eth0")
    ip = other.addresses[0].split("/")[0]
    wrong = Neighbour(ip, "eth0", "02:00:00:00:00:99")
    right = Neighbour(ip, "eth0", other.mac)
    strange = Neighbour("10.10.11.200", "eth0", "02:00:00:00:00:99")
    assert changed(NODE, neighbours=(right, strange)) == ()
    assert changed(NODE, neighbours=(wrong, strange)) == (DeleteNeighbour(NODE, wrong, 2),)
    of_pod = Neighbour("10.244.1.2", "cni0", "02:00:00:00:00:99")
    state = as_read()
    state[NODE] = replace(state[NODE], neighbours=(of_pod,))
    assert diff(WANTED, state) == ()
    known = {"10.244.1.2": pod().inside.link("eth0").mac}
    assert diff(WANTED, state, known) == (DeleteNeighbour(NODE, of_pod, 4),)


def repairs(inside=None, port="as planned", **eth0):
    """What a pod lacks whose namespace, port or eth0 differ so."""
    link = pod()
    inside = inside or link.inside
    links = [replace(e, **eth0) if e.name == "eth0" else e for e in inside.links]
    found = port_of(link) if port == "as planned" else port
    return pod_diff.repairs(link, replace(inside, links=tuple(links)), found, stations(WANTED))


def test_a_pod_as_planned_is_left_alone_with_all_it_did_beside():
    link = pod()
    inside = replace(
        link.inside,
        links=(*link.inside.links, Link("br9", 9, "bridge", mac="02:00:00:00:00:01")),
        routes=(*link.inside.routes, Route("192.0.2.0/24", "eth0", "10.244.1.1")),
    )
    assert repairs() == ()
    own = (*link.inside.link("eth0").addresses, "192.0.2.9/24")
    assert repairs(inside, addresses=own, announced=("192.0.2.8/32",), mtu=1300) == ()


@pytest.mark.parametrize(
    ("fields", "kinds", "words"),
    [
        ({"up": False}, [SetUp], "eth0 is down"),
        ({"addresses": ()}, [AddAddress], "eth0 lacks 10.244.1.2/24"),
        ({"mac": "02:00:00:00:00:09"}, [SetMac], "eth0 has another hardware address than "),
        ({"name": "mine"}, [Rename, SetUp], "eth0 is called mine; eth0 is down"),
    ],
)
def test_what_a_pod_was_given_is_put_back(fields, kinds, words):
    found = repairs(**fields)
    assert [type(each) for each in found] == kinds
    assert findings.summary(found).startswith(words)


def test_a_pod_without_its_link_gets_a_new_one():
    link = pod()
    alone = replace(link.inside, links=link.inside.links[:1], routes=())
    port = [AddVeth, SetPort, AddStation, AddIngressQdisc, AddGuard]
    rest = [SetUp, AddAddress, AddRoute]
    assert [type(each) for each in repairs(alone, None)] == [*port, *rest]
    found = [type(each) for each in repairs(alone, port_of(link))]
    assert found == [DeleteLink, *port, *rest], "what is left of the pair is in the way"


def test_a_port_that_left_its_bridge_lost_how_it_was_treated():
    link = pod()
    found = repairs(port=replace(link.port, peer=None, master=None, as_port=Port()))
    kinds = [SetMaster, SetPort, AddStation, DeleteIngressQdisc, AddIngressQdisc, AddGuard]
    assert [type(each) for each in found] == kinds


def test_ports_of_the_fabric_are_told_of_their_other_ends():
    down = with_link("demo.fabric", "worker001-eth0", up=False)
    assert findings.by_namespace(WANTED, down) == {NODE: "worker001-eth0 is down"}
    gone = with_link("demo.fabric", "nodes", index=99)
    assert findings.by_namespace(WANTED, gone)["demo.fabric"] == (
        "nodes is in the way; the bridge nodes is gone"
    )


def test_much_is_summed_up():
    operations = [SetUp(NODE, f"link{number}", number) for number in range(9)]
    assert findings.summary(operations).endswith("link5 is down; and 3 more")
    assert findings.summary([]) == ""
