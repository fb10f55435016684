"""What nft's listing leaves out of iptables' rules: what names settle, and what is said once."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from netlab.pathcheck.world import World
from netlab.prove import intake, lint, nft_steps
from netlab.prove.ground import Grounds
from netlab.prove.ground import Node as Proved
from netlab.prove.space import Space
from netlab.prove.steps import End, Unknown
from netlab.proxy.nftables.model import NftTable
from netlab.saves.read import read
from netlab.saves.save import Save
from netlab.saves.understood import not_understood, of_nftables
from netlab.simulation.nft_match import Sets
from netlab.simulation.nft_phrases import (
    Chance,
    Idle,
    Nat,
    NoTrack,
    Verdict,
)
from netlab.simulation.nft_phrases import Unknown as Untold
from netlab.simulation.nft_rule import parse_rule
from netlab.trace.onsave import Node, told
from netlab.trace.packet_words import packet

RECORDED = Path(__file__).parent / "recorded"


def recorded(*names: str) -> Save:
    return read((name, (RECORDED / name).read_text()) for name in names)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("xt match comment", Idle), ('xt match "comment"', Idle), ("xt match nfacct", Idle),
        ("xt target LOG", Idle), ('xt target "NFLOG"', Idle), ("xt target MASQUERADE", Nat),
        ("xt target REJECT", Verdict), ("xt target NOTRACK", NoTrack),
        ("xt match conntrack", Untold), ("xt match statistic", Untold), ("xt match mark", Untold),
        ("xt match limit", Untold), ("xt target DNAT", Untold), ("xt target MARK", Untold),
        ("xt match rt", Chance), ("xt watcher LOG", Untold), ("xt match", Untold), ("xt", Untold),
    ],
)  # fmt: skip
def test_what_a_name_alone_settles(text: str, kind: type[Any]) -> None:
    """And what follows it is read on."""
    first, *rest = parse_rule(f"{text} counter packets 0 bytes 0 accept")
    assert isinstance(first, kind)
    if len(text.split()) == 3:
        assert [type(one) for one in rest] == [Idle, Verdict]


def test_how_a_rejection_is_told_stays_unsaid_in_proofs() -> None:
    table, space = NftTable("ipv4", name="filter"), Space("ipv4", set(), [])
    (step,) = nft_steps.Reader(Sets(table), space).steps(1, "xt target REJECT")
    assert step.actions == (End("rejected", "what nft does not tell"),)
    (step,) = nft_steps.Reader(Sets(table), space).steps(1, "xt target MARK")
    assert isinstance(step.actions[0], Unknown)


def test_half_told_rules_are_said_once_by_kinds_with_effect_and_who_tells_all() -> None:
    save = recorded("docker-nft.json")
    (remark,) = save.remarks
    odd = [(rules.family, one) for rules in save.families.values() for one in not_understood(rules)]
    count = len({(family, one.table, one.where) for family, one in odd})
    total = sum("rule" in one for one in json.loads(_text("docker-nft.json"))["nftables"])
    assert f"of {count} of its {total} rules of iptables nft tells names alone" in str(remark)
    assert count == 39  # the rest of 98 is clear by names
    kinds = Counter(one.words.removeprefix("xt ") for _, one in odd)
    assert f"({', '.join(f'{kind} in {number}' for kind, number in kinds.most_common())})" in str(
        remark
    )
    assert "an answer for which it matters stays open" in str(remark)
    assert str(remark).endswith("Give what iptables-save and ip6tables-save prints as well")


def _text(name: str) -> str:
    return (RECORDED / name).read_text()


def test_rules_of_nfts_own_tables_are_not_counted_as_iptables() -> None:
    (remark,) = recorded("firewalld-nftables.json").remarks
    entries = json.loads(_text("firewalld-nftables.json"))["nftables"]
    of_iptables = [one for one in entries if "rule" in one and one["rule"]["family"] != "inet"]
    assert f"of 35 of its {len(of_iptables)} rules" in str(remark)


@pytest.mark.parametrize("name", ["docker-nft.json", "docker-nft.nft", "docker-nft.save"])
def test_whose_mode_it_is_does_not_depend_on_who_lists_the_rules(name: str) -> None:
    assert {rules.proxy_mode for rules in recorded(name).families.values()} == {"iptables"}


def test_a_rule_behind_one_that_is_told_half_is_not_shadowed() -> None:
    """Docker's `-o docker0 -m conntrack …` takes some packets, not all."""
    name = "docker-nft.json"
    whole = intake.read([(name, _text(name))])
    found = lint.findings(Grounds(Proved(name, (whole,)), "ipv4"))
    assert not [one for one in found if one.kind == "shadowed rule"]


