from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from netlab.objects.lab import lab_from_object
from netlab.objects.pathcheck import Expectation, PathCheck, Sender, Spread, Target
from netlab.pathcheck.protocols import ICMP
from netlab.pathcheck.resolve import candidates
from netlab.pathcheck.trial import CannotRun, NothingToAddress, Trial, plan
from netlab.pathcheck.world import World, world_of


def pod(name: str, ip: str, owner: str = "web-abc") -> dict[str, object]:
    reference = {"kind": "ReplicaSet", "name": owner, "controller": True}
    return {
        "metadata": {
            "namespace": "default",
            "name": name,
            "labels": {"pod-template-hash": "abc"},
            "ownerReferences": [reference],
        },
        "spec": {"nodeName": "worker001"},
        "status": {"podIPs": [{"ip": ip}], "conditions": [{"type": "Ready", "status": "True"}]},
    }


def service(name: str, ip: str, **spec: object) -> dict[str, object]:
    ports = [
        {"name": "http", "port": 80, "protocol": "TCP", "nodePort": 30080},
        {"name": "dns", "port": 53, "protocol": "UDP"},
    ]
    return {
        "metadata": {"namespace": "default", "name": name},
        "spec": {"clusterIP": ip, "ports": ports, **spec},
    }


def balanced(name: str, *ips: str, **spec: object) -> dict[str, object]:
    status = {"loadBalancer": {"ingress": [{"ip": ip} for ip in ips]}}
    return {**service(name, "10.96.0.9", type="LoadBalancer", **spec), "status": status}


def slice_(name: str, *endpoints: dict[str, object]) -> dict[str, object]:
    labels = {"kubernetes.io/service-name": name}
    return {
        "metadata": {"namespace": "default", "name": f"{name}-x", "labels": labels},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        "endpoints": list(endpoints),
    }


@pytest.fixture
def world() -> World:
    lab = lab_from_object(
        {"kind": "Lab", "metadata": {"name": "x"}, "spec": {"nodes": [{"name": "worker001"}]}}
    )
    endpoints = (
        {"addresses": ["10.244.0.5"]},
        {"addresses": ["10.244.0.6"], "conditions": {"ready": True}},
        {"addresses": ["10.244.0.9"], "conditions": {"ready": False}},
    )
    return world_of(
        lab,
        services=[
            service("web", "10.96.0.7"),
            service("none", "10.96.0.8"),
            service("headless", "None"),
            balanced("lb", "172.16.110.200"),
            balanced("pending"),
            service("sctp", "10.96.0.11", ports=[{"port": 9, "protocol": "SCTP"}]),
            balanced("unannounced", "172.16.110.201", externalTrafficPolicy="Local"),
            {
                "metadata": {"namespace": "kube-system", "name": "kube-dns"},
                "spec": {"clusterIP": "10.96.0.10"},
            },
        ],
        slices=[slice_(name, *endpoints) for name in ("web", "headless", "lb")],
        pods=[
            pod("web-0", "10.244.0.5"),
            pod("web-1", "10.244.0.6"),
            pod("box", "10.244.0.7", "b"),
        ],
        nodes=[
            {
                "metadata": {"name": "worker001"},
                "status": {"conditions": [{"type": "Ready", "status": "True"}]},
            }
        ],
        netns=lambda name: Path("/x") / name,
    )


def made(world: World, target: Target, sender: str = "pod box", **expect: object) -> Trial:
    kind, name = sender.split()
    return plan(
        PathCheck("it", Sender(kind, name), target, Expectation(**expect)),  # type: ignore[arg-type]
        world,
    )


def test_places_have_names_namespaces_and_addresses(world: World) -> None:
    assert {"internet", "worker001", "default/web-0"} < set(world.places)
    box = world.places["default/box"]
    assert (box.netns, box.addresses, box.node) == (
        Path("/x/default.box"),
        ("10.244.0.7",),
        "worker001",
    )
    assert "10.244.0.1" in world.places["worker001"].addresses


def test_the_internet_has_its_gateway_and_then_the_addresses_of_its_pages(world: World) -> None:
    gateway, *pages = world.places["internet"].addresses
    assert (gateway, world.owner("198.51.100.1")) == ("172.16.110.1", "internet")
    assert pages == ["198.51.100.1"]


