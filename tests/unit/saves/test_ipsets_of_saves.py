"""`ipset save` beside a node's rules: what `-m set` asks is known, and no question any more."""

from __future__ import annotations

from typing import Any

import pytest

from netlab.errors import InputError
from netlab.pathcheck.world import World
from netlab.saves import ipsets
from netlab.saves.read import read
from netlab.saves.save import SavedRules
from netlab.saves.understood import not_understood
from netlab.trace.onsave import Node, told
from netlab.trace.packet_words import packet
from netlab.trace.story import Story

RULES = "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n{}COMMIT\n"
WORDS = "tcp 10.0.0.9:4000 > 10.1.0.1:80"


def saved(rules: str, sets: str) -> SavedRules:
    files = [("node.save", RULES.format(rules)), ("node.ipset", sets and f"{sets.rstrip()}\n")]
    return read(one for one in files if one[1]).families["ipv4"]


def traced(rules: str, sets: str, words: str = WORDS, **known: Any) -> Story:
    foreign = frozenset({"10.0.0.9", "10.1.0.1"})
    node = Node("node", foreign=foreign, **known)
    return told(packet(words), saved(rules, sets), node, World({}), ["node.save", "node.ipset"])


def met(sets: str, sides: str = "src", words: str = WORDS, name: str = "s") -> str:
    """The verdict where those in the set are dropped."""
    return traced(f"-A FORWARD -m set --match-set {name} {sides} -j DROP\n", sets, words).verdict


IP = "create s hash:ip family inet hashsize 1024 maxelem 65536"
NET = "create s hash:net family inet hashsize 1024 maxelem 65536"
PORT = "create s hash:ip,port family inet hashsize 1024 maxelem 65536"
INNER = IP.replace(" s ", " t ")
IN, OUT = "lost", "delivered"


@pytest.mark.parametrize(
    ("sets", "sides", "verdict"),
    [
        (f"{IP}\nadd s 10.0.0.9", "src", IN),
        (f"{IP}\nadd s 10.0.0.9 timeout 30", "dst", OUT),
        (f"{IP}\nadd s 10.0.0.8", "src", OUT),
        (IP, "src", OUT),
        (f"{IP} netmask 24\nadd s 10.0.0.0", "src", IN),
        (f"{IP} netmask 24\nadd s 10.0.1.0", "src", OUT),
        (f"{NET}\nadd s 10.0.0.0/8", "src", IN),
        (f"{NET}\nadd s 10.0.0.0/8\nadd s 10.0.0.0/24 nomatch", "src", OUT),
        (f"{NET}\nadd s 10.0.0.0/8\nadd s 10.0.0.0/24 nomatch\nadd s 10.0.0.8/31", "src", IN),
        (f"{PORT}\nadd s 10.0.0.9,tcp:80", "src,dst", IN),
        (f"{PORT}\nadd s 10.0.0.9,udp:80", "src,dst", OUT),
        (f"{PORT}\nadd s 10.0.0.9,tcp:80", "src,src", OUT),
        (f"{PORT}\nadd s 10.0.0.9,tcp:4000", "src,src", IN),
        ("create s bitmap:port range 0-1024\nadd s 80", "dst", IN),
        ("create s bitmap:port range 0-1024\nadd s 81", "dst", OUT),
        (f"create s list:set size 8\n{INNER}\nadd t 10.0.0.9\nadd s t", "src", IN),
        (f"create s list:set size 8\n{INNER}\nadd t 10.0.0.8\nadd s t", "src", OUT),
        ("create s hash:ip family inet6 hashsize 1024\nadd s fd00::9", "src", OUT),
    ],
)  # fmt: skip
def test_what_is_in_a_set(sets: str, sides: str, verdict: str) -> None:
    assert met(f"{sets}\n", sides) == verdict


def test_a_port_is_one_of_protocols_that_have_some() -> None:
    sets = "create s bitmap:port range 0-1024\nadd s 80\n"
    assert met(sets, "dst", "icmp 10.0.0.9 > 10.1.0.1") == OUT


def test_not_in_a_set() -> None:
    rules = "-A FORWARD -m set ! --match-set s src -j DROP\n"
    assert traced(rules, f"{IP}\nadd s 10.0.0.9\n").verdict == OUT
    assert traced(rules, f"{IP}\nadd s 10.0.0.8\n").verdict == IN


