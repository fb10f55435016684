"""One sentence of what was found, what shows it, and what to do."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from netlab.diagnosis.facts import Cause, Facts, Way
from netlab.objects.pathcheck import Expectation, PathCheck, Sender, Target
from netlab.pathcheck.packets import ProbePacket
from netlab.pathcheck.path import Journey
from netlab.pathcheck.world import Place, World
from netlab.trace.agreement import Agreement
from netlab.trace.answer import Seen, answer, of_name, usual_sender
from netlab.trace.story import Story

PROBE = ProbePacket(7, "tcp", "10.244.0.2", 4000, "10.96.1.1", 80, 7)
CHECK = PathCheck("why", Sender("pod", "box", "default"), Target(service="web"), Expectation())
ANSWERED = Journey(PROBE, "reachable", (), (), (), "10.244.0.9:80", "default/web-0")
REACHED = Story(CHECK, PROBE, "default/box", "", ANSWERED, (), (), Agreement(None, 0))
REFUSED = replace(REACHED, journey=replace(ANSWERED, outcome="refused", note="RST from web"))
WEB: Any = {
    "metadata": {"name": "web", "namespace": "default"},
    "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]},
}
NO_POD = "selector app=web matches no pod (namespace default has no pod)"
OFF = Cause("NodeOff", "w1 is off", nodes=("w1",))


def test_one_that_answers_though_something_is_amiss() -> None:
    found = answer(WEB, Facts(), Seen(REACHED, causes=(OFF,)))
    assert (found.answers, found.sentence) == (True, "svc/web answers default/box, but w1 is off")
    assert found.remedies[0] == "sudo netlab node start w1"
    assert found.evidence[0].endswith("was answered by default/web-0 (10.244.0.9:80)")


def test_one_whose_name_nobody_knows_does_not_answer() -> None:
    found = answer(WEB, Facts(), Seen(REACHED, "no answer from the DNS server"))
    assert not found.answers
    assert found.evidence[0] == "no answer from the DNS server"
    assert found.sentence == f"svc/web does not answer: {NO_POD}"


def test_what_nothing_says_why_of() -> None:
    external: Any = {**WEB, "spec": {"type": "ExternalName", "externalName": "a.example"}}
    assert answer(external, Facts(), Seen(problem="no route")).sentence == (
        "svc/web does not answer: no route"
    )
    assert answer(external, Facts(), Seen()).sentence == (
        "svc/web does not answer: nothing in its objects says why"
    )


LOCAL: Any = {
    "metadata": {"name": "web", "namespace": "default"},
    "spec": {
        "type": "NodePort", "externalTrafficPolicy": "Local", "selector": {"app": "web"},
        "ports": [{"port": 80, "nodePort": 30080}],
    },
}  # fmt: skip
SLICE: Any = {
    "metadata": {"labels": {"kubernetes.io/service-name": "web"}, "namespace": "default"},
    "addressType": "IPv4",
    "ports": [{"port": 80}],
    "endpoints": [{"addresses": ["10.244.0.9"], "nodeName": "w1"}],
}
NODES: Any = [{"metadata": {"name": name}} for name in ("w1", "w2")]


def test_what_is_amiss_of_other_ways_is_no_concern_of_who_is_named() -> None:
    facts, inside = Facts(slices=[SLICE], nodes=NODES), Way(entrance="clusterIP")
    anybody = answer(LOCAL, facts, Seen(REACHED, way=inside))
    assert [cause.reason for cause in anybody.causes] == ["NoLocalEndpoint"]
    assert answer(LOCAL, facts, Seen(REACHED, way=inside, named=True)).causes == ()
    lost = answer(LOCAL, facts, Seen(REFUSED, way=inside))
    assert lost.sentence == "svc/web does not answer: nothing in its objects says why"
    outside = answer(LOCAL, facts, Seen(REFUSED, way=Way(entrance="nodePort")))
    assert [cause.reason for cause in outside.causes] == ["NoLocalEndpoint"]


def test_who_asks_is_a_pod_that_runs() -> None:
    def pod(name: str, ready: str) -> Any:
        condition = {"type": "Ready", "status": ready}
        about = {"name": name, "namespace": "default", "labels": {"app": name}}
        return {"metadata": about, "status": {"conditions": [condition]}}

    pods = {f"default/{name}": pod(name, ready) for name, ready in
            (("crash", "False"), ("me", "True"), ("web", "True"))}  # fmt: skip
    places = {name: Place(name, "pod", 3, ()) for name in pods}
    assert usual_sender(WEB, World(places=places, pods=pods)) == "pod/me"
    del places["default/me"]
    assert usual_sender(WEB, World(places=places, pods=pods)) == "pod/crash"


def test_what_is_said_of_the_packet_is_not_said_again() -> None:
    mine = Cause("NoPodMatches", "none")
    found = answer(WEB, Facts(), Seen(replace(REFUSED, causes=(mine,)), causes=(OFF, OFF)))
    assert found.causes == (OFF, mine)
    assert found.sentence == "svc/web does not answer: w1 is off"
    assert "it never left" not in found.evidence[0]


def test_a_name_that_no_service_has() -> None:
    cause = Cause("NoSuchService", "there is none", remedy="netlab get svc -A")
    found = of_name("web.shop", "shop/web", cause)
    assert found.sentence == "web.shop does not answer: there is none"
    assert (found.answers, found.remedies) == (False, ("netlab get svc -A",))
