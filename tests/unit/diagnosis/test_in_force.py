"""What is not in force on a node as it is to be, in words, and what mends it."""

from __future__ import annotations

from typing import Any

import pytest

from netlab.diagnosis.in_force import InForce, RuleGap, Setting, matters, network, rules

WEB: Any = {"metadata": {"name": "web", "namespace": "default"}}
JUMP = '-d 10.96.1.1/32 -p tcp -m comment --comment "default/web cluster IP" -j KUBE-SVC-X'
BARE = "-d 10.96.1.1/32 -p tcp -j KUBE-SVC-X"
LOST = RuleGap("missing", "nat", "KUBE-SERVICES", JUMP)
CHAIN = RuleGap("missing", "nat", "KUBE-SEP-Y")
OLD = RuleGap("stale", "nat", "KUBE-SEP-Z", found="-j DNAT --to-destination 10.244.1.9:80")
OTHER = RuleGap("altered", "nat", "KUBE-SERVICES", JUMP, JUMP.replace("tcp", "udp"))

STILL = " (kube-proxy there stands still: the Node is annotated netlab/hands-off)"
SOON = " (changed by hand, or not written yet: kube-proxy puts it right within seconds)"
PUT_BACK = "netlab annotate node w1 netlab/hands-off-    # netlab puts all back"


@pytest.mark.parametrize(
    ("there", "reason", "line", "remedy"),
    [
        (
            InForce("w1", gaps=(LOST,)),
            "RuleDeleted",
            f"a rule is missing on node w1: nat KUBE-SERVICES: {BARE}{SOON}",
            "",
        ),
        (
            InForce("w1", gaps=(CHAIN, LOST), rules_left=True),
            "RuleDeleted",
            "a rule was deleted by hand on node w1: the whole chain nat KUBE-SEP-Y; 1 other "
            "rule or chain differs there" + STILL,
            PUT_BACK,
        ),
        (
            InForce("w1", has_rules=False, gaps=(LOST, CHAIN), rules_left=True),
            "RulesBehind",
            f"node w1 has no rule for svc/web{STILL}",
            PUT_BACK,
        ),
        (
            InForce("w1", gaps=(LOST, OLD), rules_left=True),
            "RulesBehind",
            "the rules on node w1 are those of before: nat KUBE-SEP-Z: -j DNAT --to-destination "
            f"10.244.1.9:80; 1 other rule or chain differs there{STILL}",
            PUT_BACK,
        ),
        (
            InForce("w1", gaps=(OLD,)),
            "RuleAdded",
            "a rule should not be there on node w1: nat KUBE-SEP-Z: -j DNAT --to-destination "
            f"10.244.1.9:80{SOON}",
            "",
        ),
        (
            InForce("w1", gaps=(OTHER,)),
            "RuleChanged",
            f"a rule is another on node w1: nat KUBE-SERVICES: {BARE}, which is "
            f"{BARE.replace('tcp', 'udp')} there{SOON}",
            "",
        ),
    ],
)
def test_rules(there: InForce, reason: str, line: str, remedy: str) -> None:
    [cause] = rules(WEB, [InForce("w0"), there])
    assert (cause.reason, str(cause), cause.remedy) == (reason, line, remedy)
    assert cause.nodes == ("w1",)


@pytest.mark.parametrize(
    ("name", "effect"),
    [
        ("net.ipv4.ip_forward", "the node forwards no packet"),
        ("net.ipv4.conf.cni0.forwarding", "the node forwards nothing that comes in by cni0"),
        (
            "net.ipv4.conf.eth0.rp_filter",
            "the node drops what comes in by another link than it would answer by",
        ),
    ],
)
def test_sysctls(name: str, effect: str) -> None:
    [cause] = network([InForce("w1", settings=(Setting(name, "0", "1"),))])
    assert str(cause) == f"sysctl {name} is 0 on node w1, and has to be 1: {effect}"
    assert cause.remedy == f"sudo netlab shell w1 -- sysctl -w {name}=1"


def test_links_are_put_back_where_they_are_not_left() -> None:
    left, kept = network(
        [
            InForce("w1", links="eth0 is down", network_left=True),
            InForce("w2", links="eth1 is down"),
        ]
    )
    assert str(left) == "the network of node w1 was changed by hand: eth0 is down"
    assert (left.remedy, kept.remedy) == (PUT_BACK, "")


def test_sysctls_that_keep_no_packet_away_do_not_matter() -> None:
    assert not matters("net.netfilter.nf_conntrack_tcp_timeout_established")
    assert matters("net.bridge.bridge-nf-call-iptables")
