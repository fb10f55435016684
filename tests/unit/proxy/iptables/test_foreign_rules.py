"""Somebody else's rules stay."""

from unit.proxy.objects import NODE

from netlab.proxy.iptables.compile import compile
from netlab.proxy.iptables.foreign_rules import with_foreign_rules
from netlab.proxy.iptables.parse import parse


def test_jumps_are_put_back_where_the_first_stood():
    desired = compile([], [], NODE)
    jumps = desired.chain("filter", "INPUT").rules
    existing = parse(
        "*filter\n:INPUT DROP [7:9]\n"
        f"[1:1] -A INPUT -i a -j ACCEPT\n[2:2] -A INPUT {jumps[1]}\n[3:3] -A INPUT -i b -j DROP\n"
        "COMMIT\n"
    )
    chain = with_foreign_rules(desired, existing).chain("filter", "INPUT")
    assert chain.rules == ("-i a -j ACCEPT", *jumps, "-i b -j DROP")
    assert chain.counters == ((1, 1), *[(0, 0)] * 4, (3, 3))
    assert (chain.policy, chain.policy_counters) == ("DROP", (7, 9))
