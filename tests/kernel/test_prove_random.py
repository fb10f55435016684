"""Any objects, and any rule of theirs gone: packets of each class end in a kernel as it says."""

import contextlib
import random
import tempfile
from ipaddress import ip_address
from pathlib import Path

import proved
import pytest
from fuzz.test_proxy_fuzz import CONFIG, worlds
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kernel.by_save import BySave
from kernel.test_prove_mutations import REMEMBERED, found, mutated, seen_otherwise
from kernel.three_ways import holds, node_of, of_class, seen_end, watched
from msgspec.structs import replace
from oracle.worlds import World

from netlab.pathcheck.capture import Capture
from netlab.pathcheck.packets import ProbeNumbers
from netlab.pathcheck.send import Senders
from netlab.prove.classes import classes
from netlab.prove.intake import of_rules, space_of
from netlab.prove.space import CT, NEW, PROTO, SADDR
from netlab.proxy.iptables.apply import RestoreApplier
from netlab.proxy.iptables.compile import compile
from netlab.proxy.nftables.apply import NftApplier
from netlab.proxy.nftables.compile import compile as nft_compile
from netlab.proxy.node_view import node_view

pytestmark = pytest.mark.root

OWN = CONFIG.node_ips


def objects(drawn):
    """What was drawn, as one node's world."""
    services, slices = drawn
    node = {"metadata": {"name": CONFIG.node_name}, "status": {}}
    return World(list(services.values()), list(slices.values()), node, CONFIG)


def in_force(world, mode, netns):
    """The rules of a mode, written to the node."""
    config = replace(world.config, mode="nftables" if mode == "nftables" else "iptables")
    seen = node_view(world.node, config, "ipv4")
    if mode == "nftables":
        table = nft_compile(world.services, world.slices, seen)
        NftApplier("ipv4", netns).replace(table)
        return [table]
    ruleset = compile(world.services, world.slices, seen)
    RestoreApplier(mode, "ipv4", netns).replace(ruleset)
    return ruleset


def packets(hooks, space, pick):
    """One of each part of each class, that one machine may send to another."""
    for entry in ("PREROUTING", "OUTPUT"):
        region = list(proved.region_of(space, entry))
        region[CT], region[PROTO] = NEW, ((6, 6), (17, 17))
        if entry == "OUTPUT":
            region[SADDR] = space.network(OWN[0])
        for one in classes(hooks.ends(entry, tuple(region)), tuple(region)):
            for part in one.regions[:3]:
                packet = proved.packet_in(part, space, pick)
                if usable(packet, entry):
                    yield entry, packet


def usable(packet, entry):
    """Whether a kernel's own checks let it come as far as the rules."""
    source, to = ip_address(packet.source), ip_address(packet.destination)
    odd = (
        source.is_multicast or source.is_reserved or source.is_unspecified or source.is_loopback
        or to.is_multicast or to.is_reserved or to.is_unspecified or to.is_loopback
    )  # fmt: skip
    first = int(source) >> 24 and int(to) >> 24
    spoofed = entry == "PREROUTING" and packet.source in OWN
    return bool(first) and not odd and not spoofed and packet.sport and packet.dport


def tried(world, mode, seed, directory):
    """How many packets of each class ended as it says; and what a rule that is gone changed."""
    pick = random.Random(seed).choice
    with contextlib.closing(node_of(directory, world, "ipv4")) as node:
        here = node.here
        rules = in_force(world, mode, here)
        save = of_rules("node", {"ipv4": rules})
        space = space_of([save], "ipv4", OWN)
        hooks = proved.asked(save.rules(space), space)
        by_save = BySave(here, mode, "ipv4", OWN)
        count, told, numbers = 0, 0, ProbeNumbers()
        with Capture({"node": here}) as capture, Senders() as send:
            capture.prove()
            for entry, packet in packets(hooks, space, pick):
                probe = numbers.probe(
                    packet.protocol, packet.source, packet.destination, packet.dport
                )
                link = "" if entry == "OUTPUT" else node.leads_to(packet.source)
                if entry == "OUTPUT":
                    send.send(here, probe)
                else:
                    node.arrive(probe, link)
                sightings, _ = watched(capture, None, probe, told=False)
                seen = seen_end(sightings, probe, OWN)
                known = replace(packet, recent=REMEMBERED, in_interface=link)
                said = list(of_class(hooks, known, entry, probe, OWN))
                assert any(holds(seen, end) for end in said), f"{probe}\nseen {seen}\nclass {said}"
                saved = list(by_save.ends(probe, link))
                assert any(holds(seen, end) for end in saved), f"{probe}\n{seen}\nsave {saved}"
                count += 1
        if mode != "nftables" and any(rules.rules()):
            after, gone = mutated(rules, pick)
            compared = found(rules, after, OWN)
            if compared.found:
                RestoreApplier(mode, "ipv4", here).replace(after)
                told = seen_otherwise(node, compared, pick, OWN, gone)
    return count, told


def some(mode, examples):
    """So many worlds in one mode: how many packets were tried, and how many of those that a missing
    rule is about ended as they could not have before."""
    counts = []

    @given(worlds().filter(lambda drawn: any(drawn[1].values())), st.integers(0, 1000))
    @settings(
        max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), database=None
    )
    def run(drawn, seed):
        with tempfile.TemporaryDirectory() as directory:
            counts.append(tried(objects(drawn), mode, seed, Path(directory)))

    run()
    return [sum(numbers) for numbers in zip(*counts, strict=True)]


@pytest.mark.parametrize("mode", ["nft", "nftables"])
def test_packets_of_each_class_of_any_objects_end_as_it_says(mode):
    assert some(mode, 4)[0] > 20


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["nft", "nftables", "legacy"])
def test_packets_of_each_class_of_many_objects_end_as_it_says(mode):
    packets_, otherwise = some(mode, 40)
    assert packets_ > 200
    assert otherwise or mode == "nftables"