def test_a_link_in_a_set_is_asked_for_as_any_other() -> None:
    sets = "create s hash:net,iface family inet\nadd s 10.0.0.0/8,eth0\n"
    rules = "-A FORWARD -m set --match-set s src,src -j DROP\n"
    (one,) = (each for each in traced(rules, sets).untold if each.matters)
    assert one.fact == "it comes in by eth0"
    assert traced(rules, sets, comes_in_by="eth0").verdict == IN
    assert traced(rules, sets, comes_in_by="eth1").verdict == OUT
    elsewhere = traced(rules, sets.replace("10.0.0.0/8", "10.7.0.0/16"))
    assert (elsewhere.verdict, elsewhere.untold) == (OUT, ())


@pytest.mark.parametrize(
    ("rules", "sets"),
    [
        ("-A FORWARD -m set --match-set s src -j DROP\n", ""),
        ("-A FORWARD -m set --match-set other src -j DROP\n", IP),
        ("-A FORWARD -m set --match-set s src --return-nomatch -j DROP\n", IP),
        ("-A INPUT -j SET --add-set s src\n-A FORWARD -m set --match-set s src -j DROP\n", IP),
        ("-A FORWARD -m set --match-set s src,src -j DROP\n", "create s hash:ip,mac\n"),
        ("-A FORWARD -m set --match-set s src,src -j DROP\n", "create s hash:ip,mark\n"),
        ("-A FORWARD -m set --match-set s src -j DROP\n", f"{IP} bitmask 255.0.0.0"),
        ("-A FORWARD -m set --match-set s src -j DROP\n", f"{PORT}\nadd s 10.0.0.9,tcp:80"),
        ("-A FORWARD -m set --match-set s src -j DROP\n", "create s list:set size 8\nadd s s"),
        ("-A FORWARD -m set --match-set s src -j DROP\n", "create s list:set size 8\nadd s t"),
        ("-A FORWARD -m set --match-set s src -j DROP\n", f"{IP}\nadd s 10.0.0.999"),
        ("-A FORWARD -m set --match-set s src -j DROP\n", f"{IP}\nadd s 10.0.0.9,10.0.0.8"),
        ("-A FORWARD -m set --match-set s src,dst -j DROP\n", f"{PORT}\nadd s 10.0.0.9,tcp:http"),
    ],
)
def test_what_stays_a_question(rules: str, sets: str) -> None:
    found = traced(rules, sets)
    assert found.verdict == "open"
    assert [("--match-set" in one.fact, one.matters) for one in found.untold] == [(True, True)]


def test_rules_that_ask_it_are_understood() -> None:
    rule = "-A FORWARD -m set --match-set s src -j DROP\n"
    assert len(list(not_understood(saved(rule, "")))) == 1
    assert not list(not_understood(saved(rule, IP)))
    assert len(list(not_understood(saved(rule.replace(" s ", " t "), IP)))) == 1


def test_why_a_rule_did_not_match_is_told() -> None:
    found = traced("-A FORWARD -m set --match-set s src -j DROP\n", f"{IP}\nadd s 10.0.0.8\n")
    (visit,) = (
        found.there
        or traced("-A FORWARD -m set --match-set s src -j DROP\n-A FORWARD -j ACCEPT\n", IP).there
    )
    (miss,) = visit.misses
    assert "--match-set s src" in miss.condition
    assert "nobody" not in miss.words


def test_a_netmask_makes_networks_of_members() -> None:
    text = (
        f"{IP} netmask 24\nadd s 10.0.0.0\ncreate t hash:ip,port netmask 16\nadd t 10.1.0.0,tcp:80"
    )
    found = ipsets.read(text.splitlines(), "x")
    assert found["s"].members == [("10.0.0.0/24",)]
    assert found["t"].members == [("10.1.0.0/16", "tcp:80")]


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        (f"{IP}\nadd s 10.0.0.1", "x:2: is cut off: its last line does not end", "ipset save"),
        (f"{IP}\nadd t 10.0.0.1\n", "x:2: 'add t 10.0.0.1' is no line of ipset save", "ipset save"),
        (f"{IP}\n", "x:1: has sets of ipset, and no rules", "as iptables-save prints them"),
        ("Name: s\nType: hash:ip\n", "x:1: is what ipset list prints", "ipset save"),
    ],
)
def test_mistakes(text: str, said: str, hint: str) -> None:
    with pytest.raises(InputError) as caught:
        read([("x", text)])
    (problem,) = caught.value.problems
    assert said in str(problem)
    assert problem.hint.endswith(hint)
