"""Packets at machines that are not at hand: facts that nobody told are tried both ways."""

from __future__ import annotations

import pytest

from netlab.proxy.iptables.parse import parse
from netlab.proxy.nftables.parse import parse_tables
from netlab.simulation import both, iptables, nftables
from netlab.simulation.knowledge import UNTOLD, Known, Unsure, comes_in_by, own
from netlab.simulation.packet import Outcome, Packet
from netlab.simulation.suppositions import END, Case, cases, decisive

FOREIGN = Known(foreign=frozenset({"10.0.0.5", "10.0.0.6"}))
PACKET = Packet(
    "10.0.0.5", "10.0.0.6", dport=80, in_interface=UNTOLD, out_interface=UNTOLD, known=FOREIGN
)


def of_iptables(rules: str, packet: Packet = PACKET) -> list[Case]:
    text = f"*filter\n:INPUT ACCEPT\n:FORWARD ACCEPT\n:OTHER - [0:0]\n{rules}\nCOMMIT\n"
    ruleset = parse(text)
    return cases(lambda one: iptables.simulate(ruleset, one), packet)


def of_nftables(rules: str, packet: Packet = PACKET) -> list[Case]:
    lines = "\n".join(f"\t\t{rule}" for rule in rules.splitlines())
    base = "\t\ttype filter hook forward priority filter; policy accept;\n"
    tables = parse_tables(f"table inet t {{\n\tchain c {{\n{base}{lines}\n\t}}\n}}\n", "ipv4")
    return cases(lambda one: nftables.simulate(tables, one), packet)


def verdicts(found: list[Case]) -> dict[tuple[tuple[str, bool], ...], str]:
    return {case.supposed: case.outcomes[0].verdict for case in found}


LINK = "it comes in by eth0"


@pytest.mark.parametrize(
    ("found", "drops"),
    [
        (of_iptables("-A FORWARD -i eth0 -j DROP"), True),
        (of_iptables("-A FORWARD ! -i eth0 -j DROP"), False),
        (of_nftables('iifname "eth0" drop'), True),
        (of_nftables('iifname != "eth0" drop'), False),
        (of_nftables('iifname vmap { "eth0" : drop }'), True),
    ],
)
def test_a_link_is_tried_both_ways(found: list[Case], drops: bool) -> None:
    dropped, kept = ("DROP", "ACCEPT") if drops else ("ACCEPT", "DROP")
    assert verdicts(found) == {((LINK, False),): kept, ((LINK, True),): dropped}
    assert decisive(found, END) == [LINK]


@pytest.mark.parametrize(
    "found",
    [
        of_iptables("-A FORWARD -i eth0 -p udp -j DROP"),
        of_iptables("-A FORWARD -i eth0 -j LOG"),
        of_nftables('iifname "eth0" meta l4proto udp drop'),
        of_nftables('iifname . meta l4proto { "eth0" . udp } drop'),
        of_nftables('iifname "eth0" log prefix "x"'),
    ],
)
def test_what_cannot_matter_is_not_asked(found: list[Case]) -> None:
    (case,) = found
    assert not decisive(found)
    assert case.outcomes[0].verdict == "ACCEPT"


def test_links_exclude_each_other() -> None:
    rules = "-A FORWARD -i cali+ -j OTHER\n-A OTHER -i cali1 -j RETURN\n-A OTHER -i eth0 -j DROP"
    supposed = {case.supposed for case in of_iptables(rules)}
    # One that comes by eth0 does not come by a cali+, and what may be is asked once.
    assert not any(("it comes in by eth0", True) in one for one in supposed)
    assert len(supposed) == 3


