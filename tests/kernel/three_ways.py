"""Packets through a node's rules in three ways: simulator, the kernel's own trace and captures tell
the same of them, and so do the class of packets that each is in and a trace by a save of the rules.

A node with two links: `cni0` leads to the pods on it, `eth1` to everybody else. What arrives there
need not be answered: where a packet left, and as what, is seen on the links.
"""

import contextlib
import os
import re
import socket
import time
from functools import partial
from ipaddress import ip_address

import proved
import pytest
from kernel.by_save import BySave
from msgspec.structs import replace
from oracle.tries import addresses_of, fronts, local_pods, senders

from netlab.kernel import netns, sysctl
from netlab.kernel.nftrace import Pattern, Tracing, interface_names
from netlab.kernel.run import run
from netlab.pathcheck.capture import Capture
from netlab.pathcheck.decode import endpoint
from netlab.pathcheck.packets import ProbeNumbers, build
from netlab.pathcheck.path import Sightings
from netlab.pathcheck.send import Senders
from netlab.prove.intake import of_rules, space_of
from netlab.proxy.iptables.apply import RestoreApplier
from netlab.proxy.iptables.compile import compile
from netlab.proxy.nftables.apply import NftApplier
from netlab.proxy.nftables.compile import compile as nft_compile
from netlab.proxy.node_view import node_view
from netlab.simulation.packet import Packet
from netlab.trace import rule_texts
from netlab.trace.iptables_rules import IptablesRules
from netlab.trace.nftables_rules import NftRules
from netlab.trace.passages import passages

TRACED = [
    Pattern(13, b"\x02"),  # a SYN
    Pattern(8, b"netlab-"),
    Pattern(21, b"netlab-"),  # in a question to a DNS server
    Pattern(12, b"\x01\x00"),  # an INIT of SCTP
]
MAC = "02:00:00:00:00:01"
REMEMBERS = re.compile(r"(?:--set --name |update @)(\S+)")
PATIENCE, SILENCE = 2.0, 0.1
"""Seconds for which anything is waited for, and for captures of what the kernel has told of: what a
machine drops of its own none of them sees."""
SETTINGS = {
    "net.ipv4.ip_forward": "1",
    "net.ipv6.conf.all.forwarding": "1",
    # Each refusal is to be seen.
    "net.ipv4.icmp_ratelimit": "0",
    "net.ipv4.icmp_msgs_per_sec": "1000000",
    "net.ipv4.icmp_msgs_burst": "1000000",
    "net.ipv6.icmp.ratelimit": "0",
}


STILL = {"net.ipv4.ip_forward": "0", "net.ipv6.conf.all.forwarding": "0"}


class Node:
    """A namespace with its two links; the other ends are in one beyond."""

    def __init__(self, directory, family, own, pods=(), *, outer="eth1", forwards=True):
        """`own` addresses are on the link that leads to everybody else, called `outer`."""
        self.fds = {}
        self.forwards, self.outer = forwards, outer
        self.pods = frozenset(pods)
        self.directory = directory
        for name in ("node", "beyond"):
            self.fds[name] = netns.create(directory / name)
        run(["ip", "link", "set", "lo", "up"], netns=self.here)
        for link in (outer, "cni0"):
            self._add(link)
        sysctl.set(self.here, SETTINGS if forwards else SETTINGS | STILL)
        ip, more = (["ip", "-6"], ["nodad"]) if family == "ipv6" else (["ip", "-4"], [])
        length = 128 if family == "ipv6" else 32
        for address in own:
            on = [f"{address}/{length}", "dev", outer, *more]
            run([*ip, "addr", "add", *on], netns=self.here)
        run([*ip, "route", "add", "default", "dev", outer], netns=self.here)
        for address in self.pods:
            run([*ip, "route", "replace", address, "dev", "cni0"], netns=self.here)

    @property
    def here(self):
        return self.fds["node"]

    def _add(self, link):
        """Nobody has to be asked for an address: both ends of a link have the same."""
        beyond = f"/proc/{os.getpid()}/fd/{self.fds['beyond']}"
        peer = ["peer", "name", link, "address", MAC, "netns", beyond]
        run(
            ["ip", "link", "add", link, "address", MAC, "type", "veth", *peer],
            netns=self.here,
        )
        for fd in self.fds.values():
            run(["ip", "link", "set", link, "arp", "off", "up"], netns=fd)

    def leads_to(self, address):
        """The link of its route to there."""
        return "cni0" if address in self.pods else self.outer

    def arrive(self, probe, link):
        """As from somebody who is not here."""
        with netns.entered(self.fds["beyond"]):
            sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM)
        kind = 0x86DD if ":" in probe.dst else 0x0800
        with sock:
            sock.sendto(build(probe), (link, kind, 0, 0, bytes.fromhex(MAC.replace(":", ""))))

    def close(self):
        for name, fd in self.fds.items():
            os.close(fd)
            netns.remove(self.directory / name)


