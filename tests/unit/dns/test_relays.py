"""Whom a node's cache asks over TCP, and by what address of its own."""

from __future__ import annotations

from netlab.dns import relays
from netlab.dns.corefile import CacheSettings
from netlab.dns.statistics import Statistics, metrics
from netlab.workload.inside.corefile import parse

SETTINGS = CacheSettings(
    servers=(
        ("cluster.local", ("10.96.0.9", "fd00::9#5353")),
        ("in-addr.arpa", ("10.96.0.9",)),
        (".", ("10.96.0.9", "172.16.110.1")),
    ),
    forced=("cluster.local", "in-addr.arpa"),
)


def test_each_server_has_one_address() -> None:
    known = relays.relays(SETTINGS)
    assert known == {"10.96.0.9": "127.0.53.1", "fd00::9#5353": "127.0.53.2"}
    assert relays.relays(CacheSettings(servers=SETTINGS.servers)) == {}


def test_of_other_zones_they_are_asked_themselves() -> None:
    assert relays.asked(SETTINGS) == (
        ("cluster.local", ("127.0.53.1#10530", "127.0.53.2#10530")),
        ("in-addr.arpa", ("127.0.53.1#10530",)),
        (".", ("10.96.0.9", "172.16.110.1")),
    )


def test_what_passes_them_on_has_a_file_of_its_own() -> None:
    blocks = parse(relays.corefile(relays.relays(SETTINGS)))
    assert [block.keys for block in blocks] == [(".:10530",)] * 2
    words = [[directive.words for directive in block.directives] for block in blocks]
    assert words == [
        [("bind", "127.0.53.1"), ("forward", ".", "10.96.0.9:53")],
        [("bind", "127.0.53.2"), ("forward", ".", "[fd00::9]:5353")],
    ]
    assert [each.words for each in blocks[0].directives[1].below] == [("force_tcp",)]


def test_prometheus_sees_who_was_meant() -> None:
    counted = Statistics(servers={"127.0.53.1#10530": 5, "10.96.0.9#53": 2, "172.16.110.1#53": 1})
    page = metrics(counted, SETTINGS, "1")
    assert 'coredns_forward_requests_total{to="10.96.0.9:53"} 7' in page
    assert 'coredns_forward_requests_total{to="172.16.110.1:53"} 1' in page
    assert "127.0.53" not in page
