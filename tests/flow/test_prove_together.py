"""All nodes of a lab, proved together: packets of each class go, node by node, where traces on
paper say that they do; and what is broken between nodes is told."""

import random
from pathlib import Path

import proved
import pytest
from msgspec.structs import replace

from netlab import manifest, onpaper
from netlab.cli.packets.prove_paths import Paths
from netlab.pathcheck.decode import endpoint
from netlab.pathcheck.world import world_of
from netlab.prove.classes import classes
from netlab.prove.intake import of_rules
from netlab.prove.space import CT, DADDR, IIF, NEW, NO_LINK, PROTO, SADDR
from netlab.prove.together import Cluster
from netlab.trace.predicted import _Going, _Walk
from netlab.trace.routing import Router, router_of

LABS = {"quickstart": ["ipv4"], "dual-stack": ["ipv4", "ipv6"]}
WORDS = {"delivered": "delivered", "dropped": "lost", "lost": "lost", "rejected": "refused"}


class OnPaper:
    """A lab's nodes as proofs take them, and as traces on paper do."""

    def __init__(self, name, mode, change=lambda router: router):
        read = manifest.load([f"topologies/{name}.yaml"])
        paper = onpaper.settled(replace(read, lab=replace(read.lab, proxy_mode=mode)))
        self.paper = paper
        self.world = world_of(
            paper.lab, services=paper.services, slices=paper.slices, pods=paper.pods,
            nodes=paper.nodes, netns=lambda _: Path(),
        )  # fmt: skip
        self.router = change(router_of(self.world, paper.lab))
        self.names = [node.name for node in paper.lab.nodes]

    def cluster(self, family, cut=frozenset()):
        paths = Paths(self.world, self.router, self.paper.lab, cut)
        nodes = [
            paths.node(name, of_rules(name, {family: onpaper.ruleset(self.paper, name, family)}))
            for name in self.names
        ]
        return Cluster(nodes, family)

    def walk(self, family):
        rules = {name: onpaper.rules(self.paper, name, family) for name in self.names}
        return _Walk(self.world, self.router, rules.get, {})

    def ends(self, walk, node, entry, packet):
        """What becomes of a packet, and how likely."""
        going = _Going(replace(packet, local=frozenset()))
        if entry == "OUTPUT":
            found = walk._node(node, entry, going)
        else:
            found = walk._enter(node, packet.in_interface, going)
        shares = {}
        for one in found:
            key = (
                (one.verdict, one.at, one.destination)
                if one.verdict == "delivered"
                else one.verdict
            )
            shares[key] = shares.get(key, 0.0) + one.share
        return shares


def of_class(one, packet, space):
    shares = {}
    for way, share in one.ends.ways:
        key = WORDS[way.at]
        if key == "delivered":
            key = (key, way.how, endpoint(*proved.destination(way.state.to, packet, space)))
        shares[key] = shares.get(key, 0.0) + share
    return shares


def region_of(member, entry, link):
    space = member.space
    region = list(space.all)
    region[CT] = NEW
    region[PROTO] = ((6, 6), (17, 17))
    number = NO_LINK if entry == "OUTPUT" else space.links.index(link)
    region[IIF] = ((number, number),)
    if entry == "OUTPUT":
        region[SADDR] = tuple(one for one in space.local if one[1] < space.own)
    return tuple(region)


def check(lab, family, pick, cluster):
    walk, tried, ends = lab.walk(family), 0, set()
    for name, member in cluster.members.items():
        for entry, link in (("PREROUTING", "cni0"), ("PREROUTING", "eth0"), ("PREROUTING", "eth1"),
                            ("OUTPUT", "")):  # fmt: skip
            region = region_of(member, entry, link)
            for one in classes(member.ends(entry, region), region):
                ends |= {way.at for way, _ in one.ends.ways}
                for part in one.regions:
                    packet = proved.packet_in(part, member.space, pick)
                    packet = replace(packet, in_interface=link)
                    said, seen = (
                        of_class(one, packet, member.space),
                        lab.ends(walk, name, entry, packet),
                    )
                    assert said == pytest.approx(seen, abs=1e-6), f"{name} {entry} {packet}"
                    tried += 1
    return tried, ends


@pytest.mark.parametrize("mode", ["iptables", "nftables"])
@pytest.mark.parametrize(("name", "family"), [(one, f) for one in LABS for f in LABS[one]])
def test_packets_of_each_class_go_where_a_trace_on_paper_says(name, family, mode):
    lab = OnPaper(name, mode)
    tried, ends = check(lab, family, random.Random(name).choice, lab.cluster(family))
    assert tried > 200
    assert {"delivered", "lost"} <= ends


def still(node):
    return lambda router: Router(router.namespaces, lambda place, *_: place != node)


@pytest.mark.parametrize("mode", ["iptables", "nftables"])
def test_a_node_that_does_not_forward_hands_on_between_its_pods_alone(mode):
    lab = OnPaper("quickstart", mode, still("worker001"))
    tried, _ = check(lab, "ipv4", random.Random(mode).choice, lab.cluster("ipv4"))
    assert tried > 200


def without_route(node, network):
    def change(router):
        found = dict(router.namespaces)
        there = found[node]
        found[node] = replace(
            there, routes=tuple(one for one in there.routes if one.destination != network)
        )
        return Router(found, router.forwards)

    return change


@pytest.mark.parametrize("mode", ["iptables", "nftables"])
def test_a_route_that_is_missing(mode):
    lab = OnPaper("quickstart", mode, without_route("worker001", "10.244.2.0/24"))
    tried, _ = check(lab, "ipv4", random.Random(mode).choice, lab.cluster("ipv4"))
    assert tried > 200


def test_what_goes_to_a_link_that_is_down_is_lost():
    lab = OnPaper("quickstart", "iptables")
    cluster = lab.cluster("ipv4", frozenset({("worker002", "eth0")}))
    member = cluster.members["worker001"]
    region = list(region_of(member, "PREROUTING", "cni0"))
    region[DADDR] = member.space.network("10.244.2.2")
    (one,) = classes(member.ends("PREROUTING", tuple(region)), tuple(region))
    assert {(way.at, way.how) for way, _ in one.ends.ways} == {
        ("lost", "eth0 of worker002 is down")
    }


def test_the_next_nodes_rules_judge_what_one_sends_there():
    """A drop on the second node is told of packets that come in at the first."""
    lab = OnPaper("quickstart", "iptables")
    paths = Paths(lab.world, lab.router, lab.paper.lab)
    nodes = []
    for name in lab.names:
        rules = onpaper.ruleset(lab.paper, name, "ipv4")
        if name == "worker002":
            chain = rules.chain("filter", "FORWARD")
            dropping = ("-s 10.244.1.0/24 -j DROP", *chain.rules)
            rules.tables["filter"].chains["FORWARD"] = chain._replace(rules=dropping)
        nodes.append(paths.node(name, of_rules(name, {"ipv4": rules})))
    member = Cluster(nodes, "ipv4").members["worker001"]
    region = list(region_of(member, "PREROUTING", "cni0"))
    region[SADDR] = member.space.network("10.244.1.2")
    region[DADDR] = member.space.network("10.244.2.2")
    (one,) = classes(member.ends("PREROUTING", tuple(region)), tuple(region))
    ((way, _),) = one.ends.ways
    assert way.at == "dropped"
    assert member.told(way.place) == "worker002: filter FORWARD rule 1"