def node_of(directory, world, family, *, forwards=True):
    """A world's."""
    pods = [str(ip_address(ip)) for ip in local_pods(world, family)]
    return Node(directory, family, own_addresses(world, family), pods, forwards=forwards)


def own_addresses(world, family):
    """The node's; loopback has its own already."""
    links = (world.config.interface_addresses or {}).values()
    others = [one.partition("/")[0] for each in links for one in each]
    own = dict.fromkeys(addresses_of([*world.config.node_ips, *others], family))
    return [one for one in own if not ip_address(one).is_loopback]


def remembering(world):
    """With clients remembered until all has been tried, however busy the machine is."""
    for service in world.services:
        config = service["spec"].get("sessionAffinityConfig") or {}
        if "clientIP" in config:
            config["clientIP"]["timeoutSeconds"] = 10800
    return world


def rules_of(world, mode, family, node, known):
    """Written to the node, and as the simulator has them; of whom affinity knows, too."""
    config = replace(world.config, mode="nftables" if mode == "nftables" else "iptables")
    seen = node_view(world.node, config, family)
    if mode == "nftables":
        table = nft_compile(world.services, world.slices, seen)
        NftApplier(family, node).replace(table)
        return NftRules([table]), of_rules("node", {family: [table]})
    ruleset = compile(world.services, world.slices, seen)
    RestoreApplier(mode, family, node).replace(ruleset)
    return IptablesRules(ruleset, known), of_rules("node", {family: ruleset})


def watched(capture, tracing, probe, told):
    """All that is seen of a packet once nothing more comes."""
    sightings, events = Sightings(), []
    heard, deadline = time.monotonic(), time.monotonic() + PATIENCE
    while (now := time.monotonic()) < deadline:
        new, more = capture.collect(0.003), tracing.collect() if told else []
        sightings.add(new)
        events += more
        if new or more:
            heard = now
        elif sightings.copies(probe) or (events and now - heard > SILENCE):
            break
    return sightings, events


def word(outcome):
    if outcome.verdict != "ACCEPT":
        return "lost" if outcome.verdict == "DROP" else "refused"
    return "delivered" if outcome.delivered else "left"


def ends(outcomes, probe, local):
    """(what became of it, as what it left, the rules met), of each way that is open."""
    for outcome in outcomes:
        assert not outcome.unknown
        after = outcome.packet
        left = ("", "")
        if word(outcome) == "left":
            destination = endpoint(after.destination, after.dport)
            own = probe.src in local or outcome.masqueraded
            left = (destination, "the node's" if own else probe.src)
        met = tuple((hit.table, hit.chain, hit.number) for hit in outcome.rules)
        yield word(outcome), left, met


def seen_end(sightings, probe, local):
    """The same by captures: what left, or an answer that turned it away."""
    outgoing = [
        one.packet for one in sightings.copies(probe) if one.outgoing and one.ifname != "lo"
    ]
    if outgoing:
        packet = outgoing[-1]
        # Where a node has no address of a family it takes that of the link alone.
        own = packet.src in local or packet.src.startswith("fe80:")
        return "left", (packet.destination, "the node's" if own else packet.src)
    about = sightings._about.get(probe.key, ())
    errors = [one.packet for one in about if one.packet.port_unreachable and one.outgoing]
    local = [one.packet for one in about if one.packet.port_unreachable and one.ifname == "lo"]
    return ("refused" if errors or local else "silent"), ("", "")


def holds(seen, end):
    """Captures do not see what a machine does with a packet of its own, or for itself: whether it
    was delivered, dropped, or, by UDP, refused by nobody listening."""
    if end[0] in ("left", "refused"):
        return seen == end[:2]
    return seen[0] == "silent" or (end[0] == "delivered" and seen[0] == "refused")


MODES = ["nft", "nftables", pytest.param("legacy", marks=pytest.mark.slow)]


