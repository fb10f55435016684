"""The tree of a Service's rules in nftables mode, from `nft list table`."""

from __future__ import annotations

from pathlib import Path

import pytest

from netlab.proxy.nftables.parse import parse_table
from netlab.view.nft_rules import tree
from netlab.view.rules import Look, render

GOLDEN = Path(__file__).parents[2] / "golden" / "proxy"


def words(case: str, service: str, family: str = "ipv4", **places: str) -> list[str]:
    text = (GOLDEN / case / "expected.nft").read_text()
    table = parse_table(text, family)  # type: ignore[arg-type]
    assert table is not None
    branches = tree(table, service, {ip.replace("_", "."): who for ip, who in places.items()})
    return [line[1:] for line in render(branches, Look(syntax=False))]


def test_the_ways_in_and_what_lies_behind_them() -> None:
    here = "4IBOQZ5D-town/here/tcp/"
    assert words("node-port", "town/here", **{"10_244_0_12": "pod here-1"}) == [
        "kube-proxy chain services",
        "└─ to a cluster IP not from 10.244.0.0/16: mark for masquerade",
        "kube-proxy map service-ips",
        f"└─ to 10.96.8.2 tcp port 80 → service-{here}",
        "   └─ tcp: send to one of 2 at random (DNAT)",
        "      ├─ 1/2 → 10.244.0.12:8080 = pod here-1",
        "      └─ 1/2 → 10.244.1.12:8080",
        "kube-proxy map service-nodeports",
        f"└─ to a nodePort address tcp port 30081 → external-{here}",
        f"   ├─ from 10.244.0.0/16 → service-{here} (as above)",
        "   ├─ from an address of this node: mark for masquerade",
        f"   ├─ from an address of this node → service-{here} (as above)",
        f"   └─ → local-{here}",
        "      └─ tcp: send (DNAT)",
        "         └─ all → 10.244.0.12:8080 = pod here-1",
        "kube-proxy set hairpin-connections",
        "└─ from 10.244.0.12 to itself tcp port 8080: masquerade",
    ]


def test_what_has_no_endpoint() -> None:
    assert words("node-port", "town/closed")[-4:] == [
        "kube-proxy map no-endpoint-nodeports",
        "└─ to a nodePort address tcp port 30083: refuse, it has no endpoints",
        "kube-proxy map no-endpoint-services",
        "└─ to 10.96.8.4 tcp port 80: refuse, it has no endpoints",
    ]


def test_affinity() -> None:
    one = "endpoint-KES2NPNX-town/login/tcp/http__10.244.0.31/8080"
    lines = words("affinity-dual-stack", "town/login", **{"10_244_0_31": "pod login-1"})
    assert f"   ├─ if this client was here before → {one}" in lines
    assert "   │  ├─ remember the client" in lines
    assert "   │  └─ tcp: send to 10.244.0.31:8080 (DNAT) = pod login-1" in lines
    assert f"      ├─ 1/2 → {one} (10.244.0.31:8080) (as above)" in lines


def test_source_ranges() -> None:
    lines = words("load-balancer", "town/front")
    ranges = "{ 10.10.11.0/24, 198.51.100.1, 203.0.113.0/28 }"
    assert f"   └─ not from {ranges}: drop" in lines


@pytest.mark.parametrize("service", ["town/nobody", "town/log", "other/login"])
def test_a_service_that_the_table_does_not_know(service: str) -> None:
    assert words("affinity-dual-stack", service) == []


def test_ipv6() -> None:
    lines = words("affinity-dual-stack", "town/login", "ipv6")
    assert any("send to [fd" in line for line in lines), lines
    assert any(line.startswith("└─ from fd") and "to itself" in line for line in lines), lines


def test_shares_add_up() -> None:
    table = parse_table((GOLDEN / "cluster-ip" / "expected.nft").read_text(), "ipv4")
    assert table is not None
    (way,) = (b for b in tree(table, "town/pages") if "tcp . 80 " in b.text)
    shares = [end.share for end in way.branches[0].branches]
    assert shares == [pytest.approx(1 / len(shares))] * len(shares)
    assert way.json()["rules"][0]["rules"][0]["share"] == shares[0]