def test_a_condition_that_nobody_understands_is_tried_both_ways() -> None:
    table, space = NftTable("ipv4", name="filter"), Space("ipv4", set(), [])
    (step,) = nft_steps.Reader(Sets(table), space).steps(1, "xt match conntrack accept")
    assert (step.unknown, step.actions) == (("xt match conntrack",), (End("accepted"),))
    before, after = nft_steps.Reader(Sets(table), space).steps(
        1, "meta mark set 1 xt match conntrack accept"
    )
    assert (before.unknown, after.unknown) == ((), ("xt match conntrack",))


@pytest.mark.parametrize("names", [
    ("docker-nft.nft",), ("docker-nft.json", "docker-nft.save", "docker-nft.save6"),
    ("firewalld-iptables.nft",),
])  # fmt: skip
def test_nothing_is_said_where_all_is_told(names: tuple[str, ...]) -> None:
    assert not recorded(*names).remarks


def test_a_log_behind_a_condition_that_nft_left_out_asks_nothing() -> None:
    assert not of_nftables("xt match recent counter packets 0 bytes 0 xt target LOG")
    assert of_nftables("xt match recent counter packets 0 bytes 0 xt target REJECT")


def test_a_packet_is_masqueraded_and_refused_by_name() -> None:
    rules = read([("x.json", _listing())]).families["ipv4"]
    node = Node("node", foreign=frozenset({"10.0.0.9", "10.0.0.8"}))
    passed = told(packet("tcp 10.0.0.1 > 10.0.0.9:80"), rules, node, World({}), ["x.json"])
    assert (passed.verdict, passed.ends[0].source) == ("delivered", "an address of node")
    turned = told(packet("tcp 10.0.0.1 > 10.0.0.8:80"), rules, node, World({}), ["x.json"])
    assert turned.verdict == "refused"


def _listing() -> str:
    def chain(table: str, name: str, hook: str, kind: str, place: int) -> dict[str, Any]:
        return {"chain": {"family": "ip", "table": table, "name": name, "handle": 1, "type": kind,
                          "hook": hook, "prio": place, "policy": "accept"}}  # fmt: skip

    def rule(table: str, name: str, *does: dict[str, Any]) -> dict[str, Any]:
        return {"rule": {"family": "ip", "table": table, "chain": name, "handle": 2, "expr": does}}

    left = {"payload": {"protocol": "ip", "field": "daddr"}}
    to_other = {"match": {"op": "==", "left": left, "right": "10.0.0.8"}}
    comment = {"xt": {"type": "match", "name": "comment"}}
    refuse, mask = ({"xt": {"type": "target", "name": name}} for name in ("REJECT", "MASQUERADE"))
    return json.dumps({"nftables": [
        {"table": {"family": "ip", "name": "filter", "handle": 1}},
        {"table": {"family": "ip", "name": "nat", "handle": 2}},
        chain("filter", "FORWARD", "forward", "filter", 0),
        chain("nat", "POSTROUTING", "postrouting", "nat", 100),
        rule("filter", "FORWARD", to_other, comment, refuse),
        rule("nat", "POSTROUTING", comment, mask),
    ]})  # fmt: skip


@pytest.mark.parametrize(
    ("text", "likely"),
    [
        ("limit rate 3/minute accept", None), ("limit rate 3/minute burst 10 packets accept", None),
        ("limit rate 1 mbytes/second accept", None), ("limit rate over 3/minute drop", 0.0),
        ("limit rate over 1 mbytes/second burst 2 mbytes drop", 0.0), ("rt type 0 drop", 0.0),
        ("rt type != { 0, 2 } drop", 0.0),
    ],
)  # fmt: skip
def test_a_single_packet_is_within_a_rate_and_has_no_routing_header(
    text: str, likely: float | None
) -> None:
    first, last = parse_rule(text)
    assert isinstance(last, Verdict)
    assert isinstance(first, Idle) if likely is None else first == Chance(first.text, likely)


OPEN = {
    "docker-nft.json": {"xt match conntrack", "xt match tcp", "xt match statistic",
                        "xt match addrtype", "xt target MARK", "xt target DNAT"},
    "firewalld-nftables.nft": {"fib saddr . mark . iif oif missing"},
    "ufw-nft.save6": set(), "docker-nft.nft": set(),
}  # fmt: skip


@pytest.mark.parametrize("name", OPEN)
def test_only_what_no_text_has_stays_open_in_a_proof(name: str) -> None:
    """Of a real node's rules: links, limits, hop limits and other families' fields are read."""
    whole = intake.read([(name, (RECORDED / name).read_text())])
    found = set()
    for family in whole.families:
        for rules in whole.rules(intake.space_of([whole], family)):
            steps = (step for key in rules.names() for step in rules.chain(*key) or ())
            for step in steps:
                found.update(step.unknown if step.actions else ())
                found.update(one.words for one in step.actions if isinstance(one, Unknown))
    assert found == OPEN[name]
