"""Single rules in a kernel: what tests/flow says on paper of a packet that meets one is what the
rule does, by the kernel's own trace, by captures, and by what connection tracking remembers.

The rule stands alone in a node's namespace, and is read back from there. What it lets pass to the
node is answered by nobody's port: by TCP with a RST, which tells it from what is dropped.
"""

import contextlib
import socket
from functools import partial

import pytest
from flow import golden, rows
from kernel.three_ways import TRACED, Node, watched

from netlab.kernel import conntrack, netns
from netlab.kernel.nftrace import Tracing, interface_names
from netlab.kernel.run import run
from netlab.pathcheck.capture import Capture
from netlab.pathcheck.packets import ProbeNumbers
from netlab.proxy.iptables.read import read
from netlab.proxy.nftables.apply import read_tables
from netlab.simulation.packet import Packet
from netlab.trace import rule_texts
from netlab.trace.iptables_rules import IptablesRules
from netlab.trace.nftables_rules import NftRules
from netlab.trace.passages import passages

pytestmark = pytest.mark.root

VARIANTS = ["nft", "legacy"]
FAMILIES = ["ipv4", "ipv6"]
STATES = {"ACCEPT": "answered", "DROP": "silent", "REJECT": "refused"}
ACK_RST = 0x14

OF_IPV6 = {
    "ip saddr": "ip6 saddr", "ip daddr": "ip6 daddr", "ipv4_addr": "ipv6_addr",
    "table ip ": "table ip6 ", "icmp port": "icmpv6 port",
}  # fmt: skip


class Told:
    """What a kernel did with a packet: how it answered, the rules met, the end it remembers."""

    def __init__(self, node, rules, probe):
        self._node, self._rules, self._probe = node, rules, probe
        here = node.here
        with Capture({"node": here}) as capture, Tracing(here, TRACED) as tracing:
            capture.prove()
            tracing.collect()
            node.arrive(probe, node.outer)
            sightings, events = watched(capture, tracing, probe, told=True)
            sightings.add(capture.collect(0.05))
            events += tracing.collect()
        self.sightings, self.events = sightings, events

    @property
    def state(self):
        ours = [one.packet for one in self.sightings.all if one.outgoing]
        if any(one.port_unreachable for one in ours):
            return "refused"
        back = [one for one in ours if one.dst == self._probe.src and one.proto == "tcp"]
        if any(one.dport == self._probe.sport and one.flags == ACK_RST for one in back):
            return "answered"
        return "silent"

    @property
    def met(self):
        find = rule_texts.finder(self._node.here, self._rules.texts)
        links = interface_names(self._node.here)
        is_ours = partial(_is, self._probe)
        found = passages("node", self.events, links, find, is_ours)
        return [(r.table, r.chain, r.number) for each in found for r in each.rules]

    @property
    def left_for(self):
        """The end it went on to by a link; None for what went no further."""
        copies = self.sightings.copies(self._probe)
        ends = [(one.packet.dst, one.packet.dport) for one in copies if one.outgoing]
        return ends[-1] if ends else None


def _is(probe, packet):
    return False if packet.sport == probe.sport else None


@contextlib.contextmanager
def standing(directory, family, own, load):
    """A node where `load` has put rules."""
    with contextlib.closing(Node(directory, family, [own], outer="eth0")) as node:
        load(node.here)
        yield node


@contextlib.contextmanager
def listening(node, family):
    """Somebody at the ports that the rows send to: a connection that is refused is forgotten."""
    kind = socket.AF_INET6 if family == "ipv6" else socket.AF_INET
    with contextlib.ExitStack() as stack, netns.entered(node.here):
        for port in (80, 81):
            stack.enter_context(socket.create_server(("", port), family=kind))
        yield


def simulated(rules, probe, own):
    packet = Packet(
        probe.src,
        probe.dst,
        "tcp",
        probe.dport,
        probe.sport,
        "eth0",
        local=frozenset({own}),
        link_address=own,
    )
    (outcome,) = rules.simulate(packet, entry="PREROUTING", route=lambda _: "eth0")
    assert outcome.unknown == ()
    return outcome


def verdict_in(node, rules, family, expected, *, told=True):
    """The packet of rows.NFT and rows.IPTABLES, in three ways."""
    source, own = (golden.in_family(ip, family) for ip in ("192.0.2.1", rows.NODE_IP))
    probe = ProbeNumbers().probe("tcp", source, own, 80)
    outcome = simulated(rules, probe, own)
    seen = Told(node, rules, probe)
    assert (outcome.verdict, seen.state) == (expected, STATES[expected])
    if told:
        assert seen.met == [(hit.table, hit.chain, hit.number) for hit in outcome.rules]


OF_ANY_FAMILY = [row for row in rows.NFT if not any(word in row[0] for word in ("ip6 ", "nfproto"))]
OF_BOTH_AT_ONCE = [row for row in rows.NFT if row not in OF_ANY_FAMILY]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("rule", "expected"), OF_ANY_FAMILY)
def test_rules_of_nftables(rule, expected, family, tmp_path):
    text = golden.in_family(in_a_table("ip", rule), family)
    for word, other in OF_IPV6.items() if family == "ipv6" else ():
        text = text.replace(word, other)
    in_nft(text, family, expected, tmp_path)


