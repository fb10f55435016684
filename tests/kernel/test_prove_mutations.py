"""A changed rule: the comparison finds which packets it is about, and the kernel treats them so."""

import contextlib
import random
from ipaddress import ip_address

import proved
import pytest
from kernel.three_ways import holds, node_of, of_class, seen_end, watched
from msgspec.structs import replace
from oracle import worlds
from oracle.tries import FOLDERS, addresses_of

from netlab.pathcheck.capture import Capture
from netlab.pathcheck.packets import ProbeNumbers
from netlab.pathcheck.send import Senders
from netlab.prove.compared import compare
from netlab.prove.ground import Node as Ground
from netlab.prove.intake import of_rules
from netlab.prove.space import CT, has
from netlab.proxy.iptables.apply import RestoreApplier
from netlab.proxy.iptables.compile import compile
from netlab.proxy.iptables.model import Chain, Ruleset, Table
from netlab.proxy.node_view import node_view

pytestmark = pytest.mark.root

REMEMBERED = frozenset({"whoever"})
MUTATIONS = 12
PACKETS = 3
NAMES = ["05-nodeport", "06-nodeport-local", "09-loadbalancer-local"]


def mutated(ruleset, pick):
    """With one of kube-proxy's rules gone, and which one that was."""
    rules = [(t, c, at) for t, c, at in places(ruleset) if c.startswith("KUBE-")]
    table, chain, gone = pick(rules)
    tables = {}
    for name, one in ruleset.tables.items():
        chains = dict(one.chains)
        if name == table:
            had = chains[chain]
            kept = (*had.rules[:gone], *had.rules[gone + 1 :])
            chains[chain] = Chain(had.name, kept, had.policy)
        tables[name] = Table(name, chains)
    return Ruleset(tables), ruleset.tables[table].chains[chain].rules[gone]


def places(ruleset):
    for table in ruleset.tables.values():
        for chain in table.chains.values():
            yield from ((table.name, chain.name, at) for at in range(len(chain.rules)))


@pytest.mark.parametrize("name", [name for name in NAMES if name in FOLDERS])
def test_the_kernel_treats_packets_as_the_comparison_says(name, tmp_path):
    world = worlds.read(FOLDERS[name])
    own = tuple(str(ip_address(ip)) for ip in addresses_of(world.config.node_ips, "ipv4"))
    before = compile(world.services, world.slices, node_view(world.node, world.config, "ipv4"))
    pick = random.Random(name).choice
    told = 0
    with contextlib.closing(node_of(tmp_path, world, "ipv4")) as node:
        for _ in range(MUTATIONS):
            after, gone = mutated(before, pick)
            compared = found(before, after, own)
            if compared.found:
                RestoreApplier("nft", "ipv4", node.here).replace(after)
                told += seen_otherwise(node, compared, pick, own, gone)
    assert told


def found(before, after, own):
    one, other = (Ground("", (of_rules("", {"ipv4": rules}),), own) for rules in (before, after))
    return compare(one, other, "ipv4")


def seen_otherwise(node, compared, pick, own, gone):
    """How many packets of what changed ended as they could not have before. All end as they may
    now."""
    space, here, told = compared.grounds.space, node.here, 0
    hooks = {"before": compared.grounds.hooks, "after": compared.grounds.of(compared.after)}
    numbers = ProbeNumbers()
    with Capture({"node": here}) as capture, Senders() as send:
        capture.prove()
        for entry, packet in packets(compared, space, pick):
            if entry == "OUTPUT" and packet.source not in own:
                continue
            probe = numbers.probe(packet.protocol, packet.source, packet.destination, packet.dport)
            if entry == "OUTPUT":
                send.send(here, probe)
            else:
                node.arrive(probe, node.leads_to(packet.source))
            sightings, _ = watched(capture, None, probe, told=False)
            seen = seen_end(sightings, probe, own)
            met = replace(packet, recent=REMEMBERED)  # what came before may have been
            fits = {
                side: any(holds(seen, end) for end in of_class(one, met, entry, probe, own))
                for side, one in hooks.items()
            }
            assert fits["after"], f"without {gone}\n{probe}\nseen: {seen}"
            told += not fits["before"]
    return told


def packets(compared, space, pick):
    """A few of each class, first ones of connections, from and to where one may be sent."""
    for one in compared.found[:6]:
        for region in one.change.regions[:PACKETS]:
            packet = proved.packet_in(region, space, pick)
            source, to = ip_address(packet.source), ip_address(packet.destination)
            usable = not (source.is_multicast or source.is_reserved or source.is_unspecified)
            sent = not (to.is_multicast or to.is_reserved or to.is_unspecified or to.is_loopback)
            if packet.protocol in ("tcp", "udp") and has(region[CT], 0) and usable and sent:
                yield one.source.entry, packet
