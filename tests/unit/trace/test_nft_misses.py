"""Why rules of nftables mode do not match, and how each is said."""

from __future__ import annotations

import pytest

from netlab.proxy.nftables.parse import parse_tables
from netlab.simulation.packet import Packet
from netlab.trace.nftables_rules import NftRules
from netlab.view.nft_words import words

LISTING = """
table inet netlab-node-local-dns {
	chain raw-output {
		type filter hook output priority raw; policy accept;
		ip daddr 169.254.20.10 udp dport 53 counter packets 0 bytes 0 notrack comment "skip"
	}
}
table ip kube-proxy {
	set cluster-ips {
		type ipv4_addr
		elements = { 10.96.0.7 comment "web", 10.96.0.8 }
	}
	set affinity-X {
		type ipv4_addr
		flags dynamic,timeout
		timeout 3h
		elements = { 10.244.2.9 timeout 3h expires 2h59m58s996ms }
	}
	map service-ips {
		type ipv4_addr . inet_proto . inet_service : verdict
		elements = { 10.96.0.7 . tcp . 80 : goto web, 10.96.0.8 . udp . 53 : goto web }
	}
	chain rules {
		%s
	}
}
table ip6 kube-proxy {
}
"""
PACKET = Packet("10.244.2.4", "10.96.0.7", dport=81, in_interface="cni0")
BY_SERVICE = "ip daddr . meta l4proto . th dport vmap @service-ips"


def rules_of(rule: str) -> NftRules:
    return NftRules(parse_tables(LISTING % rule, "ipv4"))


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (
            BY_SERVICE,
            "10.96.0.7 . tcp . 81 is not in service-ips, which has 10.96.0.7 . tcp . 80",
        ),
        ("ip saddr @cluster-ips drop", "the source 10.244.2.4 is not in cluster-ips"),
        ("ip saddr != 10.244.0.0/16 drop", "the source 10.244.2.4 is in 10.244.0.0/16"),
        ("udp dport 81 drop", "a packet of tcp has no udp dport"),
        ("tcp dport 80 drop", "port 81 is not 80"),
        ("ip saddr @affinity-X drop", "the client has not been sent there before"),
        ("numgen random mod 2 vmap { 0 : drop }", "the draw said no"),
        ("tcp dport 81 osf name Linux drop", "not understood: osf name Linux"),
    ],
)
def test_the_first_phrase_that_fails(rule: str, said: str) -> None:
    (miss,) = rules_of(rule).misses("kube-proxy", "rules", PACKET)
    assert miss.words == said


def test_a_client_that_the_listing_has_is_known() -> None:
    rules = rules_of("ip saddr @affinity-X drop")
    known = Packet("10.244.2.9", "10.96.0.7", dport=80)
    assert list(rules.misses("kube-proxy", "rules", known)) == []


def test_tables_of_both_families_are_read() -> None:
    rules = rules_of("drop")
    (text,) = rules.texts("netlab-node-local-dns", "raw-output")
    assert "notrack" in text and rules.texts("kube-proxy", "gone") == ()
    assert [rules.acts(each) for each in (text, "ct state new jump x", "return", "drop")] == [
        True, False, False, True,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (BY_SERVICE, "address, protocol and port in service-ips → web"),
        ("ct state new jump web", "new → web"),
        ("tcp dport 53 accept", "tcp port 53: accept"),
        ("meta l4proto tcp dnat to 10.244.0.7:80", "tcp: send to 10.244.0.7:80 (DNAT)"),
        (
            "meta l4proto tcp dnat ip to numgen random mod 1 map { 0 : 10.244.0.7 . 80 }",
            "tcp: send to 10.244.0.7:80 (DNAT)",
        ),
        ('meta mark set meta mark | 0x4000 comment "masquerade"', "mark for masquerade"),
        ("fib saddr type local goto web", "from an address of this node → web"),
        ('iifname != "cni0" reject', "not in by cni0: refuse"),
        ("ip saddr @affinity-X goto web", "if this client was here before → web"),
        ("update @affinity-X { ip saddr }", "remember the client"),
        ("tcp flags syn drop", "tcp flags syn: drop"),
        ("queue num 1", "queue num 1"),
        ("meta random & 2147483647 < 715827883 jump web", "in 1/3 of cases → web"),
        ("counter", "count"),
    ],
)
def test_words(rule: str, said: str) -> None:
    assert words(rule, to="web") == said


OTHERS = """\
table inet strange {
	counter hits {
		packets 0 bytes 0
	}

	flowtable ft {
		hook ingress priority filter
		devices = { eth0 }
	}

	ct helper ftp-standard {
		type "ftp" protocol tcp
		l3proto inet
	}

	chain fw {
		type filter hook forward priority filter; policy accept;
		ip protocol tcp flow add @ft
	}
}
table ip asleep {
	flags dormant

	chain fw {
		type filter hook forward priority filter; policy drop;
	}
}
table netdev other {
	chain in {
		type filter hook ingress device "eth0" priority filter; policy accept;
	}
}
"""


def test_what_others_have_in_their_tables_is_passed_over() -> None:
    """A table that sleeps has no effect; one of another family is met by no packet of ours."""
    (table,) = parse_tables(OTHERS, "ipv4")
    assert (table.name, list(table.chains)) == ("strange", ["fw"])
    rules = NftRules([table])
    (found,) = rules.simulate(PACKET, entry="PREROUTING", route=lambda _: "eth0")
    assert found.unknown == ()
    assert rules.knows("strange")
    assert not rules.knows("asleep")
