from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from netlab.objects.pathcheck import Expectation, PathCheck, Sender, Target
from netlab.pathcheck import bpf
from netlab.pathcheck.packets import ProbeNumbers
from netlab.pathcheck.path import Hop, Journey
from netlab.pathcheck.trial import Trial, plan
from netlab.pathcheck.watched import astray, filters, near
from netlab.pathcheck.world import Place, World

PODS = {f"default/web-{number}": f"10.244.1.{number}" for number in range(4)}
PLACES = (
    Place("node", "node", Path("node"), ("10.10.11.20", "10.244.1.254")),
    Place("client", "client", Path("client"), ("172.16.110.100",)),
    *(Place(name, "pod", Path(name), (ip,), node="node") for name, ip in PODS.items()),
)
WORLD = World(
    {place.name: place for place in PLACES},
    services={
        "default/web": {
            "metadata": {"name": "web", "namespace": "default"},
            "spec": {"clusterIP": "10.96.0.7", "ports": [{"port": 80}]},
        }
    },
    slices=(
        {
            "metadata": {
                "name": "web-x",
                "namespace": "default",
                "labels": {"kubernetes.io/service-name": "web"},
            },
            "addressType": "IPv4",
            "ports": [{"port": 8080}],
            "endpoints": [{"addresses": ["10.244.1.1"]}],
        },
    ),
)
MACHINES = {"node", "client"}


def trial(target: Target, **expect: object) -> Trial:
    sender = Sender("pod", "web-0")
    return plan(PathCheck("it", sender, target, replace(Expectation(), **expect)), WORLD)


def test_machines_the_sender_and_the_endpoints_are_watched() -> None:
    assert near([trial(Target(service="web"))], WORLD) == MACHINES | {
        "default/web-0", "default/web-1",
    }  # fmt: skip


def test_so_are_the_pod_that_is_asked_and_one_that_is_to_answer() -> None:
    asked = near([trial(Target(pod="web-2", port=80))], WORLD)
    assert asked == MACHINES | {"default/web-0", "default/web-2"}
    wanted = near([trial(Target(service="web"), endpoints=("web-3",))], WORLD)
    assert wanted == MACHINES | {"default/web-0", "default/web-1", "default/web-3"}


def test_answers_are_heard_where_they_are_awaited() -> None:
    found = filters([trial(Target(service="web"))], ["node", "default/web-0"])
    assert found == {"node": bpf.QUESTIONS}


def way(*hops: tuple[str, str, str], outcome: str = "reachable") -> Journey:
    probe = ProbeNumbers().probe("tcp", "10.244.1.0", "10.96.0.7", 80)
    told = tuple(Hop(place, ifname, probe.source, to) for place, ifname, to in hops)
    return Journey(probe, outcome, told)  # type: ignore[arg-type]


def test_a_packet_to_a_pod_that_is_not_watched_has_gone_astray() -> None:
    watched = frozenset({"node", "default/web-0", "default/web-1"})
    there = way(("default/web-0", "eth0", "10.96.0.7:80"), ("node", "veth7", "10.244.1.3:8080"))
    assert astray(there, "reachable", watched, WORLD)
    assert not astray(there, "reachable", watched | {"default/web-3"}, WORLD)
    arrived = replace(there, delivered="10.244.1.3:8080")
    assert not astray(arrived, "reachable", watched, WORLD)


def test_so_has_one_that_was_lost_behind_a_pod_s_port() -> None:
    watched = frozenset({"node", "default/web-0", "default/web-1"})
    lost = way(("node", "veth7", "10.244.1.1:8080"), outcome="timeout")
    assert astray(lost, "reachable", watched, WORLD)
    assert not astray(lost, "timeout", watched, WORLD)
    assert not astray(lost, "reachable", frozenset(WORLD.places), WORLD)
    dropped = way(("node", "cni0", "10.244.1.1:8080"), outcome="timeout")
    assert not astray(dropped, "reachable", watched, WORLD)


def test_one_that_never_left_has_gone_nowhere() -> None:
    assert not astray(way(outcome="timeout"), "reachable", frozenset(), WORLD)


def test_a_packet_is_astray_at_a_pod_that_no_check_is_about() -> None:
    few = {name: place for name, place in WORLD.places.items() if name != "default/web-3"}
    told = way(("node", "eth0", "10.244.1.3:8080"), outcome="timeout")
    assert not astray(told, "timeout", frozenset(few), replace(WORLD, places=few))
    narrow = replace(WORLD, places=few, read_all=lambda: WORLD)
    assert astray(told, "timeout", frozenset(few), narrow)
