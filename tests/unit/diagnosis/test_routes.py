"""Routes and routing rules that turn a packet away: which, and what takes them away again."""

from __future__ import annotations

import pytest

from netlab.diagnosis.routes import Entry, turned_away

TABLES: list[Entry] = [
    {"dst": "default", "gateway": "172.16.110.1", "dev": "eth1"},
    {"type": "unreachable", "dst": "default", "table": "77"},
    {"type": "prohibit", "dst": "10.244.0.0/16"},
    {"type": "blackhole", "dst": "10.244.2.0/25"},
    {"dst": "10.244.2.0/24", "gateway": "10.10.11.12", "dev": "eth0"},
]
RULES: list[Entry] = [
    {"priority": 0, "src": "all", "table": "local"},
    {"priority": 9, "src": "10.99.0.0", "srclen": 16, "action": "blackhole"},
    {"priority": 32766, "src": "all", "table": "main"},
]


def test_the_longest_prefix_is_named() -> None:
    found = turned_away("w1", "10.244.1.4", "10.244.2.4", TABLES, RULES)
    assert found.message == (
        "node w1 does not send on what is for 10.244.2.4: its route blackhole 10.244.2.0/25 drops "
        "it in silence"
    )
    assert found.remedy == "sudo netlab shell w1 -- ip route del blackhole 10.244.2.0/25"
    alone = turned_away("w1", "10.244.1.4", "10.7.7.7", TABLES, RULES)
    assert alone.remedy.endswith("ip route del unreachable default table 77")


def test_a_host_s_own_route_is_longer_than_a_network_s() -> None:
    host: Entry = {"type": "unreachable", "dst": "fd00::4"}
    network: Entry = {"type": "blackhole", "dst": "fd00::/64"}
    found = turned_away("w1", "fd00::9", "fd00::4", [network, host], [])
    assert found.remedy == "sudo netlab shell w1 -- ip -6 route del unreachable fd00::4"


@pytest.mark.parametrize(
    ("source", "destination", "said"),
    [
        ("10.99.1.1", "10.244.2.4", "ip rule 9: from 10.99.0.0/16 blackhole drops it in silence"),
        ("10.98.1.1", "10.96.0.1", "its route unreachable default table 77"),
    ],
)
def test_a_rule_is_asked_before_any_route(source: str, destination: str, said: str) -> None:
    assert said in turned_away("w1", source, destination, TABLES, RULES).message


def test_a_rule_for_all() -> None:
    rule: Entry = {"priority": 5, "src": "all", "dst": "10.244.2.4", "action": "prohibit"}
    found = turned_away("w1", "10.1.1.1", "10.244.2.4", [], [rule])
    assert "ip rule 5: to 10.244.2.4 prohibit" in found.message
    assert found.remedy == "sudo netlab shell w1 -- ip rule del priority 5"
    assert "w1 has no route" in turned_away("w1", "10.1.1.1", "10.244.2.5", [], [rule]).message


def test_no_route_at_all() -> None:
    found = turned_away("w1", "10.244.1.4", "10.244.2.4", [], RULES)
    assert (found.message, found.remedy) == ("node w1 has no route to 10.244.2.4", "")
