"""From a check that did not pass to the cause in the lab's objects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from netlab.diagnosis.facts import Facts, ListeningSocket
from netlab.objects.pathcheck import Expectation, PathCheck, Sender, Target
from netlab.pathcheck.packets import ProbePacket
from netlab.pathcheck.path import Journey
from netlab.pathcheck.result import CheckResult
from netlab.pathcheck.why import explained
from netlab.pathcheck.world import Place, World

Object = dict[str, Any]
READY = [{"type": "Ready", "status": "True"}]
IP = "10.244.1.3"
CLIENT = "172.16.110.100"


def pod(name: str, *, ready: bool = True, space: str = "default") -> Object:
    crash = {"waiting": {"reason": "CrashLoopBackOff"}}
    ended = {"terminated": {"exitCode": 3}}
    return {
        "metadata": {"name": name, "namespace": space, "uid": name, "labels": {"app": name}},
        "spec": {"nodeName": "w1", "containers": [{"name": "c", "ports": [{"containerPort": 80}]}]},
        "status": {
            "podIPs": [{"ip": IP}],
            "conditions": READY if ready else [],
            "containerStatuses": []
            if ready
            else [{"name": "c", "state": crash, "lastState": ended}],
        },
    }


def service(name: str = "web", space: str = "default", **spec: Any) -> Object:
    ports = [{"port": 80, "targetPort": 8080, "nodePort": 30080, "protocol": "TCP"}]
    spec = {"clusterIPs": ["10.96.0.7"], "selector": {"app": "web"}, "ports": ports, **spec}
    return {"metadata": {"name": name, "namespace": space, "uid": name}, "spec": spec}


def slice_(name: str = "web") -> Object:
    labels = {"kubernetes.io/service-name": name}
    return {
        "metadata": {"name": name, "namespace": "default", "labels": labels},
        "addressType": "IPv4",
        "ports": [{"port": 8080}],
        "endpoints": [{"addresses": [IP], "nodeName": "w1"}],
    }


def node(name: str) -> Object:
    return {"metadata": {"name": name}, "status": {"conditions": READY}}


BOX = Place("default/box", "pod", Path("/x"), ("10.244.2.2",), node="w2")
SENDER = Sender("pod", "box")
ANYTHING = Expectation()
KUBE_DNS = service("kube-dns", "kube-system", selector={"app": "dns"})


def worlds(*services: Object, pods: Any = (), **facts: Any) -> tuple[World, Facts]:
    pods = pods or [pod("web")]
    nodes = [node("w1"), node("w2")]
    facts = {"slices": (slice_(),), **facts}
    known = Facts(pods=pods, nodes=nodes, services=services, **facts)
    world = World(
        places={"default/box": BOX, "default/web": replace(BOX, name="default/web")},
        services={f"{one['metadata']['namespace']}/{one['metadata']['name']}": one
                  for one in services},
        slices=facts["slices"],
        pods={f"{one['metadata']['namespace']}/{one['metadata']['name']}": one for one in pods},
        nodes=tuple(nodes),
    )  # fmt: skip
    return world, known


def why(
    target: Target,
    world: tuple[World, Facts],
    *,
    status: Any = "fail",
    outcome: str = "refused",
    sender: Sender = SENDER,
    expect: Expectation = ANYTHING,
    **result: Any,
) -> list[str]:
    check = PathCheck("c", sender, target, expect)
    result = {"journey": journey(outcome), "name_found": "web", **result}
    done = CheckResult("c", "c", status, outcome, **result)
    return [str(cause) for cause in explained(check, done, *world).causes]


def journey(outcome: Any, delivered: str | None = None, **probe: Any) -> Journey:
    sent = ProbePacket(**{"key": 1, "proto": "tcp", "src": CLIENT, "sport": 4000,
                    "dst": "10.96.0.7", "dport": 80, "ip_id": 1, **probe})  # fmt: skip
    place = "default/web" if delivered else None
    return Journey(sent, outcome, delivered=delivered, delivered_at=place)


WBE = "selector app=wbe matches no pod (nearest: app=web)"
LOCAL = {"type": "NodePort", "externalTrafficPolicy": "Local"}


@pytest.mark.parametrize(
    "target",
    [
        Target(service="web"),
        Target(service="web", by="name"),
        Target(node="w2", node_port=30080),
        Target(address="10.96.0.7", port=80),
    ],
)
def test_the_service_is_found_whatever_it_is_addressed_by(target: Target) -> None:
    assert why(target, worlds(service(selector={"app": "wbe"}), slices=())) == [WBE]


def test_a_check_that_passed_has_no_cause() -> None:
    assert why(Target(service="web"), worlds(service(selector={"app": "x"})), status="pass") == []


def test_who_refused_is_named_once() -> None:
    at = journey("refused", f"{IP}:8080")
    heard = worlds(service(), listeners=lambda _: [ListeningSocket("TCP", 80)])
    refused, ports = f"connection refused by {IP}", "the container's ports: 80"
    said = f"{refused}: nothing listens on 8080 (but on 80); {ports}"
    assert why(Target(service="web"), heard, journey=at) == [said]
    assert why(Target(pod="web", port=8080), heard, journey=at) == [said]
    said = f"{refused}: pod web does not take it on 8080; {ports}"
    assert why(Target(pod="web", port=8080), worlds(), journey=at) == [said]


def test_policies_count_at_the_node_that_is_asked() -> None:
    world = worlds(service(**LOCAL))
    at = "externalTrafficPolicy: Local, and no endpoint on w2 (endpoints are on w1)"
    client = Sender("client", "client")
    asked = {"outcome": "timeout", "sender": client}
    assert why(Target(service="web", node="w2"), world, **asked) == [at]
    assert why(Target(service="web", node="w1"), world, **asked) == []
    inside = worlds(service(internalTrafficPolicy="Local"))
    at = "internalTrafficPolicy: Local, and no endpoint on w2 (endpoints are on w1)"
    assert why(Target(service="web"), inside, outcome="timeout") == [at]


def test_a_load_balancer_lets_in_whom_it_says() -> None:
    ranges = service(type="LoadBalancer", loadBalancerSourceRanges=["10.0.0.0/8"])
    ranges["status"] = {"loadBalancer": {"ingress": [{"ip": "172.16.110.200"}]}}
    said = [f"loadBalancerSourceRanges 10.0.0.0/8 leave {CLIENT} out"]
    by_name = Target(service="web", by="loadBalancer")
    by_address = Target(address="172.16.110.200", port=80)
    for target in (by_name, by_address):
        assert why(target, worlds(ranges), outcome="timeout") == said
    assert why(Target(service="web"), worlds(ranges), outcome="timeout") == []


def test_ports_that_are_not_there() -> None:
    said = ["the Service has no port 8080/TCP (there are: 80/TCP)"]
    assert why(Target(service="web", port=8080), worlds(service())) == said
    said = ["the Service has no port http/TCP (there are: 80/TCP)"]
    assert why(Target(service="web", port="http"), worlds(service()), status="error") == said
    said = ["no Service has the nodePort 30081/TCP (nearest: 30080 of default/web)"]
    assert why(Target(node="w1", node_port=30081), worlds(service())) == said


def test_a_port_of_another_name_is_not_missed() -> None:
    alias = service(type="ExternalName", externalName="db.example.org", ports=[])
    assert why(Target(service="web", port=5432), worlds(alias)) == []


def test_a_host_port_that_no_pod_has() -> None:
    target = Target(node="w1", host_port=81)
    said = ["no pod on w1 has the hostPort 81/TCP (none there has any)"]
    assert why(target, worlds()) == said


def test_services_that_are_not_there() -> None:
    asked = {"status": "error", "outcome": "", "journey": None}
    world = worlds(service("web", "shop"), service("mail"))
    said = "no Service web in namespace default (one is in namespace shop)"
    assert why(Target(service="web"), world, **asked) == [said]
    said = "no Service mial in namespace default (nearest: mail)"
    assert why(Target(service="mial"), world, **asked) == [said]
    assert why(Target(service="xyz"), world, **asked) == []


def test_addresses_of_the_cluster_asked_from_outside() -> None:
    asked = {"outcome": "timeout", "sender": Sender("client", "client")}
    ways = "are the cluster's own; from outside take a nodePort or a load balancer"
    world = worlds(service(externalIPs=["192.0.2.9"]))
    assert why(Target(service="web"), world, **asked) == [f"ClusterIPs {ways}"]
    assert why(Target(pod="web", port=80), world, **asked) == [f"pods' addresses {ways}"]
    said = ["externalIPs: no node has 192.0.2.9, so nothing leads there"]
    assert why(Target(address="192.0.2.9", port=80), world, **asked) == said
    assert why(Target(address="192.0.2.9", port=80), world, outcome="timeout") == []


@pytest.mark.parametrize(
    "target",
    [Target(service="web", protocol="ICMP"), Target(address="10.96.0.7", protocol="ICMP")],
)
def test_a_cluster_ip_answers_no_ping(target: Target) -> None:
    said = (
        "ClusterIPs answer no ping: no interface has them, and kube-proxy's rules are for the "
        "Service's ports alone (80/TCP)"
    )
    assert why(target, worlds(service()), outcome="timeout") == [said]


def test_a_pod_that_is_published_though_not_ready() -> None:
    world = worlds(service(publishNotReadyAddresses=True), pods=[pod("web", ready=False)])
    [line] = why(Target(service="web"), world, journey=journey("refused", f"{IP}:8080"))
    assert line.endswith("; it is published though not ready: CrashLoopBackOff: exit code 3")


def test_a_name_that_nobody_answers() -> None:
    world = worlds(service(), KUBE_DNS)
    target = Target(service="web", by="name")
    lost = why(target, world, outcome="", name_found="", journey=None)
    assert lost == ["kube-system/kube-dns: selector app=dns matches no pod "
                    "(namespace kube-system has no pod)"]  # fmt: skip


def test_a_sender_that_does_not_run() -> None:
    pods = [pod("web"), pod("ill", ready=False)]
    world = worlds(service(), pods=pods)
    asked = {"status": "error", "outcome": "", "journey": None}
    said = ["pod ill is not ready: CrashLoopBackOff: exit code 3"]
    assert why(Target(service="web"), world, sender=Sender("pod", "ill"), **asked) == said
    assert why(Target(pod="ill", port=80), world, **asked) == said


def test_endpoints_that_are_missed_though_others_answer() -> None:
    pods = [pod("web"), pod("late", ready=False)]
    pods[1]["metadata"]["labels"] = {"app": "web"}
    sticky = service(sessionAffinity="ClientIP")
    asked: dict[str, Any] = {"outcome": "reachable", "counts": {IP: 9}}
    missed = why(
        Target(service="web"), worlds(sticky, pods=pods), expect=Expectation(endpoints=2), **asked
    )
    assert missed == [
        "1 of 2 pods that match, not ready: CrashLoopBackOff: exit code 3",
        "sessionAffinity: ClientIP keeps a client at one endpoint for 10800 s",
    ]
    assert why(Target(service="web"), worlds(sticky, pods=pods), **asked) == []


def test_where_rules_of_before_sent_it_says_nothing_of_the_service_s_port() -> None:
    """Somebody has mended the targetPort, and a node's rules do not have it yet."""
    at = journey("refused", f"{IP}:8081")
    heard = worlds(service(), listeners=lambda _: [ListeningSocket("TCP", 8080)])
    assert why(Target(service="web"), heard, journey=at) == []
    assert len(why(Target(pod="web", port=8081), heard, journey=at)) == 1