def everything(world, family):
    """To everybody from everybody."""
    own = own_addresses(world, family)
    return [
        (front, (str(ip_address(sender[0])), sender[1]))
        for front in dict.fromkeys(fronts(world, family, own))
        for sender in senders(world, family, own)
    ]


def three_ways(world, mode, family, directory, tries, *, forwards=True):
    world = remembering(world)
    own = own_addresses(world, family)
    with contextlib.closing(node_of(directory, world, family, forwards=forwards)) as node:
        known = {}
        rules, save = rules_of(world, mode, family, node.here, known)
        space = space_of([save], family, own or ["192.0.2.1", "2001:db8:99::1"])
        proof = proved.asked(save.rules(space), space)
        local = frozenset(str(ip_address(ip)) for ip in own)
        asked = proof, BySave(node.here, mode, family, local)
        tried = _try_all(node, rules, asked, known, tries, local, told=mode != "legacy")
        assert tried == len(tries)


def _try_all(node, rules, asked, known, everything, local, *, told):
    here = node.here
    numbers, tried = ProbeNumbers(), 0
    find = rule_texts.finder(here, rules.texts)
    links = interface_names(here)
    with contextlib.ExitStack() as stack:
        capture = stack.enter_context(Capture({"node": here}))
        tracing = stack.enter_context(Tracing(here, TRACED)) if told else None
        send = stack.enter_context(Senders())
        capture.prove()
        if tracing:
            tracing.collect()
        for (_, ip, port, protocol), (source, entry) in everything:
            probe = numbers.probe(protocol, source, ip, port)
            link = "" if entry == "OUTPUT" else node.leads_to(source)
            packet = Packet(
                source, ip, protocol, port, sport=probe.sport, in_interface=link, local=local,
                recent=known.get(source, frozenset()),
                may_leave_by=None if node.forwards or not link else frozenset(),
            )  # fmt: skip
            foreseen = list(ends(_simulated(rules, packet, entry, node), probe, local))
            if entry == "OUTPUT":
                send.send(here, probe)
            else:
                node.arrive(probe, link)
            sightings, events = watched(capture, tracing, probe, told)
            seen = seen_end(sightings, probe, local)
            fitting = [end for end in foreseen if holds(seen, end)]
            assert fitting, f"{probe}\nseen: {seen}\nforeseen: {foreseen}"
            # Proofs and traces by saves are of nodes that forward.
            if node.forwards:
                said = list(of_class(asked[0], packet, entry, probe, local))
                assert any(holds(seen, end) for end in said), (
                    f"{probe}\nseen: {seen}\nclass: {said}"
                )
            if node.forwards and not packet.recent:
                said = list(asked[1].ends(probe, link))
                assert any(holds(seen, end) for end in said), (
                    f"{probe}\nseen: {seen}\nby save: {said}"
                )
            if told:
                ours = passages("node", events, links, find, partial(_is, probe))
                met = tuple((r.table, r.chain, r.number) for each in ours for r in each.rules)
                same = [end for end in fitting if end[2] == met]
                assert same, f"{probe}\nthe kernel: {met}\nthe simulator: {fitting}"
                texts = [r.text for each in ours for r in each.rules]
                _remember(known, source, texts)
            else:
                _remember(known, source, _texts(rules, fitting[0][2]))
            tried += 1
    return tried


def _simulated(rules, packet, entry, node):
    return rules.simulate(packet, entry=entry, route=node.leads_to)


def of_class(proof, packet, entry, probe, local):
    """The same as `ends`, by the class of all packets that this one is in."""
    words = {"dropped": "lost", "rejected": "refused", "sent": "left", "delivered": "delivered"}
    for way in proved.ends_of(proof, packet, entry):
        left = ("", "")
        if way.at == "sent":
            own = probe.src in local or way.state.source
            there = endpoint(*proved.destination(way.state.to, packet, proof.space))
            left = (there, "the node's" if own else probe.src)
        yield words[way.at], left


def _is(probe, packet):
    """By its port, which nobody else has: the kernel tells less of a packet than has its mark."""
    return False if packet.sport == probe.sport else None


def _texts(rules, met):
    return [rules.texts(table, chain)[number - 1] for table, chain, number in met]


def _remember(known, source, texts):
    """Whom affinity remembers by now."""
    for text in texts:
        known[source] = known.get(source, frozenset()) | {*REMEMBERS.findall(text)}
