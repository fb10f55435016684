"""The rules of NodeLocal DNSCache, as its node-cache writes them (kubernetes/dns, cache_app.go)."""

from __future__ import annotations

from netlab.proxy.untracked import RULES, nft_text


def lines(address: str) -> list[str]:
    return [f"{rule.table} {rule.chain} {rule.iptables(address)}" for rule in RULES]


def test_each_way_of_a_query_is_named_once() -> None:
    skip = '-m comment --comment "NodeLocal DNS Cache: skip conntrack" -j CT --notrack'
    allow = '-m comment --comment "NodeLocal DNS Cache: allow DNS traffic" -j ACCEPT'
    to, of = "-d 169.254.25.10/32", "-s 169.254.25.10/32"
    wanted = [
        f"{table} -p {proto} -m {proto} {port} {end}".replace("@", address)
        for proto in ("udp", "tcp")
        for table, address, port, end in (
            ("raw PREROUTING @", to, "--dport 53", skip),
            ("raw OUTPUT @", to, "--dport 53", skip),
            ("raw OUTPUT @", of, "--sport 53", skip),
            ("filter INPUT @", to, "--dport 53", allow),
            ("filter OUTPUT @", of, "--sport 53", allow),
        )
    ]
    wanted += [
        f"raw OUTPUT {address} -p tcp -m tcp {port} 8080 {skip}"
        for address, port in ((to, "--dport"), (of, "--sport"))
    ]
    assert sorted(lines("169.254.25.10")) == sorted(wanted)


def test_ipv6_has_its_own_length() -> None:
    assert all("fd00:90::10/128 " in line for line in lines("fd00:90::10"))


def test_nft_has_as_many_in_a_table_of_its_own() -> None:
    text = nft_text(["169.254.25.10", "fd00:90::10"])
    added = [line for line in text.splitlines() if line.startswith("add rule")]
    assert len(added) == 2 * len(RULES)
    assert sum("ip6 daddr fd00:90::10 udp dport 53" in line for line in added) == 3