@pytest.mark.parametrize(("rule", "expected"), OF_BOTH_AT_ONCE)
def test_rules_that_ask_for_the_family(rule, expected, tmp_path):
    """A table of one family takes none of these."""
    in_nft(in_a_table("inet", rule), "ipv4", expected, tmp_path)


def in_a_table(kind, rule):
    chains = f"chain in {{\n{rows.FILTER}\n{rule}\n}}\nchain other {{\nreject\n}}\n"
    return f"table {kind} kube-proxy {{\n{rows.SETS}{chains}}}\n"


def in_nft(text, family, expected, directory):
    def load(here):
        run(["nft", "-f", "-"], input=text, netns=here)

    own = golden.in_family(rows.NODE_IP, family)
    with standing(directory, family, own, load) as node:
        verdict_in(node, NftRules(read_tables(node.here, family)), family, expected)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(("rule", "expected"), rows.IPTABLES)
def test_rules_of_iptables(rule, expected, variant, family, tmp_path):
    text = f"*filter\n:INPUT ACCEPT [0:0]\n-A INPUT {golden.in_family(rule, family)}\nCOMMIT\n"
    own = golden.in_family(rows.NODE_IP, family)
    with standing(tmp_path, family, own, restoring(variant, family, text)) as node:
        rules = IptablesRules(read(node.here, variant, family), {})
        verdict_in(node, rules, family, expected, told=variant == "nft")


def restoring(variant, family, text):
    program = "ip6tables" if family == "ipv6" else "iptables"
    return lambda here: run([f"{program}-{variant}-restore"], input=text, netns=here)


def in_iptables(rule, variant, family):
    text = f"*nat\n:PREROUTING ACCEPT [0:0]\n:INPUT ACCEPT [0:0]\n{rule}\nCOMMIT\n"
    rules = lambda here: IptablesRules(read(here, variant, family), {})  # noqa: E731
    return restoring(variant, family, text), rules


def in_nftables(rule, family):
    chain, rule = rule.split(": ")
    kind = f"type nat hook {chain} priority {-100 if chain == 'prerouting' else 100};"
    table = "ip6" if family == "ipv6" else "ip"
    text = f"table {table} mine {{\nchain it {{\n{kind}\n{rule}\n}}\n}}\n"
    rules = lambda here: NftRules(read_tables(here, family))  # noqa: E731
    return (lambda here: run(["nft", "-f", "-"], input=text, netns=here)), rules


def of_mode(mode, iptables, nftables, family):
    return (
        in_nftables(nftables, family) if mode == "nftables" else in_iptables(iptables, mode, family)
    )


def remembered(node, probe):
    """What connection tracking knows: the ends from which its answer comes, and goes to."""
    asked = conntrack.Tuple(probe.src, probe.sport, probe.dst, probe.dport)
    found = conntrack.connection(node.here, "tcp", asked)
    return found and found.reply


@pytest.mark.parametrize("mode", [*VARIANTS, "nftables"])
@pytest.mark.parametrize(("iptables", "nftables", "version", "end"), rows.ENDS)
def test_where_it_is_sent(iptables, nftables, version, end, mode, tmp_path):
    family, own = FAMILIES[version == 6], rows.HERE[version]
    load, rules = of_mode(mode, iptables, nftables, family)
    with standing(tmp_path, family, own, load) as node, listening(node, family):
        probe = ProbeNumbers().probe("tcp", rows.SOURCE[version], own, 80)
        outcome = simulated(rules(node.here), probe, own)
        seen = Told(node, rules(node.here), probe)
        reply = remembered(node, probe)
        assert outcome.endpoint == end
        assert (reply.source, reply.sport) == end
        assert seen.left_for == (None if outcome.delivered else end)
        if mode != "legacy":
            assert seen.met == [(hit.table, hit.chain, hit.number) for hit in outcome.rules]


@pytest.mark.parametrize("mode", [*VARIANTS, "nftables"])
@pytest.mark.parametrize(("iptables", "nftables", "version", "source"), rows.SOURCES)
def test_as_whom_it_goes_on(iptables, nftables, version, source, mode, tmp_path):
    family, own = FAMILIES[version == 6], rows.HERE[version]
    load, rules = of_mode(
        mode,
        f"-A INPUT -p tcp -j SNAT --to-source {iptables}",
        f"input: meta l4proto tcp {nftables}",
        family,
    )
    with standing(tmp_path, family, own, load) as node, listening(node, family):
        probe = ProbeNumbers().probe("tcp", rows.SOURCE[version], own, 80)
        outcome = simulated(rules(node.here), probe, own)
        seen = Told(node, rules(node.here), probe)
        assert remembered(node, probe).destination == source == outcome.packet.source
        if mode != "legacy":
            assert seen.met == [(hit.table, hit.chain, hit.number) for hit in outcome.rules]
