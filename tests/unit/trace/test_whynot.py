"""Why a packet did not come by one Service, pod or rule; and which of its fields mattered."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from netlab.errors import UsageError
from netlab.pathcheck.world import World
from netlab.proxy.iptables.parse import parse as parse_iptables
from netlab.simulation.packet import Packet
from netlab.trace.iptables_rules import IptablesRules
from netlab.trace.mattered import mattered
from netlab.trace.passages import MetRule
from netlab.trace.story import ChainVisit
from netlab.trace.whynot import why_not

RULES = IptablesRules(
    parse_iptables(
        """\
*nat
:PREROUTING ACCEPT [0:0]
:KUBE-SERVICES - [0:0]
:KUBE-NODEPORTS - [0:0]
:KUBE-SVC-AAAAAAAAAAAAAAAA - [0:0]
:KUBE-SVC-BBBBBBBBBBBBBBBB - [0:0]
:KUBE-SEP-AAAAAAAAAAAAAAAA - [0:0]
:KUBE-SEP-BBBBBBBBBBBBBBBB - [0:0]
-A PREROUTING -j KUBE-SERVICES
-A KUBE-SERVICES -d 10.96.0.7/32 -p tcp -m comment --comment "default/web cluster IP" -m tcp --dport 80 -j KUBE-SVC-AAAAAAAAAAAAAAAA
-A KUBE-SERVICES -d 10.96.0.8/32 -p tcp -m comment --comment "default/other cluster IP" -m tcp --dport 80 -j KUBE-SVC-BBBBBBBBBBBBBBBB
-A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS
-A KUBE-NODEPORTS -p tcp -m comment --comment "default/other" -m tcp --dport 30080 -j KUBE-SVC-BBBBBBBBBBBBBBBB
-A KUBE-SVC-AAAAAAAAAAAAAAAA -m comment --comment "default/web -> 10.244.0.3:80" -j KUBE-SEP-AAAAAAAAAAAAAAAA
-A KUBE-SVC-BBBBBBBBBBBBBBBB -m comment --comment "default/other -> 10.244.0.4:80" -j KUBE-SEP-BBBBBBBBBBBBBBBB
-A KUBE-SEP-AAAAAAAAAAAAAAAA -p tcp -m comment --comment "default/web" -m tcp -j DNAT --to-destination 10.244.0.3:80
-A KUBE-SEP-BBBBBBBBBBBBBBBB -p tcp -m comment --comment "default/other" -m tcp -j DNAT --to-destination 10.244.0.4:80
COMMIT
"""  # noqa: E501
    ),
    {},
)


def pod(name: str, address: str) -> Any:
    meta = {"name": name, "namespace": "default"}
    return {"kind": "Pod", "metadata": meta, "status": {"podIPs": [{"ip": address}]}}


TO = "KUBE-SVC-AAAAAAAAAAAAAAAA"
WORLD = World(
    {},
    {"default/web": {"metadata": {"name": "web"}}, "default/other": {"metadata": {"name": "o"}}},  # type: ignore[dict-item]
    pods={"default/a": pod("a", "10.244.0.3"), "default/b": pod("b", "10.244.0.4")},
)


def visit(port: int, number: int | None) -> ChainVisit:
    """In KUBE-SERVICES, whose rule of that number took the packet."""
    packet = Packet("10.244.0.9", "10.96.0.7", dport=port)
    texts = RULES.texts("nat", "KUBE-SERVICES")
    met = (
        (MetRule("nat", "KUBE-SERVICES", number, texts[number - 1], "jump", TO),)
        if number
        else ()
    )  # fmt: skip
    misses = tuple(
        miss
        for miss in RULES.misses("nat", "KUBE-SERVICES", packet)
        if number is None or miss.number < number
    )
    return ChainVisit("n1", "nat", "KUBE-SERVICES", 3, met, misses, True, packet=packet)


def told(about: str, seen: ChainVisit) -> list[str]:
    turns = why_not(about, [seen], lambda _: RULES, WORLD, "default")
    return [f"{turn.chain} {turn.number}: {turn.words}" for turn in turns]


def test_the_rule_that_leads_to_a_service_says_what_it_lacked() -> None:
    assert told("svc/web", visit(8080, None)) == [
        "KUBE-SERVICES 1: right address, port 8080 is not 80"
    ]
    assert told("svc/other", visit(8080, None))[0] == (
        "KUBE-SERVICES 2: 10.96.0.7 is not 10.96.0.8"
    )
    assert told("svc/other", visit(8080, None))[1] == (
        "KUBE-SERVICES 3: 10.96.0.7 is no address of type LOCAL"
    )


def test_what_took_it_is_told() -> None:
    assert told("svc/web", visit(80, 1)) == ["KUBE-SERVICES 1: it was taken"]
    early = replace(visit(80, 1), packet=None)
    assert told("svc/other", early)[0] == "KUBE-SERVICES 2: rule 1 took the packet before"


def test_what_a_rule_lacks_itself_is_told_before_what_took_the_packet() -> None:
    """It would not have matched, whatever had been before it."""
    assert told("nat/KUBE-SERVICES/2", visit(80, 1)) == [
        "KUBE-SERVICES 2: 10.96.0.7 is not 10.96.0.8; and rule 1 took the packet before"
    ]
    local = Packet("10.244.0.9", "10.96.0.7", dport=80, local=frozenset({"10.96.0.7"}))
    assert told("nat/KUBE-SERVICES/3", replace(visit(80, 1), packet=local)) == [
        "KUBE-SERVICES 3: rule 1 took the packet before"
    ]


def test_a_pod_is_asked_about_by_what_leads_to_its_address() -> None:
    assert told("pod/b", visit(8080, None)) == [
        "KUBE-SERVICES 2: 10.96.0.7 is not 10.96.0.8",
        "KUBE-SERVICES 3: 10.96.0.7 is no address of type LOCAL",
    ]


def test_a_rule_is_named_by_its_place() -> None:
    expected = ["KUBE-SERVICES 3: 10.96.0.7 is no address of type LOCAL"]
    assert told("nat/KUBE-NODEPORTS/1", visit(8080, None)) == expected
    assert told("nat/KUBE-SERVICES/3", visit(8080, None)) == expected


@pytest.mark.parametrize(
    "about", ["svc/none", "pod/none", "nat/KUBE-SERVICES/9", "nonsense", "nat/KUBE-SERVICES/x"]
)
def test_what_there_is_not(about: str) -> None:
    with pytest.raises(UsageError):
        told(about, visit(80, 1))


def test_fields_that_no_rule_asked_for_did_not_matter() -> None:
    found = mattered([visit(8080, None)], lambda _: RULES, ())
    assert found.asked == ("destination", "port")
    assert "source" in found.ignored
    assert "TTL" in found.ignored
    taken = mattered([visit(80, 1)], lambda _: RULES, ())
    assert taken.asked == ("destination", "protocol", "port")


def test_a_later_packet_is_known_by_all_that_names_its_flow() -> None:
    found = mattered([visit(80, 1)], lambda _: RULES, (), later=True)
    assert found.asked[:5] == ("source", "destination", "protocol", "port", "source port")


def test_what_is_not_understood_may_have_asked_for_anything() -> None:
    assert mattered([visit(80, 1)], lambda _: RULES, ("-m strange",)).ignored == ()
