"""The tree of a Service's rules, from an iptables-save with counters."""

from __future__ import annotations

import pytest

from netlab.proxy.iptables.model import Ruleset
from netlab.proxy.iptables.parse import parse
from netlab.view.rules import Branch, Look, render, tree

SVC = "KUBE-SVC-LOLE4ISW44XBNF3G"
EXT = "KUBE-EXT-LOLE4ISW44XBNF3G"
ONE, TWO, THREE = (f"KUBE-SEP-{letter * 16}" for letter in "ABC")

SAVE = f"""\
*nat
:PREROUTING ACCEPT [0:0]
:KUBE-SERVICES - [0:0]
:KUBE-NODEPORTS - [0:0]
:KUBE-MARK-MASQ - [0:0]
:{SVC} - [0:0]
:{EXT} - [0:0]
:{ONE} - [0:0]
:{TWO} - [0:0]
:{THREE} - [0:0]
[4:240] -A KUBE-SERVICES -d 10.96.14.7/32 -p tcp -m comment --comment "default/web:http cluster IP" -m tcp --dport 80 -j {SVC}
[9:540] -A KUBE-SERVICES -d 10.96.14.8/32 -p tcp -m comment --comment "default/other cluster IP" -m tcp --dport 80 -j {SVC}
[0:0] -A KUBE-NODEPORTS -p tcp -m comment --comment "default/web:http" -m tcp --dport 30080 -j {EXT}
[0:0] -A {EXT} -m comment --comment "masquerade traffic for default/web:http external destinations" -j KUBE-MARK-MASQ
[0:0] -A {EXT} -j {SVC}
[1:60] -A {SVC} ! -s 10.244.0.0/16 -d 10.96.14.7/32 -p tcp -m comment --comment "default/web:http cluster IP" -m tcp --dport 80 -j KUBE-MARK-MASQ
[1:60] -A {SVC} -m comment --comment "default/web:http -> 10.244.1.2:80" -m statistic --mode random --probability 0.33333333349 -j {ONE}
[2:120] -A {SVC} -m comment --comment "default/web:http -> 10.244.1.3:80" -m statistic --mode random --probability 0.50000000000 -j {TWO}
[1:60] -A {SVC} -m comment --comment "default/web:http -> 10.244.2.2:80" -j {THREE}
[1:60] -A {ONE} -p tcp -m comment --comment "default/web:http" -m tcp -j DNAT --to-destination 10.244.1.2:80
[2:120] -A {TWO} -p tcp -m comment --comment "default/web:http" -m tcp -j DNAT --to-destination 10.244.1.3:80
[1:60] -A {THREE} -p tcp -m comment --comment "default/web:http" -m tcp -j DNAT --to-destination 10.244.2.2:80
COMMIT
"""  # noqa: E501

PLACES = {"10.244.1.2": "pod web-1", "10.244.2.2": "pod web-3"}

WORDS = f"""\
packets
        nat KUBE-SERVICES
      4 └─ to 10.96.14.7 tcp port 80 → {SVC}
      1    ├─ not from 10.244.0.0/16 to 10.96.14.7 tcp port 80: mark for masquerade
      1    ├─ 1/3, 33% overall → {ONE} (10.244.1.2:80)
      1    │  └─ tcp: send to 10.244.1.2:80 (DNAT) = pod web-1
      2    ├─ 1/2 of the rest, 33% overall → {TWO} (10.244.1.3:80)
      2    │  └─ tcp: send to 10.244.1.3:80 (DNAT)
      1    └─ the rest, 33% overall → {THREE} (10.244.2.2:80)
      1       └─ tcp: send to 10.244.2.2:80 (DNAT) = pod web-3
        nat KUBE-NODEPORTS
      0 └─ tcp port 30080 → {EXT}
      0    ├─ mark for masquerade
      0    └─ → {SVC} (as above)
"""


@pytest.fixture
def ruleset() -> Ruleset:
    return parse(SAVE)


@pytest.fixture
def branches(ruleset: Ruleset) -> list[Branch]:
    return tree(ruleset, "default/web", PLACES)


def test_words(branches: list[Branch]) -> None:
    assert "\n".join(render(branches, Look(syntax=False))) + "\n" == WORDS


def test_syntax_stands_below_each_rule_and_may_be_painted(branches: list[Branch]) -> None:
    lines = list(render(branches, Look(dim=lambda text: f"<{text}>")))
    painted = [line for line in lines if "<" in line]
    assert len(painted) == WORDS.count("\n") - 3  # all but the header and the two places
    assert painted[0].strip().startswith("│    <-d 10.96.14.7/32 -p tcp")
    assert painted[0].endswith(f"-j {SVC}>")


def test_syntax_is_folded_inside_the_tree(branches: list[Branch]) -> None:
    lines = list(render(branches, Look(width=100)))
    assert max(map(len, lines)) <= 100
    whole = " ".join(line.strip(" │") for line in lines)
    assert "-m tcp --dport 80 -j " + SVC in whole


def test_shares_add_up(branches: list[Branch]) -> None:
    shares = [branch.share for branch in branches[0].branches if branch.share is not None]
    assert sum(shares) == pytest.approx(1)
    assert shares == pytest.approx([1 / 3] * 3, rel=1e-6)


def test_json_repeats_what_the_lines_only_name(branches: list[Branch]) -> None:
    again = branches[1].json()["rules"][1]
    assert [rule["rule"] for rule in again["rules"]] == [b.text for b in branches[0].branches]


NOBODY = """\
*filter
:KUBE-SERVICES - [0:0]
:KUBE-EXTERNAL-SERVICES - [0:0]
-A KUBE-SERVICES -d 10.96.7.2/32 -p tcp -m comment --comment "town/empty has no endpoints" -m tcp --dport 80 -j REJECT --reject-with icmp-port-unreachable
-A KUBE-EXTERNAL-SERVICES -p tcp -m comment --comment "town/empty:http has no local endpoints" -m addrtype --dst-type LOCAL -m tcp --dport 30080 -j DROP
COMMIT
"""  # noqa: E501


def test_words_say_why_packets_are_turned_away() -> None:
    lines = list(render(tree(parse(NOBODY), "town/empty"), Look(syntax=False)))
    assert [line.strip() for line in lines] == [
        "filter KUBE-SERVICES",
        "└─ to 10.96.7.2 tcp port 80: refuse (icmp-port-unreachable), it has no endpoints",
        "filter KUBE-EXTERNAL-SERVICES",
        "└─ tcp to an address of this node port 30080: drop, it has no local endpoints",
    ]


def test_another_service_has_no_part_in_it(ruleset: Ruleset) -> None:
    assert len(tree(ruleset, "default/other")) == 1
    assert tree(ruleset, "default/we") == []


def test_large_counters_keep_the_columns_straight(branches: list[Branch]) -> None:
    branches[0].branches[0].packets = 1234567890
    lines = list(render(branches, Look(syntax=False)))
    assert len({line.index("nat ") for line in lines if "nat KUBE" in line}) == 1
    assert next(line for line in lines if "└─ to" in line).index("└─") == 11
    assert any(line.startswith("1234567890    ├─ not from") for line in lines)
