"""Packets through nftables rules on paper: what each rule's words mean, and what nobody knows."""

import pytest
from flow import rows
from flow.rows import FILTER, NODE_IP, SETS

from netlab.proxy.nftables.parse import parse
from netlab.simulation.hooks import DanglingJump
from netlab.simulation.nftables import simulate
from netlab.simulation.packet import Packet


def table(*chains, sets=SETS):
    """A table of these chains, each its name, header and rules."""
    told = "".join(
        f"chain {name} {{\n{header}\n" + "".join(f"{rule}\n" for rule in rules) + "}\n"
        for name, header, *rules in chains
    )
    return parse(f"table ip kube-proxy {{\n{sets}{told}}}\n", "ipv4")


def packet(source="192.0.2.1", destination=NODE_IP, dport=80, **more):
    return Packet(source, destination, dport=dport, local=frozenset({NODE_IP}), **more)


def verdict(rule, sent):
    (outcome,) = simulate([table(("in", FILTER, rule), ("other", "", "reject"))], sent)
    return outcome.verdict, outcome.unknown


@pytest.mark.parametrize(("rule", "expected"), rows.NFT)
def test_matches(rule, expected):
    assert verdict(rule, packet(in_interface="eth0")) == (expected, ())


@pytest.mark.parametrize(("port", "expected"), [(81, "REJECT"), (82, "ACCEPT"), (83, "DROP")])
def test_a_map_s_verdict_is_the_rule_s(port, expected):
    rules = table(("in", FILTER, "tcp dport vmap @ports", "drop"), ("other", "", "reject"))
    (outcome,) = simulate([rules], packet(dport=port))
    assert outcome.verdict == expected


def test_a_packet_whose_source_was_remembered_is_in_that_set():
    sent = packet(recent=frozenset({"clients"}))
    assert verdict("ip saddr @clients drop", sent) == ("DROP", ())
    assert verdict("update @clients { ip saddr } drop", sent) == ("DROP", ())


@pytest.mark.parametrize(
    ("rule", "met"),
    [
        ("tcp dport < 81", True), ("tcp dport < 80", False), ("tcp dport <= 80", True),
        ("tcp dport > 79", True), ("tcp dport > 80", False), ("tcp dport >= 80", True),
        ("tcp dport < 0", False), ("tcp sport > 65535", False), ("udp dport < 81", False),
        ("tcp dport != 70-90", False), ("tcp dport { 22, 70-90 }", True),
        ("tcp dport != { 22, 81-90 }", True), ("ip saddr < 10.0.0.2", False),
        ("ip saddr >= 10.0.0.2", True), ("ip daddr > 255.255.255.254", False),
    ],
)  # fmt: skip
def test_a_value_is_above_or_below_another(rule, met):
    sent = packet(source="10.0.0.2")
    assert verdict(f"{rule} drop", sent) == ("DROP" if met else "ACCEPT", ())


@pytest.mark.parametrize(
    ("rule", "state", "expected"),
    [
        ("ct mark 0x1 drop", "ESTABLISHED", ("ACCEPT", ("ct mark 0x1",))),
        ("ct mark != 0x1 drop", "UNTRACKED", ("ACCEPT", ())),
        ("ct mark set 0x1 drop", "ESTABLISHED", ("DROP", ())),
        ("meta mark set ct mark drop", "ESTABLISHED", ("ACCEPT", ("meta mark set ct mark",))),
        ("meta mark set ct mark drop", "UNTRACKED", ("ACCEPT", ())),
        ("tcp flags ack drop", "ESTABLISHED", ("DROP", ())),
        ("tcp flags syn / fin,syn,rst,ack drop", "ESTABLISHED", ("ACCEPT", ())),
    ],
)  # fmt: skip
def test_of_a_later_packet_nobody_knows_what_an_earlier_one_has_set(rule, state, expected):
    assert verdict(rule, packet(ctstate=state)) == expected


@pytest.mark.parametrize(
    "rule", ['counter name "seen" drop', "flow add @fast drop", "ct helper set \"ftp\" drop",
             "meter ssh size 65535 { ip saddr limit rate 3/minute } drop"],
)  # fmt: skip
def test_what_changes_nothing_of_a_packets_way(rule):
    assert verdict(rule, packet()) == ("DROP", ())


@pytest.mark.parametrize(
    ("rule", "met"),
    [
        ("icmp type echo-request", True), ("icmp type 8", True), ("icmp type 9-12", False),
        ("icmp type { echo-reply, destination-unreachable }", False), ("icmp type != 8", False),
        ("icmp code 0", True), ("icmpv6 type 128", False),
    ],
)  # fmt: skip
def test_icmp_is_asked_for_its_type_and_code(rule, met):
    sent = packet(protocol="icmp", dport=0)
    assert verdict(f"{rule} drop", sent) == ("DROP" if met else "ACCEPT", ())
    other = packet(protocol="icmp", dport=0, icmp=(3, 4))
    assert verdict("icmp type destination-unreachable icmp code 4 drop", other) == ("DROP", ())


