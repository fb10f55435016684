from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

from msgspec.structs import replace

from netlab.diagnosis.facts import Cause
from netlab.objects.pathcheck import Expectation, PathCheck, Sender, Spread, Target
from netlab.pathcheck.junit import junit
from netlab.pathcheck.packets import ProbePacket
from netlab.pathcheck.path import Hop, Journey, Rewrite
from netlab.pathcheck.protocols import TCP
from netlab.pathcheck.result import CheckResult, exit_code
from netlab.pathcheck.send import Talk
from netlab.pathcheck.trial import Trial
from netlab.pathcheck.verdict import counts, judge, shortfall
from netlab.pathcheck.world import Place, World

BOX = Place("default/box", "pod", Path("/x"), ("10.244.1.7",), node="n1")
NODE = Place("n1", "node", Path("/y"), ("10.0.0.1", "10.244.1.1"))
WORLD = World({"default/box": BOX, "n1": NODE})
ENDPOINTS = {"10.244.1.5:80": "default/a", "10.244.1.6:80": "default/b"}
PROBE = ProbePacket(1, "tcp", "10.244.1.7", 4000, "10.96.0.7", 80, 1)


def trial(**expect: object) -> Trial:
    check = PathCheck(
        "it",
        Sender("pod", "box"),
        Target(service="web"),
        Expectation(**expect),  # type: ignore[arg-type]
    )
    wanted = frozenset(ENDPOINTS) if expect.get("endpoints") == "all" else None
    return Trial(check, BOX, TCP, (("10.96.0.7", 80),), endpoints=ENDPOINTS, wanted=wanted)