def test_a_service_by_address_and_by_name(world: World) -> None:
    by_address = made(world, Target(service="web", port="http"), endpoints="all")
    assert (by_address.targets, by_address.name) == ((("10.96.0.7", 80),), "")
    assert by_address.wanted == {"10.244.0.5:8080", "10.244.0.6:8080"}
    assert by_address.tries() == 32
    by_name = made(world, Target(service="web", port=80, by="name"))
    assert (by_name.name, by_name.name_servers) == ("web", ("10.96.0.10",))


def test_a_name_in_another_namespace_is_asked_with_it(world: World) -> None:
    target = Target(service="kube-dns", namespace="kube-system", port=53, by="name")
    assert made(world, target).name == "kube-dns.kube-system"


def test_a_service_at_a_node(world: World) -> None:
    node = world.places["worker001"]
    inside = made(world, Target(service="web", node="worker001", port="http"))
    outside = made(
        world, Target(service="web", node="worker001", port="http", node_address="external")
    )
    assert inside.targets == ((node.addresses[0], 30080),)
    assert outside.targets == ((node.external[0], 30080),)
    by_number = made(world, Target(node="worker001", node_port=30080), endpoints="all")
    assert by_number.wanted == inside.endpoints.keys()  # type: ignore[union-attr]


def host_pod(name: str, ip: str, port: dict[str, object], **spec: object) -> dict[str, object]:
    made = pod(name, ip)
    containers = [{"name": "c", "ports": [{"containerPort": 8080, **port}]}]
    return {**made, "spec": {"nodeName": "worker001", "containers": containers, **spec}}


def test_a_host_port_leads_to_its_pod(world: World) -> None:
    node = world.places["worker001"]
    pods = [
        host_pod("any", "10.244.0.20", {"hostPort": 8088}),
        host_pod("udp", "10.244.0.21", {"hostPort": 8088, "protocol": "UDP"}),
        host_pod("there", "10.244.0.22", {"hostPort": 9000, "hostIP": node.addresses[0]}),
        host_pod("loopback", "10.244.0.23", {"hostPort": 9000, "hostIP": "127.0.0.1"}),
        host_pod("own", node.addresses[0], {"hostPort": 8080}, hostNetwork=True),
        host_pod("elsewhere", "10.244.1.24", {"hostPort": 8088}, nodeName="worker002"),
    ]
    world = replace(world, pods={f"default/{each['metadata']['name']}": each for each in pods})

    def led(number: int, protocol: str = "TCP", address: str = "internal") -> set[str]:
        target = Target(node="worker001", host_port=number, protocol=protocol, node_address=address)
        trial = made(world, target, endpoints="all")
        assert [port for _, port in trial.targets] == [number]
        assert trial.wanted in (None, frozenset(trial.endpoints or ()))
        return set(trial.endpoints or ())

    assert led(8088) == led(8088, address="external") == {"10.244.0.20:8080"}
    assert led(8088, "UDP") == {"10.244.0.21:8080"}
    assert led(9000) == {"10.244.0.22:8080"}
    assert led(9000, address="external") == set()
    assert led(8080) == {f"{node.addresses[0]}:8080"}
    assert led(1) == set()


def test_a_headless_service_is_each_of_its_endpoints(world: World) -> None:
    trial = made(world, Target(service="headless", port="http"), endpoints="all")
    assert set(trial.targets) == {("10.244.0.5", 8080), ("10.244.0.6", 8080)}


def test_endpoints_by_pod_deployment_and_address(world: World) -> None:
    target = Target(service="web", port="http")
    both = {"10.244.0.5:8080", "10.244.0.6:8080"}
    assert made(world, target, endpoints=("web-0",)).wanted == {"10.244.0.5:8080"}
    assert made(world, target, endpoints=("web",)).wanted == both
    assert made(world, target, endpoints=("10.244.0.6",)).wanted == {"10.244.0.6:8080"}
    assert made(world, target, endpoints=("box",)).wanted == {"10.244.0.7:8080"}


def test_tries_follow_the_spread_until_chance_is_ruled_out(world: World) -> None:
    target = Target(service="web", port="http")
    trial = made(world, target, endpoints="all", spread=Spread(40, 15))
    assert trial.tries() == 40
    assert trial.most_tries() > 70
    assert made(world, target, outcome="refused").tries() == 1


def test_a_deployment_sends_from_a_ready_pod_and_its_node_is_meant(world: World) -> None:
    trial = made(world, Target(address="1.1.1.1", port=80), sender="deployment web")
    assert trial.place.name == "default/web-0"
    assert trial.node_of("sender") == "worker001"


