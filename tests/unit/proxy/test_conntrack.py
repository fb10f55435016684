"""Which conntrack entries lead nowhere after a change."""

from unit.proxy.objects import NODE, endpoint_slice, service

from netlab.proxy.conntrack import stale_entries
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