def arrived(at: str = "10.244.1.5:80", **changes: object) -> Journey:
    made = Journey(
        PROBE,
        "reachable",
        hops=(Hop("n1", "veth1", "10.244.1.7:4000", at),),
        dnats=(Rewrite("n1", "10.96.0.7:80", at),),
        delivered=at,
        delivered_at=ENDPOINTS.get(at),
        seen_source="10.244.1.7",
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def reasons(it: Trial, *journeys: Journey, talk: Talk | None = None) -> str:
    return "; ".join(judge(it, journeys, WORLD, talk).reasons)


def test_all_as_expected() -> None:
    it = trial(endpoints="all", source_seen="sender", dnat_at="sender", masquerade_at="none")
    assert judge(it, [arrived(), arrived("10.244.1.6:80")], WORLD, Talk(True)).passed


def test_another_outcome_than_expected() -> None:
    lost = arrived(outcome="timeout", delivered=None)
    assert reasons(trial(), arrived(), lost) == (
        "expected reachable, it was timeout (1 of 2 tries); last seen at n1 veth1"
    )
    dropped = arrived(outcome="timeout", hops=(), delivered=None)
    assert reasons(trial(), dropped).endswith("it was timeout; it never left default/box")
    unwanted = reasons(trial(outcome="refused"), arrived())
    assert unwanted == "expected refused, it was reachable; it reached default/a (10.244.1.5:80)"


def test_a_wrong_outcome_is_explained_by_what_nat_did() -> None:
    lost = arrived(outcome="timeout", note="the answer came from elsewhere")
    found = reasons(trial(masquerade_at="n1"), lost)
    assert found.startswith("expected reachable, it was timeout: the answer came from elsewhere")
    assert found.endswith("masquerade at nowhere, expected at n1; it passed n1 unchanged")


def test_endpoints_missing_strange_and_too_many() -> None:
    assert "default/b (10.244.1.6:80) got 0 of 1 tries" in reasons(
        trial(endpoints="all"), arrived()
    )
    strange = reasons(
        trial(endpoints="all"), arrived(), arrived("10.244.1.6:80"), arrived("9.9.9.9:80")
    )
    assert strange == "9.9.9.9:80 answered, which is not one of the expected endpoints"
    assert reasons(trial(endpoints=1), arrived(), arrived("10.244.1.6:80")).startswith(
        "2 endpoints answered instead of 1"
    )
    assert "another endpoint got 0 of 1" in reasons(trial(endpoints=2), arrived())


def test_only_what_came_back_counts() -> None:
    lost = arrived(outcome="timeout")
    refused = arrived("10.244.1.6:80", outcome="refused")
    assert counts([arrived(), lost, refused]) == {"10.244.1.5:80": 1, "10.244.1.6:80": 1}


def test_a_shortfall_asks_for_more_tries_and_is_called_chance_no_longer() -> None:
    it = trial(endpoints="all", spread=Spread(20, 5))
    few = [arrived()] * 16 + [arrived("10.244.1.6:80")] * 4
    assert shortfall(it, few)
    assert not shortfall(it, [*few, arrived("10.244.1.6:80")])
    assert "once in a billion" not in reasons(it, *few)
    assert "expected at least 5; by chance once in a billion checks" in reasons(
        it, *few[:1] * 60, *few
    )


def test_an_uneven_choice() -> None:
    many = [arrived()] * 90 + [arrived("10.244.1.6:80")] * 10
    found = reasons(trial(endpoints="all", spread=Spread(100)), *many)
    assert (
        "uneven: default/a (10.244.1.5:80) got 90 of 100 tries, a fair choice gives 19 to 81"
        in found
    )
    sticky = replace(trial(endpoints="all", spread=Spread(100)), affinity=True)
    assert reasons(sticky, *many) == ""


def test_the_source_that_the_endpoint_saw() -> None:
    hidden = arrived(
        seen_source="10.244.1.1", snats=(Rewrite("n1", "10.244.1.7:4000", "10.244.1.1:5"),)
    )
    assert reasons(trial(source_seen="node:n1"), hidden) == ""
    assert reasons(trial(source_seen="10.244.1.1"), hidden) == ""
    assert reasons(trial(source_seen="sender"), hidden) == (
        "default/a (10.244.1.5:80) saw the source 10.244.1.1 (n1: 10.244.1.7:4000 became "
        "10.244.1.1:5), expected sender (10.244.1.7)"
    )


def test_where_addresses_were_changed() -> None:
    assert "expected nowhere" in reasons(trial(dnat_at="none"), arrived())
    assert reasons(trial(dnat_at="n2"), arrived()) == (
        "DNAT at n1: 10.96.0.7:80 became 10.244.1.5:80, expected at n2"
    )
    assert reasons(trial(masquerade_at="n1"), arrived()).endswith("it passed n1 unchanged")
    assert reasons(trial(masquerade_at="n2"), arrived()).endswith("it never passed n2")


def test_another_port_alone_is_no_masquerade() -> None:
    """Two flows that would have the same ends are told apart so by connection tracking."""
    apart = arrived(snats=(Rewrite("n1", "10.244.1.7:4000", "10.244.1.7:1024"),))
    assert reasons(trial(masquerade_at="none"), apart) == ""
    own = arrived(snats=(Rewrite("n1", "10.0.0.1:4000", "10.0.0.1:1024"),))
    assert reasons(trial(masquerade_at="n1"), own) == ""
    hidden = arrived(snats=(Rewrite("n1", "[fd00::7]:4000", "[fd00::1]:4000"),))
    assert "became [fd00::1]:4000, expected nowhere" in reasons(trial(masquerade_at="none"), hidden)


def test_a_real_connection_counts_too() -> None:
    found = reasons(trial(), arrived(), talk=Talk(False, error="timed out"))
    assert "a real connection was not: timed out" in found


def result(status: str, **fields: object) -> CheckResult:
    return CheckResult(f"check-{status}", "from pod box", status, **fields)  # type: ignore[arg-type]


def test_exit_codes_and_lines() -> None:
    passed = result("pass", outcome="reachable", journey=arrived())
    failed, blind = result("fail", reasons=("no",)), result("error", reasons=("blind",))
    assert [exit_code(list(each)) for each in ((passed,), (passed, failed), (failed, blind))] == [
        0, 1, 2,
    ]  # fmt: skip
    assert passed.line == ("PASS check-pass: reachable | n1 DNAT to 10.244.1.5:80 → veth1")
    assert failed.line == "FAIL check-fail | no"
    assert blind.line == "ERROR check-error: could not run: blind"
    assert passed.json()["dnat"] == [
        {"place": "n1", "before": "10.96.0.7:80", "after": "10.244.1.5:80"}
    ]


def test_junit_is_xml_whatever_a_server_says() -> None:
    text = junit(
        [
            result("pass", said="\x00<&\x1b[0m"),
            result("fail", reasons=('a "b" <c>',), causes=(Cause("X", "the cause"),)),
            result("error", reasons=("blind",)),
        ]
    )
    suite = ET.fromstring(text)
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("3", "1", "1")
    cases = suite.findall("testcase")
    assert [case.get("name") for case in cases] == ["check-pass", "check-fail", "check-error"]
    failure = cases[1].find("failure")
    assert failure is not None
    assert failure.get("message") == 'a "b" <c>'
    assert failure.text == 'a "b" <c>\nthe cause'