@pytest.mark.parametrize(
    ("target", "sender", "words"),
    [
        (Target(service="nope"), "pod box", "there is no Service default/nope"),
        (Target(service="web"), "pod box", "has 2 ports"),
        (Target(service="web", port="x"), "pod box", "has no TCP port x"),
        (Target(service="sctp", protocol="UDP"), "pod box", "sctp has no UDP port"),
        (Target(service="web", node="worker009", port=80), "pod box", "no running node worker009"),
        (Target(pod="gone", port=80), "pod box", "no running pod default/gone"),
        (Target(address="1.1.1.1", port=80), "client nobody", "no running client nobody"),
        (Target(address="1.1.1.1", port=80), "deployment none", "has no ready pod"),
    ],
)
def test_what_is_not_there_cannot_run(
    world: World, target: Target, sender: str, words: str
) -> None:
    if target.service == "web" and target.port is None:
        world.services["default/web"]["spec"]["ports"][1]["protocol"] = "SCTP"
        world.services["default/web"]["spec"]["ports"][0]["protocol"] = "SCTP"
    with pytest.raises(CannotRun, match=words):
        made(world, target, sender)


def test_a_mistyped_pod_is_told_which_is_meant(world: World) -> None:
    with pytest.raises(CannotRun) as caught:
        made(world, Target(pod="bxo", port=80), "pod box")
    assert caught.value.hint == "did you mean default/box?"


@pytest.mark.parametrize(
    ("target", "address"),
    [
        (Target(pod="web-0", protocol="ICMP"), "10.244.0.5"),
        (Target(node="worker001", protocol="ICMP"), "10.10.11.10"),
        (Target(address="1.1.1.1", protocol="ICMP"), "1.1.1.1"),
        (Target(service="web", protocol="ICMP"), "10.96.0.7"),
        (Target(service="lb", by="loadBalancer", protocol="ICMP"), "172.16.110.200"),
        (Target(service="headless", protocol="ICMP"), "10.244.0.5"),
    ],
)
def test_an_echo_request_has_no_port(world: World, target: Target, address: str) -> None:
    trial = made(world, target)
    assert trial.protocol is ICMP
    assert trial.targets[0] == (address, 0)


def test_a_headless_service_s_pods_are_its_endpoints_by_any_protocol(world: World) -> None:
    trial = made(world, Target(service="headless", protocol="ICMP"), endpoints="all")
    assert trial.wanted == {"10.244.0.5", "10.244.0.6"}


def test_all_of_no_endpoints_is_tried_and_whoever_answers_is_a_stranger(world: World) -> None:
    trial = made(world, Target(service="none", port="http"), endpoints="all")
    assert (trial.targets, trial.wanted) == ((("10.96.0.8", 80),), frozenset())
    assert trial.tries() == 1


def test_a_headless_service_without_endpoints_has_failed(world: World) -> None:
    world = replace(world, slices=())
    with pytest.raises(NothingToAddress, match="no ready endpoint to address"):
        made(world, Target(service="headless", port="http"))
    trial = made(world, Target(service="headless", port="http", by="name"))
    assert (trial.name, trial.endpoints) == ("headless", {})


def test_search_domains_in_order() -> None:
    assert candidates("web", "a", "c.local") == [
        "web.a.svc.c.local",
        "web.svc.c.local",
        "web.c.local",
        "web",
    ]
    assert candidates("a.b.c.d.e.f", "a", "c.local")[0] == "a.b.c.d.e.f"
    assert candidates("x.y.", "a", "c.local") == ["x.y"]


def test_a_load_balancer_is_asked_at_its_address_and_a_node_announces_it(world: World) -> None:
    target = Target(service="lb", port="http", by="loadBalancer")
    trial = made(world, target, "client client", endpoints="all", dnat_at="announcer")
    assert trial.targets == (("172.16.110.200", 80),)
    assert trial.wanted == {"10.244.0.5:8080", "10.244.0.6:8080"}
    assert (trial.node_of("announcer"), trial.node_of("sender")) == ("worker001", "client")


def test_what_has_no_address_or_no_announcer_cannot_be_checked(world: World) -> None:
    for name in ("pending", "web"):
        with pytest.raises(CannotRun, match="has no load balancer's address"):
            made(world, Target(service=name, port="http", by="loadBalancer"))
    target = Target(service="unannounced", port="http", by="loadBalancer")
    assert made(world, target, outcome="timeout").announcer == ""
    with pytest.raises(CannotRun, match="no node answers for "):
        made(world, target, masquerade_at="announcer")
