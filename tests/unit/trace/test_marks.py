"""What became of a mark, for which rule's sake a packet was masqueraded, and where chance chose."""

from __future__ import annotations

import pytest

from netlab.trace import draws, marks
from netlab.trace.passages import MetRule, Passage


def passage(place: str, *rules: MetRule) -> Passage:
    return Passage(
        place=place, table="nat", chain=rules[0].chain, source="10.0.0.1:4000",
        destination="10.96.0.7:80", iif="", oif="", mark=0, reply=False, rules=rules, verdict="",
    )  # fmt: skip


def rule(chain: str, number: int, text: str = "", to: str = "", mark: int = 0) -> MetRule:
    return MetRule("nat", chain, number, text, "jump" if to else "continue", to, mark=mark)


MARKED = (
    rule("KUBE-EXT-1", 1, "-j KUBE-MARK-MASQ", "KUBE-MARK-MASQ"),
    rule("KUBE-MARK-MASQ", 1, "-j MARK --or-mark 0x4000", mark=0x4000),
    rule("KUBE-EXT-1", 2, "-j KUBE-SVC-1", "KUBE-SVC-1", mark=0x4000),
)
CLEARED = (
    rule("KUBE-POSTROUTING", 2, "-j MARK --set-xmark 0x4000/0x0"),
    rule("KUBE-POSTROUTING", 3, "-j MASQUERADE"),
)


def test_each_change_of_the_mark_is_told() -> None:
    first, second = marks.changes([passage("n1", *MARKED), passage("n1", *CLEARED)])
    assert (first.rule, first.before, first.after) == (MARKED[1], 0, 0x4000)
    assert first.caller == MARKED[0]
    assert (second.rule, second.before, second.after) == (CLEARED[0], 0x4000, 0)


def test_a_mark_does_not_leave_its_machine() -> None:
    found = marks.changes([passage("n1", *MARKED), passage("n2", rule("KUBE-SERVICES", 1))])
    assert [change.place for change in found] == ["n1"]


def test_it_was_masqueraded_for_the_rule_that_had_it_marked() -> None:
    (sake,) = marks.sakes([passage("n1", *MARKED), passage("n1", *CLEARED)], ["n1"])
    assert sake.rule == MARKED[0]


def test_a_rule_of_nftables_marks_for_its_own_sake() -> None:
    jump = rule("services", 3, "vmap @x", "external-1")
    own = rule("external-1", 1, "meta mark set meta mark | 0x4000", mark=0x4000)
    (sake,) = marks.sakes([passage("n1", jump, own)], ["n1"])
    assert sake.rule == own


def test_without_a_mark_it_is_the_rule_that_did_it() -> None:
    done = rule("POSTROUTING", 1, "-s 10.244.0.0/16 -o eth1 -j MASQUERADE")
    (sake,) = marks.sakes([passage("n1", done)], ["n1", "n2"])
    assert sake == marks.Sake("n1", done)


CHAIN = (
    "! -s 10.244.0.0/16 -d 10.96.0.7/32 -j KUBE-MARK-MASQ",
    "-m statistic --mode random --probability 0.33333333349 -j KUBE-SEP-1",
    "-m statistic --mode random --probability 0.50000000000 -j KUBE-SEP-2",
    "-j KUBE-SEP-3",
)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (2, "3 endpoints, the draw fell on the first (1/3)"),
        (3, "3 endpoints, the draw fell on the second (1/2 of the rest)"),
        (4, "3 endpoints, the draw fell on the third (the rest)"),
        (1, "None"),
    ],
)
def test_the_draw_in_words(number: int, words: str) -> None:
    assert str(draws.in_iptables(CHAIN, number)) == words


def test_without_chance_there_is_no_draw() -> None:
    assert draws.in_iptables(["-j KUBE-SEP-1"], 1) is None


RANDOM = "numgen random mod 2 map"


@pytest.mark.parametrize(
    ("text", "to", "destination", "fell_on"),
    [
        ("numgen random mod 2 vmap { 0 : goto a, 1 : goto b }", "b", "", 2),
        (f"dnat ip to {RANDOM} {{ 0 : 10.0.0.1 . 80, 1 : 10.0.0.2 . 80 }}", "", "10.0.0.2:80", 2),
        (f"dnat ip6 to {RANDOM} {{ 0 : fd::1 . 80, 1 : fd::2 . 80 }}", "", "[fd::1]:80", 1),
    ],
)  # fmt: skip
def test_the_draw_of_a_map(text: str, to: str, destination: str, fell_on: int) -> None:
    assert draws.in_nftables(rule("x", 1, text, to), destination) == draws.Draw(2, fell_on)
    assert draws.in_nftables(rule("x", 1, "dnat to 10.0.0.1:80"), "10.0.0.1:80") is None


@pytest.mark.parametrize(
    ("fell_on", "word"), [(2, "second"), (11, "11th"), (21, "21st"), (113, "113th")]
)
def test_ordinals(fell_on: int, word: str) -> None:
    assert str(draws.Draw(200, fell_on)).endswith(f"fell on the {word}")
