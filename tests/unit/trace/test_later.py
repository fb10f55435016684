"""The later packets of a flow, as rules and connection tracking treat them."""

from __future__ import annotations

from pathlib import Path

import pytest

from netlab.network.model import Link, Namespace
from netlab.pathcheck.world import Place, World
from netlab.proxy.iptables.parse import parse
from netlab.simulation.iptables import simulate
from netlab.simulation.packet import Flow, Packet
from netlab.trace.iptables_rules import IptablesRules
from netlab.trace.predicted import is_shut_out, predict, predict_later, supposed_denial
from netlab.trace.routing import Router

RULES = parse(
    """\
*nat
:PREROUTING ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
-A PREROUTING -d 192.0.2.1/32 -p tcp -m tcp --dport 30080 -j DNAT --to-destination 10.244.0.3:80
-A POSTROUTING -j MASQUERADE
COMMIT
*filter
:FORWARD DROP [0:0]
-A FORWARD -d 10.244.0.3/32 -m conntrack --ctstate NEW -j ACCEPT
-A FORWARD -d 10.244.0.3/32 -m conntrack --ctstate ESTABLISHED -j ACCEPT
-A FORWARD -s 10.244.0.3/32 -d 192.0.2.9/32 -m conntrack --ctstate ESTABLISHED -j ACCEPT
COMMIT
"""
)
FLOW = Flow("10.244.0.3", 80, "10.244.0.1", 5000, dnat=True, snat=True)


def test_conntrack_translates_and_no_rule_of_nat_is_asked() -> None:
    packet = Packet("192.0.2.9", "192.0.2.1", dport=30080, ctstate="ESTABLISHED", flow=FLOW)
    (found,) = simulate(RULES, packet, route=lambda _: "cni0")
    assert (found.verdict, found.packet.destination, found.packet.dport) == (
        "ACCEPT", "10.244.0.3", 80,
    )  # fmt: skip
    assert (found.packet.source, found.packet.sport) == ("10.244.0.1", 5000)
    assert [(hit.table, hit.number) for hit in found.rules] == [("filter", 2)]


def test_before_routing_it_has_its_first_destination() -> None:
    """Else what is for the node's own address would never be sent on."""
    own = frozenset({"192.0.2.1"})
    packet = Packet(
        "192.0.2.9", "192.0.2.1", dport=30080, ctstate="ESTABLISHED", flow=FLOW, local=own
    )
    (found,) = simulate(RULES, packet, route=lambda _: "cni0")
    assert not found.delivered


WORLD = World(
    {
        "client": Place("client", "client", Path("c"), ("192.0.2.9",)),
        "n1": Place("n1", "node", Path("n"), ("192.0.2.1", "10.244.0.1")),
        "default/web": Place("default/web", "pod", Path("p"), ("10.244.0.3",), node="n1"),
    }
)


def link(name: str, address: str) -> Link:
    return Link(name, 2, "veth", addresses=(address,))


ROUTER = Router(
    {
        "client": Namespace("client", (link("eth0", "192.0.2.9/24"),)),
        "n1": Namespace("n1", (link("eth0", "192.0.2.1/24"), link("cni0", "10.244.0.1/24"))),
    }
)
PACKET = Packet("192.0.2.9", "192.0.2.1", dport=30080, sport=4000)


@pytest.mark.parametrize(
    ("reply", "at", "source", "destination"),
    [
        (False, "default/web", "10.244.0.1:4000", "10.244.0.3:80"),
        (True, "client", "192.0.2.1:30080", "192.0.2.9:4000"),
    ],
)
def test_both_ways_of_a_flow(reply: bool, at: str, source: str, destination: str) -> None:
    rules = IptablesRules(RULES, {})
    client = WORLD.places["client"]
    (first,) = predict(PACKET, client, WORLD, ROUTER, lambda _: rules)
    assert (first.verdict, first.at) == ("delivered", "default/web")
    (later,) = predict_later(PACKET, first, client, WORLD, ROUTER, lambda _: rules, reply=reply)
    assert (later.verdict, later.at) == ("delivered", at)
    assert (later.source, later.destination) == (source, destination)
    assert [hit.table for stay in later.stays for hit in stay.outcome.rules] == ["filter"]


def test_a_machine_that_does_not_forward_asks_no_rule_of_what_it_would_hand_on() -> None:
    rules = IptablesRules(RULES, {})
    still = Router(ROUTER.namespaces, lambda *_: False)
    (end,) = predict(PACKET, WORLD.places["client"], WORLD, still, lambda _: rules)
    assert (end.verdict, end.at, end.destination) == ("lost", "n1", "10.244.0.3:80")
    (stay,) = end.stays
    assert [(hit.table, hit.chain) for hit in stay.outcome.rules] == [("nat", "PREROUTING")]
    assert supposed_denial(end) == [], "no chain has denied it"
    own = Packet("192.0.2.1", "10.244.0.3", dport=80, sport=4000)
    (end,) = predict(own, WORLD.places["n1"], WORLD, still, lambda _: rules)
    assert (end.verdict, end.at) == ("delivered", "default/web")


TO_ITSELF = parse(
    """\
*nat
:PREROUTING ACCEPT [0:0]
-A PREROUTING -d 10.96.0.7/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.244.0.3:8080
COMMIT
*filter
:FORWARD ACCEPT [0:0]
-A FORWARD -p tcp -j ACCEPT
COMMIT
"""
)


@pytest.mark.parametrize("lets_back", [True, False])
def test_a_pod_that_a_service_sends_back_by_its_own_port(lets_back: bool) -> None:
    rules = IptablesRules(TO_ITSELF, {})
    asked = list[tuple[str, bool]]()

    def said(pod: str, v6: bool) -> bool:
        asked.append((pod, v6))
        return lets_back

    router = Router(ROUTER.namespaces, lets_back=said)
    pod = WORLD.places["default/web"]
    packet = Packet("10.244.0.3", "10.96.0.7", dport=80, sport=4000)
    (end,) = predict(packet, pod, WORLD, router, lambda _: rules)
    assert asked == [("default/web", False)]
    met = [hit.chain for stay in end.stays for hit in stay.outcome.rules]
    if lets_back:
        assert (end.verdict, end.at, met) == ("delivered", "default/web", ["PREROUTING", "FORWARD"])
        return
    assert (end.verdict, end.at, met) == ("lost", "n1", ["PREROUTING"])
    assert is_shut_out(end) and supposed_denial(end) == []
    elsewhere = Packet("10.244.0.3", "192.0.2.9", dport=80, sport=4000)
    (end,) = predict(elsewhere, pod, WORLD, router, lambda _: rules)
    assert (end.verdict, len(asked)) == ("delivered", 1), "nobody asks the port of another's packet"


def test_what_nobody_answered_yet_is_new_still() -> None:
    rules = IptablesRules(RULES, {})
    client = WORLD.places["client"]
    (first,) = predict(PACKET, client, WORLD, ROUTER, lambda _: rules)
    (later,) = predict_later(
        PACKET, first, client, WORLD, ROUTER, lambda _: rules, reply=False, replied=False
    )
    assert [hit.number for stay in later.stays for hit in stay.outcome.rules] == [1]
