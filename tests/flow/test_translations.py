"""The end that either mode's rule gives a packet, in all the words that say one."""

import pytest

from netlab.proxy.iptables.parse import parse
from netlab.proxy.nftables.parse import parse_tables
from netlab.simulation.iptables import simulate
from netlab.simulation.nftables import simulate as nft_simulate
from netlab.simulation.packet import Packet

SOURCE, HERE = {4: "192.0.2.1", 6: "2001:db8::1"}, {4: "10.10.0.1", 6: "fd00::a"}


def by_iptables(rule, packet):
    text = f"*nat\n:PREROUTING ACCEPT [0:0]\n:INPUT ACCEPT [0:0]\n{rule}\nCOMMIT\n"
    (outcome,) = simulate(parse(text), packet)
    return outcome


def by_nftables(rule, packet):
    chain, rule = rule.split(": ")
    kind = f"type nat hook {chain} priority {'dstnat' if chain == 'prerouting' else 'srcnat'};"
    family = "ip6" if ":" in packet.source else "ip"
    text = f"table {family} mine {{\nchain it {{\n{kind}\n{rule}\n}}\n}}\n"
    (outcome,) = nft_simulate(parse_tables(text, "ipv6" if family == "ip6" else "ipv4"), packet)
    return outcome


def packet(version):
    return Packet(SOURCE[version], HERE[version], dport=80, local=frozenset(HERE.values()))


DNAT, NFT = "-A PREROUTING -p tcp -j DNAT --to-destination", "prerouting: meta l4proto tcp"


@pytest.mark.parametrize(
    ("iptables", "nftables", "version", "end"),
    [
        (f"{DNAT} 10.0.0.1:81", f"{NFT} dnat to 10.0.0.1:81", 4, ("10.0.0.1", 81)),
        (f"{DNAT} 10.0.0.1", f"{NFT} dnat to 10.0.0.1", 4, ("10.0.0.1", 80)),
        (f"{DNAT} :81", f"{NFT} dnat to :81", 4, (HERE[4], 81)),
        (f"{DNAT} [fd00::1]:81", f"{NFT} dnat to [fd00::1]:81", 6, ("fd00::1", 81)),
        (f"{DNAT} fd00::1", f"{NFT} dnat to fd00::1", 6, ("fd00::1", 80)),
        (f"{DNAT} [fd00::1]", f"{NFT} dnat to [fd00::1]", 6, ("fd00::1", 80)),
        (
            "-A PREROUTING -p tcp -j REDIRECT --to-ports 81",
            f"{NFT} redirect to :81",
            6,
            ("::1", 81),
        ),
        ("-A PREROUTING -p tcp -j REDIRECT", f"{NFT} redirect", 4, ("127.0.0.1", 80)),
    ],
)
def test_where_it_is_sent(iptables, nftables, version, end):
    for outcome in (by_iptables(iptables, packet(version)), by_nftables(nftables, packet(version))):
        assert (outcome.endpoint, outcome.masqueraded, outcome.unknown) == (end, False, ())


@pytest.mark.parametrize(
    ("iptables", "nftables", "version", "source"),
    [
        ("10.0.0.1", "snat to 10.0.0.1", 4, "10.0.0.1"),
        ("10.0.0.1:1024-65535", "snat to 10.0.0.1:1024-65535", 4, "10.0.0.1"),
        ("[fd00::1]:1024-65535", "snat to [fd00::1]:1024-65535", 6, "fd00::1"),
        (":1024-65535", "snat to :1024-65535", 6, SOURCE[6]),
    ],
)
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
    outcome = by_nftables(f"{NFT} dnat to {to}", packet(4))
    assert (outcome.endpoint, outcome.unknown) == (None, (f"dnat to {to}",))
