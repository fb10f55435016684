"""Later packets of a flow by a node's save: what conntrack makes of them, and what nobody tells."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from netlab.pathcheck.trial import NothingToAddress
from netlab.pathcheck.world import World
from netlab.saves.inferred import addresses
from netlab.saves.read import read
from netlab.trace import saved
from netlab.trace.document import document
from netlab.trace.onsave import Node, told
from netlab.trace.packet_words import packet
from netlab.trace.predicted import Which
from netlab.trace.story import Story, Untold
from netlab.view import trace

RECORDED = Path(__file__).parents[1] / "saves" / "recorded"
SERVICE = "tcp 192.168.1.77:40000 > 10.96.31.10:80"
PODS = {"10.244.0.21:8080", "10.244.1.21:8080", "10.244.2.21:8080"}


def by(text: str, words: str, ct: Which, **known: Any) -> Story:
    save = read([("node.save", text)])
    probe = packet(words)
    rules = save.of(probe.dst)
    assert rules is not None
    said = addresses(rules)
    local = said.own | known.pop("local", frozenset())
    foreign = (said.foreign | known.pop("foreign", frozenset())) - local
    node = Node("node", local, foreign, networks=said.networks, **known)
    return told(probe, rules, node, World({}), save.files, ct=ct)


def recorded(name: str, words: str, ct: Which, **known: Any) -> Story:
    return by((RECORDED / name).read_text(), words, ct, **known)


def deciding(found: Story) -> list[Untold]:
    return [one for one in found.untold if one.matters]


MODES = ["ufw-nft.save", "docker-legacy.save", "docker-nft.nft", "firewalld-iptables.save"]


@pytest.mark.parametrize("name", MODES)
def test_the_next_packet_goes_where_the_first_went_by_conntrack_alone(name: str) -> None:
    found = recorded(name, SERVICE, "established")
    assert (found.verdict, found.ct, deciding(found)) == ("delivered", "established", [])
    assert {end.destination for end in found.ends} == PODS
    assert [end.share for end in found.ends] == pytest.approx([1 / 3] * 3)
    assert {end.source for end in found.ends} == {"an address of node"}
    assert "nat" not in {visit.table for visit in found.there}
    assert f"by conntrack: 10.96.31.10:80 became {found.journey.delivered}" in "\n".join(
        trace.lines(found)
    )


@pytest.mark.parametrize("name", MODES)
def test_the_answer_is_turned_back(name: str) -> None:
    found = recorded(name, SERVICE, "reply", local=frozenset({"192.168.1.5"}))
    assert (found.verdict, deciding(found)) == ("delivered", [])
    assert found.probe.source in PODS
    assert found.probe.destination == "192.168.1.5:40000"
    (end,) = found.ends
    assert (end.source, end.destination) == ("10.96.31.10:80", "192.168.1.77:40000")
    assert "nat" not in {visit.table for visit in found.there}


def test_an_address_that_nobody_knows_is_named_so() -> None:
    found = recorded("ufw-nft.save", SERVICE, "reply")
    assert found.probe.destination == "an address of node:40000"
    assert (found.verdict, found.ends[0].destination) == ("delivered", "192.168.1.77:40000")
    assert any("masqueraded as" in one.fact and not one.matters for one in found.untold)
    again = saved.read(json.dumps(document(found)).encode(), "x.json")
    assert again.story is not None
    assert next(iter(trace.lines(again.story))) == next(iter(trace.lines(found)))


RULES = """\
*raw
:PREROUTING ACCEPT [0:0]
-A PREROUTING -d 10.9.0.1/32 -j DROP
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
-A PREROUTING -d 10.96.0.1/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.244.0.3:8080
-A POSTROUTING -j MASQUERADE
COMMIT
*filter
:FORWARD ACCEPT [0:0]
{filter}COMMIT
"""
CONNECTION = "tcp 192.0.2.9:4000 > 10.96.0.1:80"
ELSEWHERE = frozenset({"10.96.0.1", "10.244.0.3", "192.0.2.9"})


def rules(filter_: str = "", ct: Which = "reply", words: str = CONNECTION, **known: Any) -> Story:
    return by(RULES.format(filter=filter_), words, ct, **{"foreign": ELSEWHERE, **known})


def test_each_known_address_is_tried_where_a_rule_asks_for_it() -> None:
    found = rules(local=frozenset({"10.9.0.1", "10.8.0.1", "127.0.0.1"}))
    assert found.verdict == "open"
    (one,) = deciding(found)
    assert one.fact in ("it was masqueraded as 10.9.0.1", "it was masqueraded as 10.8.0.1")
    ends = {one.is_so, one.is_not}
    assert ends == {("dropped",), ("delivered to 192.0.2.9:4000",)}
    alone = rules(local=frozenset({"10.8.0.1"}))
    assert (alone.verdict, deciding(alone)) == ("delivered", [])
    assert rules(local=frozenset({"10.9.0.1"})).verdict == "lost"


def test_where_none_is_known_and_a_rule_asks_it_is_open() -> None:
    found = rules()
    assert found.verdict == "open"
    (one,) = deciding(found)
    assert one.where == "node.save:3, raw PREROUTING rule 1"


def test_links_of_the_answer_are_asked_for_by_themselves() -> None:
    """What the first packet came in by says nothing of it."""
    found = rules(
        "-A FORWARD -i eth0 -m conntrack --ctstate NEW -j ACCEPT\n"
        "-A FORWARD -i eth1 -m conntrack --ctstate ESTABLISHED -j ACCEPT\n"
        "-A FORWARD -j DROP\n",
        local=frozenset({"10.8.0.1"}),
    )  # fmt: skip
    assert [one.fact for one in deciding(found)] == [
        "it comes in by eth0", "the answer comes in by eth1",
    ]  # fmt: skip
    known = {"local": frozenset({"10.8.0.1"}), "comes_in_by": "eth0", "leaves_by": "eth1"}
    passed = rules(
        "-A FORWARD -i eth1 -o eth0 -m conntrack --ctstate ESTABLISHED -j ACCEPT\n"
        "-A FORWARD -m conntrack --ctstate ESTABLISHED -j DROP\n", **known,
    )  # fmt: skip
    assert (passed.verdict, deciding(passed)) == ("delivered", [])


def test_a_condition_that_nobody_understands_is_asked_of_each_packet() -> None:
    text = "-A FORWARD -m string --string x --algo bm -j DROP\n"
    found = rules(text, "established", local=frozenset({"10.8.0.1"}))
    facts = [one.fact for one in deciding(found)]
    assert [("holds of what is" in one, "holds of the next packet" in one) for one in facts] == [
        (True, False), (False, True),
    ]  # fmt: skip


def test_a_node_answers_itself() -> None:
    text = "*filter\n:INPUT DROP [0:0]\n:OUTPUT DROP [0:0]\n{}COMMIT\n"
    inward = "-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\n"
    outward = "-A OUTPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT\n"
    known = {"local": frozenset({"192.168.1.5"})}
    words = "tcp 192.168.1.77:4000 > 192.168.1.5:22"
    silent = by(text.format(inward), words, "reply", **known)
    assert (silent.verdict, silent.probe.source) == ("lost", "192.168.1.5:22")
    assert by(text.format(inward + outward), words, "reply", **known).verdict == "delivered"
    with pytest.raises(NothingToAddress, match="by the rules it is dropped"):
        by(text.format(outward), words, "reply", **known)


def test_what_a_node_sends_is_answered_to_it() -> None:
    known = {"local": frozenset({"192.168.1.5"})}
    found = recorded("ufw-nft.save", "tcp 192.168.1.5:4000 > 10.96.31.10:80", "reply", **known)
    (end,) = found.ends
    assert (end.source, end.destination) == ("10.96.31.10:80", "192.168.1.5:4000")
    assert "no rule translated it" not in "\n".join(trace.lines(found))


@pytest.mark.parametrize("ct", ["established", "reply"])
def test_nothing_follows_a_packet_that_is_dropped(ct: Which) -> None:
    with pytest.raises(NothingToAddress, match="no packet follows"):
        rules("-A FORWARD -j DROP\n", ct)
    with pytest.raises(NothingToAddress, match="by the rules it is refused"):
        rules("-A FORWARD -j REJECT --reject-with icmp-port-unreachable\n", ct)


def test_what_is_not_tracked_is_new_again() -> None:
    text = (
        "*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -d 10.244.0.3/32 -j CT --notrack\nCOMMIT\n"
        "*filter\n:FORWARD ACCEPT [0:0]\n"
        "-A FORWARD -s 10.244.0.3/32 -m conntrack --ctstate NEW -j DROP\nCOMMIT\n"
    )
    words = "tcp 192.0.2.9:4000 > 10.244.0.3:80"
    assert by(text, words, "established", foreign=ELSEWHERE).verdict == "delivered"
    assert by(text, words, "reply", foreign=ELSEWHERE).verdict == "lost"


def test_an_echo_is_answered_without_a_port() -> None:
    text = "*filter\n:FORWARD ACCEPT [0:0]\nCOMMIT\n"
    found = by(text, "icmp 192.0.2.9 > 10.244.0.3", "reply", foreign=ELSEWHERE)
    assert (found.verdict, found.probe.destination) == ("delivered", "192.0.2.9")