def test_facts_that_were_told_are_not_asked() -> None:
    known = FOREIGN.supposing(comes_in_by("eth0"), so=True)
    assert known.passes("10.0.0.6", "comes in by", "eth0")
    assert known.passes("10.0.0.6", "comes in by", "eth+")
    assert not known.passes("10.0.0.6", "comes in by", "cni0")
    with pytest.raises(Unsure):
        known.passes("10.0.0.6", "leaves by", "cni0")
    with pytest.raises(Unsure, match=own("10.0.0.7")):
        known.is_local("10.0.0.7")
    assert not Known(networks=("10.0.0.0/8",)).is_local("10.0.0.7")


def test_one_that_leaves_is_not_for_the_node() -> None:
    packet = Packet("10.0.0.5", "10.9.9.9", dport=80, out_interface="eth1", known=FOREIGN)
    (case,) = of_iptables("-A INPUT -j DROP", packet)
    assert case.outcomes[0].hook == "POSTROUTING"


@pytest.mark.parametrize(
    ("rules", "verdict"),
    [
        ("-A FORWARD -m connmark --mark 0x1/0x1 -j DROP", "ACCEPT"),
        ("-A FORWARD -m connmark ! --mark 0x1/0x1 -j DROP", "DROP"),
        (
            "-A FORWARD -j CONNMARK --set-xmark 0x1/0x1\n"
            "-A FORWARD -m connmark --mark 0x1/0x1 -j DROP",
            "DROP",
        ),
        (
            "-A FORWARD -j MARK --set-xmark 0x5/0xff\n-A FORWARD -j CONNMARK --save-mark\n"
            "-A FORWARD -j MARK --set-xmark 0x0/0xff\n"
            "-A FORWARD -j CONNMARK --restore-mark --nfmask 0xff --ctmask 0xff\n"
            "-A FORWARD -m mark --mark 0x5 -j DROP",
            "DROP",
        ),
        (
            "-A FORWARD -j MARK --set-xmark 0x5/0xff\n"
            "-A FORWARD -j CONNMARK --restore-mark --nfmask 0xff --ctmask 0xff\n"
            "-A FORWARD -m mark --mark 0x5 -j DROP",
            "ACCEPT",
        ),
    ],
)
def test_a_first_packets_connection_has_the_mark_that_rules_gave(rules: str, verdict: str) -> None:
    (case,) = of_iptables(rules)
    assert case.outcomes[0].verdict == verdict


def test_a_later_packets_connection_may_have_any_mark() -> None:
    packet = Packet("10.0.0.5", "10.0.0.6", dport=80, ctstate="ESTABLISHED")
    text = "*filter\n:FORWARD ACCEPT\n-A FORWARD -m connmark --mark 0x1 -j DROP\nCOMMIT\n"
    (outcome,) = iptables.simulate(parse(text), packet)
    assert outcome.unknown == ("--mark 0x1",)


def test_iptables_statistic_in_nfts_words_is_a_draw() -> None:
    found = of_nftables("meta random & 2147483647 < 715827883 drop")
    (case,) = found
    shares = {each.verdict: each.probability for each in case.outcomes}
    assert shares == pytest.approx({"DROP": 1 / 3, "ACCEPT": 2 / 3})


def together(hook_priority: str, ruleset: str) -> Outcome:
    chain = f"\t\ttype filter hook forward priority {hook_priority}; policy accept;\n"
    text = f"table inet t {{\n\tchain c {{\n{chain}\t\tmeta mark 0x1 drop\n\t}}\n}}\n"
    found = both.simulate(parse(ruleset), parse_tables(text, "ipv4"), PACKET)
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize(
    ("priority", "table", "verdict"),
    [("-200", "mangle", "ACCEPT"), ("-10", "mangle", "DROP"), ("10", "filter", "DROP")],
)
def test_both_kinds_of_rules_are_met_in_one_order(priority: str, table: str, verdict: str) -> None:
    rules = f"*{table}\n:FORWARD ACCEPT\n-A FORWARD -j MARK --set-xmark 0x1/0xffffffff\nCOMMIT\n"
    assert together(priority, rules).verdict == verdict
