"""The end that either mode's rule gives a packet, in all the words that say one."""

import proved
import pytest
from flow import rows
from flow.rows import DNAT, HERE, NFT_DNAT, SOURCE
from msgspec.structs import replace

from netlab.prove.of_iptables import IptablesRules
from netlab.prove.space import Space
from netlab.proxy.iptables.parse import parse
from netlab.proxy.nftables.parse import parse_tables
from netlab.simulation.iptables import simulate
from netlab.simulation.nftables import simulate as nft_simulate
from netlab.simulation.packet import Packet


def by_iptables(rule, packet):
    text = f"*nat\n:PREROUTING ACCEPT [0:0]\n:INPUT ACCEPT [0:0]\n{rule}\nCOMMIT\n"
    (outcome,) = simulate(parse(text), packet)
    return outcome


def by_nftables(rule, packet):
    chain, rule = rule.split(": ")
    kind = f"type nat hook {chain} priority {-100 if chain == 'prerouting' else 100};"
    family = "ip6" if ":" in packet.source else "ip"
    text = f"table {family} mine {{\nchain it {{\n{kind}\n{rule}\n}}\n}}\n"
    (outcome,) = nft_simulate(parse_tables(text, "ipv6" if family == "ip6" else "ipv4"), packet)
    return outcome


def packet(version):
    own = HERE[version]
    return Packet(SOURCE[version], own, dport=80, local=frozenset(HERE.values()), link_address=own)


def test_what_a_machine_redirects_of_its_own_goes_to_its_loopback():
    rules = "*nat\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -p tcp -j REDIRECT --to-ports 81\nCOMMIT\n"
    for version, loopback in ((4, "127.0.0.1"), (6, "::1")):
        own = replace(packet(version), source=HERE[version], link_address="")
        (outcome,) = simulate(parse(rules), own, entry="OUTPUT")
        assert outcome.endpoint == (loopback, 81)


@pytest.mark.parametrize(("iptables", "nftables", "version", "end"), rows.ENDS)
def test_where_it_is_sent(iptables, nftables, version, end):
    for outcome in (by_iptables(iptables, packet(version)), by_nftables(nftables, packet(version))):
        assert (outcome.endpoint, outcome.masqueraded, outcome.unknown) == (end, False, ())


@pytest.mark.parametrize(("iptables", "nftables", "version", "source"), rows.SOURCES)
def test_as_whom_it_goes_on(iptables, nftables, version, source):
    rule = f"-A INPUT -p tcp -j SNAT --to-source {iptables}"
    for outcome in (
        by_iptables(rule, packet(version)),
        by_nftables(f"input: meta l4proto tcp {nftables}", packet(version)),
    ):
        assert (outcome.packet.source, outcome.masqueraded, outcome.unknown) == (source, True, ())


@pytest.mark.parametrize(
    "to", ["10.0.0.1-10.0.0.9", "10.0.0.1-10.0.0.9:80", "10.0.0.1:80-90", ":80-90", "10.0.0.300"]
)
def test_what_the_kernel_chooses_is_not_known_here(to):
    """It takes one of a range by a hash, so none is told."""
    outcome = by_iptables(f"{DNAT} {to}", packet(4))
    assert (outcome.endpoint, outcome.unknown) == (None, ("-j DNAT",))
    outcome = by_nftables(f"{NFT_DNAT} dnat to {to}", packet(4))
    assert (outcome.endpoint, outcome.unknown) == (None, (f"dnat to {to}",))


OWN = ["10.10.0.1", "10.244.0.1"]
REDIRECT = "*nat\n:{hook} ACCEPT [0:0]\n-A {hook} -p tcp -j REDIRECT --to-ports 81\nCOMMIT\n"


def proved_ends(text, sent, entry="PREROUTING"):
    space = Space("ipv4", (), OWN)
    hooks = proved.asked([IptablesRules(parse(text), space)], space)
    ways = proved.ends_of(hooks, sent, entry)
    return [(way.at, *proved.destination(way.state.to, sent, space)) for way in ways]


def test_proofs_redirect_to_an_address_of_the_node():
    """Which one, the link says that it comes in by."""
    sent = Packet("192.0.2.1", "10.96.0.10", dport=80, in_interface="eth0")
    text = REDIRECT.format(hook="PREROUTING")
    assert proved_ends(text, sent) == [("delivered", "an address of the node", 81)]
    for rule, end in (("-d 10.10.0.1", "open"), ("-d 127.0.0.0/8", "delivered"), ("", "dropped")):
        more = f"*filter\n:INPUT ACCEPT [0:0]\n-A INPUT {rule} -j DROP\nCOMMIT\n"
        assert [each[0] for each in proved_ends(text + more, sent)] == [end]


def test_proofs_redirect_what_the_node_sends_to_its_loopback():
    sent = Packet("10.10.0.1", "10.96.0.10", dport=80)
    text = REDIRECT.format(hook="OUTPUT")
    assert proved_ends(text, sent, "OUTPUT") == [("delivered", "127.0.0.1", 81)]
