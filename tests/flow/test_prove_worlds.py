"""The recorded worlds, proved: every class of packets does what the simulator does with each."""

import functools
import random

import proved
import pytest
from msgspec.structs import replace
from oracle import worlds
from oracle.tries import FOLDERS, addresses_of

from netlab.prove.compared import compare
from netlab.prove.difference import meaning
from netlab.prove.ground import Node
from netlab.prove.intake import of_rules, space_of
from netlab.prove.serving import boxes
from netlab.prove.space import SADDR
from netlab.proxy import modes
from netlab.proxy.node_view import node_view
from netlab.simulation.iptables import simulate
from netlab.simulation.nftables import simulate as nft_simulate

EACH = 2
NODE = {"ipv4": ["192.0.2.1"], "ipv6": ["2001:db8:99::1"]}


def rules_of(world, family, mode):
    seen = node_view(world.node, replace(world.config, mode=mode), family)
    compiled = modes.of(mode).compile_services(world.services, world.slices, seen)
    return modes.of(mode).assemble(compiled, seen)


def simulator(rules, mode):
    if mode == "iptables":
        return functools.partial(simulate, rules)
    return functools.partial(nft_simulate, [rules])


@pytest.mark.parametrize("entry", ["PREROUTING", "OUTPUT"])
@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
@pytest.mark.parametrize("mode", ["iptables", "nftables"])
@pytest.mark.parametrize("name", sorted(FOLDERS))
def test_packets_of_a_class_end_as_it_says(name, mode, family, entry):
    world = worlds.read(FOLDERS[name])
    rules = rules_of(world, family, mode)
    save = of_rules("node", {family: rules if mode == "iptables" else [rules]})
    own = addresses_of(world.config.node_ips, family) or NODE[family]
    space = space_of([save], family, own)
    hooks = proved.asked(save.rules(space), space)
    pick = random.Random(name).choice
    found = proved.classes_of(hooks, space, entry)
    assert found
    for one in found:
        for region in one.regions:
            for _ in range(EACH):
                packet = proved.packet_in(region, space, pick)
                outcomes = simulator(rules, mode)(packet, entry=entry)
                assert proved.agree(one, packet, outcomes, space), f"{packet}\n{one.ends.ways}"


KNOWN = {
    "hairpin",  # a pod that reaches itself: masqueraded anywhere, on its own node alone
    ("dropped", "sent"),  # INVALID
    ("sent", "rejected"),  # the node's own, to external addresses without endpoints
    ("sent", "dropped"),  # the same with source ranges
    ("rejected", "dropped"),  # source ranges without endpoints
    ("rejected", "delivered"),  # a node's address that has no nodePorts
}
"""What becomes of packets to Services in iptables mode, in nftables mode: netlab/docs/proofs.md."""


def kind(change):
    """What a difference is, in the words of `KNOWN`."""
    before, after = (meaning(leaf) for leaf in (change.before, change.after))
    if {each[1] for each in before} == {each[1] for each in after} != {()}:
        return "hairpin"
    return before[0][0], after[0][0]


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
@pytest.mark.parametrize("name", sorted(FOLDERS))
def test_the_modes_are_equal_for_every_packet_but_for_what_is_known(name, family):
    world = worlds.read(FOLDERS[name])
    own = tuple(addresses_of(world.config.node_ips, family) or NODE[family])
    to = boxes(world.services, family, own)
    iptables, nftables = (
        Node("", (of_rules("", {family: rules}),), own)
        for rules in (
            rules_of(world, family, "iptables"),
            [rules_of(world, family, "nftables")],
        )
    )
    for one in compare(iptables, nftables, family, to).found:
        assert kind(one.change) in KNOWN, one
        if kind(one.change) == "hairpin":
            assert all(
                len(part[SADDR]) <= len(one.change.before.ways) for part in one.change.regions
            )
