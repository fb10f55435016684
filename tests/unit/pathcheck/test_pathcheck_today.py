"""Which paths are recorded, and what is said of each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from netlab.objects.pathcheck import Expectation, PathCheck, Sender, Target
from netlab.pathcheck.packets import ProbePacket
from netlab.pathcheck.path import Journey, Rewrite
from netlab.pathcheck.result import CheckResult
from netlab.pathcheck.today import candidates, record, recorded
from netlab.pathcheck.world import Place, World

Object = dict[str, Any]
READY = {"podIPs": [{"ip": "10.244.1.2"}], "conditions": [{"type": "Ready", "status": "True"}]}
PROBE = ProbePacket(1, "tcp", "10.244.1.9", 40000, "10.96.0.7", 80, 1)


def pod(
    name: str, kind: str = "", owner: str = "", space: str = "default", **status: Any
) -> Object:
    owners = [{"kind": kind, "name": owner, "controller": True}] if kind else []
    labels = {"pod-template-hash": "abc"} if kind == "ReplicaSet" else {}
    metadata = {"name": name, "namespace": space, "labels": labels, "ownerReferences": owners}
    return {"metadata": metadata, "spec": {}, "status": {**READY, **status}}


def service(name: str, space: str = "default", **spec: Any) -> Object:
    ports = [{"port": 80, "protocol": "TCP"}]
    spec = {"clusterIP": "10.96.0.7", "ports": ports, **spec}
    return {"metadata": {"name": name, "namespace": space}, "spec": spec, "status": {}}


def place(name: str, role: Any, *addresses: str) -> Place:
    return Place(name, role, Path("/x"), addresses)


def world(*services: Object, pods: Sequence[Object] = ()) -> World:
    def key(obj: Object) -> str:
        return f"{obj['metadata']['namespace']}/{obj['metadata']['name']}"

    machines = [
        place("worker002", "node", "10.10.11.21"),
        place("worker001", "node", "10.10.11.20"),
        place("client", "client", "172.16.110.100"),
        place("internet", "internet"),
    ]
    known: list[Object] = list(pods)
    places = [*machines, *(place(key(one), "pod", "10.244.1.9") for one in known)]
    return World(
        places={one.name: one for one in places},
        services={key(one): one for one in services},  # type: ignore[misc]
        pods={key(one): one for one in known},  # type: ignore[misc]
    )


def ways(there: World) -> list[str]:
    return [f"{check.sender} → {check.target}" for check in candidates(there)]


def test_names_that_stay_send() -> None:
    pods = [
        pod("web-abc-1", "ReplicaSet", "web-abc"),
        pod("web-abc-2", "ReplicaSet", "web-abc"),
        pod("rs-1", "ReplicaSet", "rs"),
        pod("box"),
        pod("db-0", "StatefulSet", "db"),
        pod("agent-x1", "DaemonSet", "agent"),
        pod("starts", conditions=[]),
        pod("coredns", space="kube-system"),
    ]
    assert ways(world(service("web"), pods=pods)) == [
        "deployment web → service web:80 by name",
        "pod box → service web:80 by name",
        "pod db-0 → service web:80 by name",
        "node worker001 → service web:80 by address",
        "node worker002 → service web:80 by address",
    ]


def test_clients_ask_for_what_is_outside() -> None:
    ports = [{"port": 80, "protocol": "TCP", "nodePort": 30080}]
    balanced = service("web", type="LoadBalancer", ports=ports)
    balanced["status"] = {"loadBalancer": {"ingress": [{"ip": "172.16.110.200"}]}}
    assert ways(world(balanced)) == [
        "node worker001 → service web:80 by address",
        "node worker002 → service web:80 by address",
        "client client → service web:80 at node worker001",
        "client client → service web:80 at node worker002",
        "client client → service web:80 by loadBalancer",
    ]


def test_what_every_cluster_has_is_left_to_it() -> None:
    own = [service("kubernetes"), service("kube-dns", "kube-system")]
    assert ways(world(*own, pods=[pod("box")])) == []


def test_headless_ones_have_no_address_for_a_node() -> None:
    assert ways(world(service("db", clusterIP="None"), pods=[pod("box")])) == [
        "pod box → service db:80 by name"
    ]


def test_a_local_service_is_not_asked_from_a_pod_that_may_be_anywhere() -> None:
    near = service("near", internalTrafficPolicy="Local")
    pods = [pod("web-abc-1", "ReplicaSet", "web-abc"), pod("box")]
    assert "deployment web → service near:80 by name" not in ways(world(near, pods=pods))
    assert "pod box → service near:80 by name" in ways(world(near, pods=pods))


def test_each_has_a_name_of_its_own() -> None:
    ports = [{"port": 53, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}]
    services = [service("web"), service("a-to-web"), service("dns", "tools", ports=ports)]
    pods = [pod("box"), pod("box", space="tools"), pod("box-to-a")]
    names = [check.name for check in candidates(world(*services, pods=pods))]
    assert len(set(names)) == len(names)
    assert {"box-to-tools-dns-53", "box-to-tools-dns-53-udp", "tools-box-to-web-80"} <= set(names)


def seen(check: PathCheck, journey: Journey, **fields: Any) -> CheckResult:
    outcome = fields.pop("outcome", "reachable")
    return CheckResult(check.name, "", "pass", outcome, journey=journey, **fields)


CHECK = PathCheck("x", Sender("pod", "box"), Target(service="web"))
DNAT = Rewrite("worker001", "10.96.0.7:80", "10.244.1.2:80")
SNAT = Rewrite("worker001", "10.244.1.9:40000", "10.10.11.20:1025")


def test_what_was_seen_is_expected() -> None:
    went = Journey(PROBE, "reachable", dnats=(DNAT,), seen_source="10.244.1.9")
    found = recorded(CHECK, seen(CHECK, went), world())
    assert found is not None
    assert found.expect == Expectation(
        "reachable", "all", source_seen="sender", dnat_at="sender", masquerade_at="none"
    )


def test_a_node_is_called_by_its_name() -> None:
    check = replace(CHECK, sender=Sender("client", "client"))
    went = Journey(PROBE, "reachable", dnats=(DNAT,), snats=(SNAT,), seen_source="10.10.11.20")
    found = recorded(check, seen(check, went), world())
    assert found is not None
    assert (found.expect.dnat_at, found.expect.masquerade_at) == ("worker001", "worker001")
    assert found.expect.source_seen == "node:worker001"


def test_who_may_reach_himself_is_masqueraded_by_chance() -> None:
    went = Journey(PROBE, "reachable", dnats=(DNAT,), seen_source="10.244.1.9")
    check = replace(CHECK, sender=Sender("deployment", "web"))
    places = {"10.244.1.2:80": "default/web-abc-1", "10.244.1.3:80": "default/web-abc-2"}
    found = recorded(check, seen(check, went, places=places), world())
    assert found is not None
    assert (found.expect.masquerade_at, found.expect.source_seen) == (None, None)


def test_where_not_all_answer_they_are_counted() -> None:
    went = Journey(PROBE, "reachable", dnats=(DNAT,), seen_source="10.244.1.9")
    result = replace(seen(CHECK, went, counts={"a": 3, "b": 4}), status="fail")
    found = recorded(CHECK, result, world())
    assert found is not None
    assert found.expect.endpoints == 2


@pytest.mark.parametrize("outcome", ["refused", "timeout"])
def test_what_does_not_answer_is_recorded_so(outcome: Any) -> None:
    found = recorded(CHECK, seen(CHECK, Journey(PROBE, outcome), outcome=outcome), world())
    assert found is not None
    assert found.expect == Expectation(outcome)


def test_what_no_check_can_say_is_left_out() -> None:
    there = world(service("web"), pods=[pod("box")])

    def run(checks: Sequence[PathCheck]) -> list[CheckResult]:
        return [CheckResult(c.name, "", "fail", reasons=("no name",)) for c in checks]

    found = record(there, run)
    assert found.checks == ()
    assert found.left_out[0] == "box-to-web-80: no name"
    assert len(found.left_out) == 3


def test_what_fails_by_chance_is_tried_again_before_it_says_less() -> None:
    there = world(service("web"), pods=[pod("box")])
    went = Journey(PROBE, "reachable", dnats=(DNAT,), seen_source="10.244.1.9")
    rounds: list[list[str]] = []

    def run(checks: Sequence[PathCheck]) -> list[CheckResult]:
        rounds.append([check.name for check in checks])
        status: Any = "fail" if len(rounds) == 2 else "pass"
        return [replace(seen(check, went), status=status) for check in checks]

    found = record(there, run)
    assert len(rounds) == 4
    assert [check.expect.masquerade_at for check in found.checks] == ["none"] * 3
    assert [check.name for check in found.checks] == rounds[0]


def test_what_never_passes_whole_says_less() -> None:
    there = world(service("web"), pods=[pod("box")])
    went = Journey(PROBE, "reachable", dnats=(DNAT,), seen_source="10.244.1.9")

    def run(checks: Sequence[PathCheck]) -> list[CheckResult]:
        def status(check: PathCheck) -> Any:
            return "pass" if check.expect.source_seen is None else "fail"

        return [replace(seen(check, went), status=status(check)) for check in checks]

    found = record(there, run)
    assert {check.expect.source_seen for check in found.checks} == {None}
    assert {check.expect.endpoints for check in found.checks} == {"all"}
