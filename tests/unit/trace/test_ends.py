"""The words of a command line → who sends, and to whom."""

from __future__ import annotations

from pathlib import Path

import pytest

from netlab.errors import UsageError
from netlab.objects.pathcheck import Sender, Target
from netlab.objects.types import Service
from netlab.pathcheck.world import Place, World
from netlab.trace.ends import check_of, check_of_service

WORLD = World(
    places={
        "n1": Place("n1", "node", Path("n1"), ("10.0.0.1",)),
        "laptop": Place("laptop", "client", Path("l"), ("172.16.0.9",)),
        "default/box": Place("default/box", "pod", Path("b"), ("10.244.1.2",), node="n1"),
        "town/box": Place("town/box", "pod", Path("t"), ("10.244.1.3",), node="n1"),
        "town/till": Place("town/till", "pod", Path("i"), ("10.244.1.4",), node="n1"),
    },
    pods={
        "default/box": {  # type: ignore[dict-item]
            "spec": {
                "containers": [
                    {
                        "ports": [
                            {"containerPort": 8080},
                            {"containerPort": 53, "protocol": "UDP"},
                            {"containerPort": 9090, "protocol": "TCP"},
                        ]
                    }
                ]
            }
        }
    },
    services={"default/web": {"metadata": {"name": "web"}}, "town/web": {}},
)


def ends(sender: str, target: str, namespace: str = "default") -> tuple[Sender, Target]:
    check = check_of(sender, target, WORLD, namespace=namespace, protocol="TCP")
    return check.sender, check.target


@pytest.mark.parametrize(
    ("word", "namespace", "sender"),
    [
        ("box", "default", Sender("pod", "box", "default")),
        ("box", "town", Sender("pod", "box", "town")),
        ("town/box", "default", Sender("pod", "box", "town")),
        ("pod/box", "town", Sender("pod", "box", "town")),
        ("pod/town/box", "default", Sender("pod", "box", "town")),
        ("deploy/town/web", "default", Sender("deployment", "web", "town")),
        ("deploy/web", "town", Sender("deployment", "web", "town")),
        ("n1", "default", Sender("node", "n1")),
        ("node/n1", "default", Sender("node", "n1")),
        ("laptop", "default", Sender("client", "laptop")),
        ("10.244.1.3", "default", Sender("pod", "box", "town")),
        ("10.0.0.1", "default", Sender("node", "n1")),
        ("172.16.0.9", "default", Sender("client", "laptop")),
    ],
)
def test_senders(word: str, namespace: str, sender: Sender) -> None:
    assert ends(word, "svc/web", namespace)[0] == sender


@pytest.mark.parametrize(
    ("word", "target"),
    [
        ("svc/web:80", Target(service="web", port=80)),
        ("service/web:http", Target(service="web", port="http")),
        ("svc/web", Target(service="web")),
        ("web:80", Target(service="web", port=80, by="name")),
        ("web.town:80", Target(service="web", namespace="town", port=80, by="name")),
        ("web.town.svc.cluster.local", Target(service="web", namespace="town", by="name")),
        ("svc/town/web:80", Target(service="web", namespace="town", port=80)),
        ("svc/web.town:http", Target(service="web", namespace="town", port="http")),
        ("svc/web.town.svc.cluster.local", Target(service="web", namespace="town")),
        ("pod/town/box:80", Target(pod="box", namespace="town", port=80)),
        ("pod/box:8080", Target(pod="box", port=8080)),
        ("node/n1:30080", Target(node="n1", node_port=30080)),
        ("10.96.0.10:53", Target(address="10.96.0.10", port=53)),
        ("[fd00::1]:53", Target(address="fd00::1", port=53)),
        ("example.com:443", Target(address="example.com", port=443)),
    ],
)
def test_targets(word: str, target: Target) -> None:
    assert ends("box", word)[1] == target


@pytest.mark.parametrize(
    ("word", "said", "example"),
    [
        ("pod/box", "; its pod names 8080, 9090", "pod/box:8080"),
        ("10.244.1.2", "; its pod names 8080, 9090", "10.244.1.2:8080"),
        ("10.96.0.10", "", "10.96.0.10:80"),
        ("fd00::1", "", "[fd00::1]:80"),
        ("example.com", "", "example.com:80"),
        ("node/n1", "", "node/n1:80"),
    ],
)
def test_a_port_is_asked_for_where_nobody_has_one_alone(word: str, said: str, example: str) -> None:
    with pytest.raises(UsageError) as caught:
        ends("box", word)
    assert caught.value.message == f"{word} is asked by TCP on which port?{said}"
    assert str(caught.value.hint).startswith(f"{example}, or --icmp")
    whole = {"namespace": "default", "protocol": "ICMP"}
    check_of("box", word, WORLD, **whole)  # type: ignore[arg-type]
    check_of("box", word, WORLD, namespace="default", protocol="TCP", with_port=False)


def test_a_pod_that_there_is_not_is_asked_for_no_port() -> None:
    assert ends("box", "pod/none")[1] == Target(pod="none")


def test_who_is_outside_asks_for_nodes_as_they_are_seen_there() -> None:
    assert ends("laptop", "node/n1:30080")[1].node_address == "external"
    assert ends("laptop", "web:80")[1] == Target(address="web", port=80)


def test_an_external_name_is_asked_by_a_port_that_is_said() -> None:
    spec = {"type": "ExternalName", "externalName": "db.example.org"}
    named = {"name": "db", "namespace": "default"}
    service: Service = {"metadata": named, "spec": spec}  # type: ignore[typeddict-item]
    assert check_of_service("box", service, "5432", WORLD).target.port == 5432
    with pytest.raises(UsageError, match="db is another name for"):
        check_of_service("box", service, "", WORLD)


@pytest.mark.parametrize(
    "target", ["svc/web:65536", "web:99999", "10.96.0.10:99999", "pod/box:70000", "node/n1:70000"]
)
def test_a_number_that_no_port_has(target: str) -> None:
    with pytest.raises(UsageError, match="is no port"):
        ends("box", target)


def test_words_that_mean_nothing() -> None:
    with pytest.raises(UsageError, match="there is no pod, node or client bax") as raised:
        ends("bax", "svc/web")
    assert raised.value.hint == "did you mean box?"
    with pytest.raises(UsageError, match="there is no pod, node or client till") as raised:
        ends("till", "svc/web")
    assert raised.value.hint == "one is in namespace town: town/till"
    with pytest.raises(UsageError, match="nobody knows what thing/web is"):
        ends("box", "thing/web")


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("svc/:80", "svc/:80 has no name"),
        ("pod/:80", "pod/:80 has no name"),
        ("lb/", "lb/ has no name"),
        ("svc/web:0", "0 is no port"),
        ("svc/web:65536", "65536 is no port"),
        ("0.0.0.0:80", "0.0.0.0 is no one machine's"),
        ("[::]:80", ":: is no one machine's"),
        ("224.0.0.1:80", "224.0.0.1 is no one machine's"),
        ("[ff02::1]:80", "ff02::1 is no one machine's"),
        ("255.255.255.255:80", "255.255.255.255 is no one machine's"),
    ],
)
def test_nobody_is_no_end(word: str, said: str) -> None:
    with pytest.raises(UsageError) as refusal:
        ends("box", word)
    assert refusal.value.message == said
    assert refusal.value.hint