@pytest.mark.parametrize(
    ("rule", "unknown"),
    [
        ("tcp flags { syn, ack } drop", "tcp flags { syn, ack }"),
        ("add @clients { ip saddr ct count over 3 } drop",
         "add @clients { ip saddr ct count over 3 }"),
        ("tcp dport 80 osf name Linux drop", "osf name Linux"),
        ("ip saddr $HOME drop", "ip saddr $HOME"),
        ("ct state whatever drop", "ct state whatever"),
        ("meta mark < 90 drop", "meta mark < 90"),
        ("queue num 1", "queue num 1"),
        ("numgen random mod 2 offset 1 vmap { 1 : drop }", "numgen random mod 2 offset 1 vmap "
         "{ 1 : drop }"),
        ("numgen random mod 2 vmap { 7 : drop }", "numgen random mod 2 vmap { 7 : drop }"),
        ("tcp dport vmap { 80 : sometimes }", "tcp dport vmap { 80 : sometimes }"),
    ],
)  # fmt: skip
def test_what_nobody_understands_is_told_and_does_not_match(rule, unknown):
    assert verdict(rule, packet()) == ("ACCEPT", (unknown,))


@pytest.mark.parametrize(
    "rule", ["udp dport 9 osf name Linux drop", "ct state whatever tcp dport 81 drop"]
)
def test_nothing_is_told_of_a_rule_that_cannot_match(rule):
    assert verdict(rule, packet()) == ("ACCEPT", ())


def test_draws_have_their_shares():
    draw = "numgen random mod 4 vmap { 0 : drop, 1 : goto other }"
    outcomes = simulate([table(("in", FILTER, draw), ("other", "", "reject"))], packet())
    assert {one.verdict: one.probability for one in outcomes} == {
        "ACCEPT": 0.5, "DROP": 0.25, "REJECT": 0.25,
    }  # fmt: skip


NAT = "type nat hook prerouting priority {}; policy accept;"


def test_base_chains_are_asked_by_priority_and_nat_in_its_place():
    """Whatever priority a chain of type nat has, the kernel asks it where nat is."""
    first = NAT.format("-300")
    raw = "type filter hook prerouting priority dstnat - 10; policy accept;"
    late = "type filter hook prerouting priority filter; policy accept;"
    rules = table(
        ("late", late, "tcp dport 80 drop", "tcp dport 81 accept"),
        ("nat", first, "dnat to 10.0.0.1:81"),
        ("again", NAT.format("dstnat"), "dnat to 10.0.0.2:82"),
        ("before", raw, "tcp dport 80 accept"),
    )
    (outcome,) = simulate([rules], packet())
    assert (outcome.verdict, outcome.endpoint) == ("ACCEPT", ("10.0.0.1", 81))
    assert [hit.chain for hit in outcome.rules] == ["before", "nat", "late"]


def test_an_accepting_nat_chain_leaves_it_to_the_next():
    rules = table(
        ("one", NAT.format("-110"), "accept"), ("two", NAT.format("dstnat"), "redirect to :99")
    )
    (outcome,) = simulate([rules], packet())
    assert (outcome.endpoint, outcome.delivered) == (("127.0.0.1", 99), True)


@pytest.mark.parametrize(
    ("rule", "end"),
    [
        ("dnat to 10.0.0.1:81", ("10.0.0.1", 81)),
        ("dnat to 10.0.0.1", ("10.0.0.1", 80)),
        ("dnat to :81", (NODE_IP, 81)),
        ("dnat ip to tcp dport map { 80 : 10.0.0.3 . 83 } persistent", ("10.0.0.3", 83)),
        ("dnat ip addr . port to numgen random mod 1 map { 0 : 10.0.0.4 . 84 }", ("10.0.0.4", 84)),
        ("dnat ip to tcp dport map { 9 : 10.0.0.3 . 83 }", None),
    ],
)
def test_where_a_packet_is_sent(rule, end):
    (outcome,) = simulate([table(("nat", NAT.format("dstnat"), rule))], packet())
    assert (outcome.endpoint, outcome.unknown) == (end, ())


def test_a_policy_decides_what_no_rule_does():
    dropping = FILTER.replace("accept", "drop")
    rules = table(("in", dropping, 'iifname "lo" accept', "goto out"), ("out", "", "return"))
    (outcome,) = simulate([rules], packet())
    assert (outcome.verdict, outcome.hook) == ("DROP", "INPUT")


def test_what_is_not_tracked_is_not_new_and_not_translated():
    raw = "type filter hook prerouting priority raw; policy accept;"
    rules = table(
        ("raw", raw, "udp dport 53 notrack"),
        ("nat", NAT.format("dstnat"), "dnat to 10.0.0.1:53"),
        ("in", FILTER, "ct state new drop", "ct state untracked reject"),
    )
    (outcome,) = simulate([rules], packet(dport=53, protocol="udp"))
    assert (outcome.endpoint, outcome.verdict) == (None, "REJECT")


def test_what_the_node_sends_itself_comes_in_by_lo_and_is_not_translated_again():
    rules = table(
        ("nat", NAT.format("dstnat"), "redirect to :1"),
        ("in", FILTER.replace("accept", "drop"), 'iifname "lo" accept'),
    )
    (own,) = simulate([rules], packet(source=NODE_IP), entry="OUTPUT")
    assert (own.verdict, own.delivered, own.endpoint) == ("ACCEPT", True, None)


def test_what_is_not_there_is_an_error():
    for rule in ("jump nowhere", "jump other", "tcp dport vmap @nowhere", "ip saddr @nowhere drop"):
        with pytest.raises(DanglingJump):
            simulate([table(("in", FILTER, rule), ("other", "", "jump other"))], packet())
