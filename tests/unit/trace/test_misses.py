"""Why rules do not match, in the words of their first condition that fails."""

from __future__ import annotations

import pytest

from netlab.proxy.iptables.model import Ruleset
from netlab.proxy.iptables.parse import parse
from netlab.simulation.iptables import simulate
from netlab.simulation.packet import Packet
from netlab.trace.misses import misses, nearest

PACKET = Packet("10.244.2.4", "10.96.0.10", dport=8080, in_interface="cni0")


def missed(*rules: str) -> list[str]:
    return [miss.words for miss in misses(rules, PACKET)]


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("-d 10.96.0.7/32 -j X", "10.96.0.10 is not 10.96.0.7"),
        ("-d 10.97.0.0/16 -j X", "10.96.0.10 is not inside 10.97.0.0/16"),
        ("-d 10.96.0.10/32 -p udp -j X", "tcp is not udp"),
        ("-d 10.96.0.10/32 -p tcp -m tcp --dport 80 -j X", "port 8080 is not 80"),
        ("! -s 10.244.0.0/16 -j X", "the source 10.244.2.4 is inside 10.244.0.0/16"),
        ("-s 10.244.9.9/32 -j X", "the source 10.244.2.4 is not 10.244.9.9"),
        ("-m mark --mark 0x4000/0x4000 -j X", "mark 0x0 is not 0x4000/0x4000"),
        ("-m conntrack --ctstate RELATED,ESTABLISHED -j X", "it is NEW"),
        ("-m statistic --mode random --probability 0.5 -j X", "the draw said no (50%)"),
        ("-i eth0 -j X", "it passes in by cni0, not by eth0"),
        ("-o eth1 -j X", "it passes out by none, not by eth1"),
        (
            "-m recent --rcheck --seconds 9 --name A -j X",
            "the client has not been sent there before",
        ),
        ("-m ttl --ttl-eq 3 -j X", "not --ttl-eq 3"),
    ],
)
def test_the_first_condition_that_fails(rule: str, words: str) -> None:
    assert missed(rule) == [words]


def test_a_rule_that_matches_is_no_miss() -> None:
    assert missed("-d 10.96.0.10/32 -j X", "-p tcp -j Y", "! -d 10.0.0.1/32 -j Z") == []


def test_a_draw_is_named_last_of_all() -> None:
    draw = "-m statistic --mode random --probability 0.5"
    assert missed(f"{draw} -d 10.0.0.1/32 -j X") == ["10.96.0.10 is not 10.0.0.1"]


def test_the_nearest_lacked_least() -> None:
    rules = [
        "-d 10.96.0.7/32 -p tcp -j A",
        "-d 10.96.0.10/32 -p tcp -m tcp --dport 80 -j B",
        "-d 10.96.0.10/32 -p tcp -m tcp --dport 81 -j C",
        "-d 10.96.0.10/32 -p udp -j D",
    ]
    found = nearest(list(misses(rules, PACKET)))
    assert found is not None
    assert found.number == 2
    assert nearest(list(misses(rules[:1], PACKET))) is None


@pytest.mark.parametrize(
    ("text", "destination"),
    [
        ("-d 10.96.0.7/32 -p tcp -m tcp --dport 80 -j KUBE-SVC-X", "10.96.0.8"),
        ("-d 10.96.0.7/32 -p udp -j KUBE-SVC-X", "10.96.0.7"),
        ("-d fd00::7/128 -p tcp -j KUBE-SVC-X", "fd00::8"),
        ("-d fd00:0::7/128 -p udp -j KUBE-SVC-X", "fd00::7"),
        ("-d fd00::/32 -p udp -j KUBE-SVC-X", "fd00::7"),
        ("-d 10.96.0.7/24 -p udp -j KUBE-SVC-X", "10.96.0.8"),
        ("-d 010.96.0.7/32 -j KUBE-SVC-X", "10.96.0.8"),
        ("-d 10.96.0.7/32 -j KUBE-SVC-X", "fd00::8"),
        ("-d ::ffff:10.96.0.7/128 -j KUBE-SVC-X", "::ffff:10.96.0.8"),
    ],
)
def test_a_rule_for_another_address_is_told_the_same_without_taking_it_apart(
    text: str, destination: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    packet = Packet("10.244.1.3", destination, "tcp", 80)
    quick, sent = list(misses([text], packet)), simulate(_only(text), packet)
    for module in ("trace.misses", "simulation.iptables"):
        monkeypatch.setattr(f"netlab.{module}.for_one", lambda rules: [b""] * len(rules))
    assert quick == list(misses([text], packet))
    assert sent == simulate(_only(text), packet)


def _only(text: str) -> Ruleset:
    head = "*nat\n:PREROUTING ACCEPT [0:0]\n:KUBE-SVC-X - [0:0]\n"
    return parse(f"{head}-A PREROUTING {text}\nCOMMIT\n")
