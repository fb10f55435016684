"""Traces by saves of real nodes: what rules do, with lines; what no save tells, and its effect."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from netlab.errors import UsageError
from netlab.pathcheck.world import World
from netlab.saves.inferred import addresses
from netlab.saves.read import read
from netlab.trace import saved
from netlab.trace.document import document
from netlab.trace.onsave import Node, told
from netlab.trace.packet_words import packet
from netlab.trace.story import Story, Untold
from netlab.view import trace

UNIT = Path(__file__).parents[1]
SAVES = UNIT / "saves"
ORACLE = UNIT.parent / "oracle"
PODS = {"10.244.0.21:8080", "10.244.1.21:8080", "10.244.2.21:8080"}
OF_LINK = "what address of n1 the link has that it comes in by"
SERVICE = "tcp 192.168.1.77:40000 > 10.96.31.10:80"


def story(words: str, *files: Path, **known: Any) -> Story:
    save = read((file.name, file.read_text()) for file in files)
    probe = packet(words)
    rules = save.of(probe.dst)
    assert rules is not None
    said = addresses(rules)
    local = said.own | known.pop("local", frozenset())
    foreign = (said.foreign | known.pop("foreign", frozenset())) - local
    node = Node("node", local, foreign, networks=said.networks, **known)
    return told(probe, rules, node, World({}), save.files)


def of(text: str, words: str, **known: Any) -> Story:
    """By rules of filter alone."""
    whole = f"*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n{text}COMMIT\n"
    rules = read([("x", whole)]).families["ipv4"]
    return told(packet(words), rules, Node("node", **known), World({}), ["x"])


def deciding(found: Story) -> list[Untold]:
    return [one for one in found.untold if one.matters]


ALIKE = [
    *(f"recorded/{name}" for name in (
        "ufw-nft.save", "ufw-legacy.save", "ufw-nft.nft", "docker-nft.save", "docker-legacy.save",
        "docker-nft.nft", "firewalld-iptables.save", "firewalld-iptables.nft",
        "firewalld-nftables.save", "firewalld-nftables.nft",
    )),
]  # fmt: skip


@pytest.mark.parametrize("file", ALIKE)
def test_others_rules_do_not_confuse_it(file: str) -> None:
    found = story(SERVICE, SAVES / file)
    assert found.verdict == "delivered"
    assert {end.destination for end in found.ends} == PODS
    assert [end.share for end in found.ends] == pytest.approx([1 / 3] * 3)
    assert found.journey.snats
    assert not deciding(found)


@pytest.mark.parametrize("name", ["expected.nft", "expected.json"])
def test_nftables_mode(name: str) -> None:
    found = story(SERVICE, ORACLE / "nftables" / "05-nodeport" / name)
    assert (found.verdict, found.mode) == ("delivered", "nftables")
    assert {end.destination for end in found.ends} == PODS


def test_each_rule_has_its_line() -> None:
    file = SAVES / "recorded" / "docker-nft.save"
    found, lines = story(SERVICE, file), file.read_text().splitlines()
    for visit in found.there:
        for rule in visit.met:
            where = visit.written[rule.number]
            assert lines[int(where.rpartition(":")[2]) - 1] == f"-A {rule.chain} {rule.text}"
    printed = "\n".join(trace.lines(found))
    assert "took     rule 1, docker-nft.save:116: to 10.96.31.10 tcp port 80" in printed
    assert "told by 12 rules of docker-nft.save alone" in printed
    assert printed.endswith("links are in it, nor nftables' own tables")
    listed = story(SERVICE, file.with_suffix(".nft"))
    assert list(trace.lines(listed))[-1].endswith("in it, nor rules of legacy iptables")
    together = story(
        SERVICE, *(SAVES / "recorded" / f"firewalld-nftables.{end}" for end in ("save", "nft"))
    )
    assert list(trace.lines(together))[-1].endswith("links are in it")


NODE_PORT = "tcp 192.168.1.77:40000 > 192.168.1.5:30080"


def test_whose_an_address_is_decides_and_is_said() -> None:
    file = ORACLE / "iptables" / "05-nodeport" / "expected.v4"
    found = story(NODE_PORT, file)
    assert found.verdict == "open"
    (one,) = deciding(found)
    assert one.fact == "192.168.1.5 is an address of the node"
    assert one.where == "expected.v4:85, nat KUBE-SERVICES rule 3"
    assert set(one.is_so) == {f"delivered to {pod}" for pod in PODS}
    assert one.is_not == ("delivered to 192.168.1.5:30080",)
    assert one.told_as is True
    known = story(NODE_PORT, file, local=frozenset({"192.168.1.5"}))
    assert (known.verdict, deciding(known)) == ("delivered", [])
    foreign = story(NODE_PORT, file, local=frozenset({"192.168.1.6"}))
    assert foreign.verdict == "open"


def test_ufw_turns_away_what_is_for_the_node() -> None:
    local = frozenset({"192.168.1.5"})
    file = SAVES / "recorded" / "ufw-nft.save"
    found = story("tcp 192.168.1.77 > 192.168.1.5:9100", file, local=local)
    assert (found.verdict, found.ends[0].verdict) == ("lost", "lost")
    let_in = story("tcp 192.168.1.77 > 192.168.1.5:22", file, local=local)
    assert let_in.verdict == "delivered"
    for source, verdict in (("192.168.1.77", "delivered"), ("10.9.9.9", "lost")):
        found = story(f"tcp {source} > 192.168.1.5:6443", file, local=local)
        assert found.verdict == verdict


def test_a_limit_that_may_be_used_up_is_a_question() -> None:
    local = frozenset({"192.168.1.5"})
    found = story(
        "tcp 192.168.1.77 > 192.168.1.5:2222", SAVES / "recorded" / "ufw-nft.nft", local=local
    )
    assert found.verdict == "open"
    assert "xt match recent" in deciding(found)[0].fact


def test_firewalld_beside_kube_proxy() -> None:
    here = SAVES / "recorded"
    files = (here / "firewalld-nftables.save", here / "firewalld-nftables.nft")
    known = {"local": frozenset({"192.168.1.5"}), "comes_in_by": "eth0"}
    assert story(SERVICE, *files).verdict == "delivered"
    for words, verdict in (
        ("tcp 192.168.1.77 > 192.168.1.5:9100", "refused"),
        ("tcp 192.168.1.77 > 192.168.1.5:6443", "delivered"),
        ("tcp 192.168.1.66 > 192.168.1.5:6443", "refused"),
        ("icmp 192.168.1.77 > 192.168.1.5", "delivered"),
        ("tcp 192.168.1.77 > 10.244.0.21:8080", "open"),
    ):
        assert story(words, *files, **known).verdict == verdict, words
    words = "tcp 192.168.1.77 > 10.244.0.21:8080"
    assert story(words, *files, **known, leaves_by="eth9").verdict == "refused"


def test_docker_drops_what_is_for_its_bridges() -> None:
    found = story(
        "tcp 192.168.1.77 > 172.17.0.2:80",
        SAVES / "recorded" / "docker-nft.save",
        leaves_by="docker0",
        comes_in_by="eth0",
        foreign=frozenset({"172.17.0.2"}),
    )
    assert found.verdict == "lost"
    unknown = story("tcp 192.168.1.77 > 172.17.0.2:80", SAVES / "recorded" / "docker-nft.save")
    assert unknown.verdict == "open"
    asked = {one.fact for one in deciding(unknown)}
    assert "it comes in by docker0" in asked or "it comes in by br-1a090aab531c" in asked


def test_calicos_sets_are_no_part_of_a_save() -> None:
    file = SAVES / "written" / "calico.save"
    known = {"comes_in_by": "eth0", "leaves_by": "cali1234567890a"}
    found = story("tcp 10.0.0.5 > 10.96.0.10:80", file, **known)
    assert found.verdict == "open"
    (one,) = deciding(found)
    assert (
        one.fact == "'-m set --match-set cali40s:clients src' holds of what is from 10.0.0.5:40000"
    )
    assert one.where == "calico.save:30, filter cali-pi-allow-clients rule 1"
    assert (one.is_so, one.is_not) == (("delivered to 10.244.1.7:8080",), ("dropped",))
    # Another port is dropped whatever is in the set.
    other = story("tcp 10.0.0.5 > 10.244.1.7:9090", file, **known)
    assert (other.verdict, deciding(other)) == ("lost", [])


def test_istios_owners_are_no_part_of_a_save() -> None:
    file = SAVES / "written" / "istio.save"
    mine, others = frozenset({"10.244.1.7"}), frozenset({"10.96.0.10"})
    sent = story("tcp 10.244.1.7 > 10.96.0.10:80", file, local=mine, foreign=others)
    assert sent.verdict == "open"
    assert {one.fact.partition("' holds")[0] for one in deciding(sent)} == {
        "'-m owner --uid-owner 1337",
        "'-m owner --gid-owner 1337",
    }
    came = story("tcp 10.244.2.5 > 10.244.1.7:8080", file, local=frozenset({"10.244.1.7"}))
    assert (came.verdict, came.ends[0].destination) == ("delivered", "10.244.1.7:15006")


@pytest.mark.parametrize(
    ("inputs", "verdict", "asks"),
    [
        ("", "delivered", []),
        ("-A INPUT -p tcp --dport 8080 -j DROP\n", "delivered", []),
        ("-A INPUT -p tcp --dport 15006 -j DROP\n", "lost", []),
        ("-A INPUT -d 10.1.0.5/32 -j DROP\n", "open", [OF_LINK]),
        ("-A INPUT -d 10.0.0.0/8 -j DROP\n", "open", [OF_LINK]),
    ],
)
def test_of_several_addresses_nobody_knows_which_the_incoming_link_has(
    inputs: str, verdict: str, asks: list[str]
) -> None:
    nat = "*nat\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n"
    redirect = "-p tcp --dport 8080 -j REDIRECT --to-ports 15006\n"
    nat = f"{nat}-A PREROUTING {redirect}-A OUTPUT {redirect}COMMIT\n"
    save = read([("x", f"{nat}*filter\n:INPUT ACCEPT [0:0]\n{inputs}COMMIT\n")])
    rules = save.families["ipv4"]
    node = Node("n1", frozenset({"10.1.0.5", "10.2.0.5"}))
    came = told(packet("tcp 10.244.2.5 > 10.2.0.5:8080"), rules, node, World({}), ["x"])
    assert (came.verdict, [one.fact for one in deciding(came)]) == (verdict, asks)
    assert came.ends[0].destination == "an address of n1:15006"
    sent = told(packet("tcp 10.1.0.5 > 10.2.0.5:8080"), rules, node, World({}), ["x"])
    assert sent.ends[0].destination == "127.0.0.1:15006"


def test_what_makes_no_difference_leaves_the_answer() -> None:
    rules = (
        '-A FORWARD -m string --string "x" --algo bm -j ACCEPT\n'
        "-A FORWARD -m connmark --mark 0x1/0x1 -j DROP\n"
        "-A FORWARD -m time --timestart 08:00 -j LOG\n"
    )
    found = of(rules, "tcp 10.0.0.5 > 10.0.0.6:80", local=frozenset({"10.0.0.1"}))
    assert found.verdict == "delivered"
    assert [one.fact.split()[1] for one in found.untold if "-m" in one.fact] == ["string"]
    foreign = frozenset({"10.0.0.6"})
    dropping = of(rules.replace("ACCEPT", "DROP"), "tcp 10.0.0.5 > 10.0.0.6:80", foreign=foreign)
    assert dropping.verdict == "open"
    assert deciding(dropping)[0].where == "x:4, filter FORWARD rule 1"


def test_a_target_that_nobody_understands_leaves_it_open() -> None:
    found = of(
        "-A FORWARD -p tcp -j NFQUEUE --queue-num 1\n-A FORWARD -j ACCEPT\n",
        "tcp 10.0.0.5 > 10.0.0.6:80",
        foreign=frozenset({"10.0.0.6"}),
    )
    assert found.verdict == "open"
    (one,) = deciding(found)
    assert (one.question, one.where) == ("what '-j NFQUEUE' does", "x:4, filter FORWARD rule 1")
    udp = of(
        "-A FORWARD -p tcp -j NFQUEUE --queue-num 1\n-A FORWARD -j ACCEPT\n",
        "udp 10.0.0.5 > 10.0.0.6:53",
    )
    assert udp.verdict == "delivered"


def test_more_questions_than_can_be_followed_are_said() -> None:
    rules = "".join(
        f"-A FORWARD -m set --match-set s{number} src -j MARK --set-xmark {number}/0xff\n"
        for number in range(1, 20)
    )
    drop = "-A FORWARD -m mark --mark 0x7 -j DROP\n"
    found = of(rules + drop, "tcp 10.0.0.5 > 10.0.0.6:80", foreign=frozenset({"10.0.0.6"}))
    assert found.verdict == "open"


@pytest.mark.parametrize(
    "mode", ["iptables/05-nodeport/expected.v4", "nftables/05-nodeport/expected.nft"]
)
def test_a_story_is_saved_and_told_again(mode: str) -> None:
    for words in (SERVICE, NODE_PORT):
        found = story(words, ORACLE / mode)
        again = saved.read(json.dumps(document(found)).encode(), "x").story
        assert document(again) == document(found)
        for tell in (trace.lines, trace.minimal, trace.summary):
            assert list(tell(again)) == list(tell(found))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("tcp 10.0.0.5 10.96.0.10:80", "is no packet"),
        ("", "is no packet"),
        ("tpc 10.0.0.5 > 10.96.0.10:80", "'tpc' is no protocol"),
        ("tcp 10.0.0.5 > 10.96.0.10", "to which port"),
        ("tcp 10.0.0.5 > web:80", "'web:80' is no address"),
        ("tcp 10.0.0.5:70000 > 10.96.0.10:80", "is no address and port"),
        ("tcp 10.0.0.5: > 10.96.0.10:80", "is no address and port"),
        ("tcp fd00::1 > 10.96.0.10:80", "two families"),
        ("icmp 10.0.0.5 > 10.96.0.10:80", "has no ports"),
    ],
)
def test_words_that_are_no_packet(words: str, said: str) -> None:
    with pytest.raises(UsageError) as refused:
        packet(words)
    assert said in refused.value.message
    assert "--packet" in str(refused.value.hint)


def test_words_that_are_a_packet() -> None:
    for words, source, destination in (
        ("tcp 10.0.0.5:40000 > 10.96.0.10:80", "10.0.0.5:40000", "10.96.0.10:80"),
        ("UDP 10.0.0.5->10.96.0.10:53", "", ""),
        ("udp 10.0.0.5 → 10.96.0.10:53", "10.0.0.5:40000", "10.96.0.10:53"),
        ("tcp [fd00::5]:1 > [fd00::10]:80", "[fd00::5]:1", "[fd00::10]:80"),
        ("icmp fd00::5 > fd00::10", "fd00::5", "fd00::10"),
    ):
        if not source:
            with pytest.raises(UsageError):
                packet(words)
            continue
        found = packet(words)
        assert (found.source, found.destination) == (source, destination)
