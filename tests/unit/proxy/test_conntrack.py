"""Which conntrack entries lead nowhere after a change."""

from unit.proxy.objects import NODE, endpoint_slice, service

from netlab.conntrack import Flow, parsed
from netlab.proxy.conntrack import left_over, stale_entries
from netlab.proxy.iptables.service_rules import compile_service


def rules(*ips, **spec):
    udp = service("dns", 10, protocol="UDP", **spec)
    slices = [endpoint_slice("dns", *ips, protocol="UDP")]
    return compile_service(udp, slices, NODE)


def test_entries_of_a_vanished_endpoint_are_stale():
    assert stale_entries(rules("10.244.0.1", "10.244.0.2"), rules("10.244.0.1")) == [
        ("--orig-dst", "10.96.0.10", "--orig-port-dst", "80")
        + ("--reply-src", "10.244.0.2", "--reply-port-src", "8080")
    ]


def test_untranslated_entries_are_stale_once_there_is_an_endpoint():
    assert stale_entries(rules(), rules("10.244.0.1")) == [
        ("--orig-dst", "10.96.0.10", "--orig-port-dst", "80")
        + ("--reply-src", "10.96.0.10", "--reply-port-src", "80")
    ]


def test_a_node_port_that_goes_takes_its_entries_along():
    before = rules("10.244.0.1", type="NodePort", port={"nodePort": 30053})
    assert stale_entries(before, rules("10.244.0.1")) == [
        ("--orig-port-dst", "30053", "--reply-src", "10.244.0.1", "--reply-port-src", "8080")
    ]


def test_nothing_is_stale_when_endpoints_only_come():
    assert stale_entries(rules("10.244.0.1"), rules("10.244.0.1", "10.244.0.2")) == []


CLIENT = ("10.244.1.2", 4000)
LISTED = """\
udp      17 28 src=10.244.1.2 dst=10.96.0.10 sport=4000 dport=80 src=10.244.0.7 dst=10.244.1.2 \
sport=8080 dport=4000 [ASSURED] mark=0 use=1
udp      17 3 src=10.244.1.2 dst=10.96.0.10 sport=4001 dport=80 [UNREPLIED] src=10.96.0.10 \
dst=10.244.1.2 sport=80 dport=4001 mark=0 use=1
icmp     1 29 src=10.244.1.2 dst=10.96.0.10 type=8 code=0 id=1 src=10.96.0.10 dst=10.244.1.2 \
type=0 code=0 id=1 mark=0 use=1
"""


def test_flows_are_read_of_what_is_listed():
    service = ("10.96.0.10", 80)
    assert parsed(LISTED) == [
        Flow(("10.244.1.2", 4000), service, ("10.244.0.7", 8080)),
        Flow(("10.244.1.2", 4001), service, service),
    ]


def test_flows_that_others_answer_than_endpoints_are_left_over():
    one = rules("10.244.0.1", type="NodePort", port={"nodePort": 30053})
    service, right = ("10.96.0.10", 80), ("10.244.0.1", 8080)
    wrong, node = ("10.244.0.7", 8080), ("172.16.0.1", 30053)
    kept = [
        Flow(CLIENT, service, right),
        Flow(CLIENT, node, right),
        Flow(CLIENT, ("8.8.8.8", 53), ("8.8.8.8", 53)),
    ]
    assert left_over([one], kept) == []
    assert left_over([one], [*kept, Flow(CLIENT, service, wrong), Flow(CLIENT, node, wrong)]) == [
        ("--orig-dst", "10.96.0.10", "--orig-port-dst", "80")
        + ("--reply-src", "10.244.0.7", "--reply-port-src", "8080"),
        ("--orig-dst", "172.16.0.1", "--orig-port-dst", "30053")
        + ("--reply-src", "10.244.0.7", "--reply-port-src", "8080"),
    ]


def test_without_an_endpoint_nobody_answers_rightly():
    assert len(left_over([rules()], [Flow(CLIENT, ("10.96.0.10", 80), ("10.244.0.1", 8080))])) == 1
