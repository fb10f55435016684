"""UDP flows that a node sends nowhere, from what `conntrack -L` prints."""

from __future__ import annotations

from netlab.conntrack import Flow, parsed
from netlab.diagnosis.flows import stale

GOOD = (
    "udp      17 117 src=10.244.0.2 dst=10.96.1.1 sport=5001 dport=53 "
    "src=10.244.1.4 dst=10.244.0.2 sport=53 dport=5001 [ASSURED] mark=0 use=1"
)
GONE = (
    "udp      17 29 src=10.244.0.2 dst=10.96.1.1 sport=5000 dport=53 [UNREPLIED] "
    "src=10.244.1.9 dst=10.244.0.2 sport=53 dport=5000 mark=0 use=1"
)
EARLY = (
    "udp      17 29 src=fd00::2 dst=fd00:96::1 sport=5000 dport=53 [UNREPLIED] "
    "src=fd00:96::1 dst=fd00:11::1 sport=53 dport=5000 use=1"
)
TCP = GONE.replace("udp      17", "tcp      6")


def test_entries_are_read() -> None:
    assert parsed("\n".join([GOOD, TCP, "conntrack v1.4.7: 2 flow entries have been shown."])) == [
        Flow(("10.244.0.2", 5001), ("10.96.1.1", 53), ("10.244.1.4", 53))
    ]


def test_those_that_lead_to_no_endpoint_are_named() -> None:
    found = parsed(f"{GOOD}\n{GONE}")
    [cause] = stale(found, {("10.244.1.4", 53)}, "default/box", "w1")
    assert str(cause) == (
        "stale UDP conntrack on node w1: what default/box sends from its port 5000 is sent to "
        "10.244.1.9:53, no endpoint any more, and each packet keeps that entry alive"
    )
    assert cause.remedy == (
        "sudo netlab shell w1 -- "
        "conntrack -D -p udp -s 10.244.0.2 -d 10.96.1.1 --sport 5000 --dport 53"
    )


def test_one_that_began_without_a_rule() -> None:
    [cause] = stale(parsed(EARLY), {("fd00:1::4", 53)}, "default/box", "w1")
    assert "is sent to no endpoint: it began when no rule was there to choose one" in str(cause)
    assert "conntrack -D -f ipv6 -p udp -s fd00::2" in cause.remedy


def test_where_all_is_well_or_nobody_is_there_nothing_is_said() -> None:
    assert not list(stale(parsed(GOOD), {("10.244.1.4", 53)}, "default/box", "w1"))
    assert not list(stale(parsed(GONE), set(), "default/box", "w1"))
