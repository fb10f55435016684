"""Events of connection tracking → connections of the lab, each once."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from netlab.conntrack import NewConnection, Tuple
from netlab.errors import UsageError
from netlab.objects.types import Pod, Service
from netlab.pathcheck.world import Place, World
from netlab.traffic.chosen import chosen
from netlab.traffic.directory import Directory
from netlab.traffic.opening import End, Opening
from netlab.traffic.reading import connections, is_known

NOWHERE = Path("/nowhere")


def service(**spec: object) -> Service:
    found = {"metadata": {"name": "x", "namespace": "default"}, "spec": spec}
    return cast(Service, found)


def place(name: str, role: str, *addresses: str, node: str = "") -> Place:
    return Place(name, role, NOWHERE, addresses, node=node)  # type: ignore[arg-type]


PLACES = [
    place("one", "node", "10.0.0.1", "172.16.0.1", "10.244.1.1", "fd00::1"),
    place("two", "node", "10.0.0.2", "172.16.0.2", "10.244.2.1", "fd00::2"),
    place("client", "client", "172.16.0.100"),
    place("default/box", "pod", "10.244.1.9", "fd44:1::9", node="one"),
    place("default/web", "pod", "10.244.2.5", "fd44:2::5", node="two"),
]
SERVICES = {
    "default/web": service(
        clusterIP="10.96.0.7",
        clusterIPs=["10.96.0.7", "fd96::7"],
        type="NodePort",
        externalIPs=["192.0.2.7"],
        ports=[{"name": "http", "port": 80, "nodePort": 30080}, {"name": "alt", "port": 81}],
    ),
    "default/names": service(clusterIP="10.96.0.10", ports=[{"port": 53, "protocol": "UDP"}]),
    "default/headless": service(clusterIP="None", ports=[{"port": 80}]),
}
PODS = {
    "default/host": cast(Pod, {"spec": {"hostNetwork": True, "nodeName": "one"}}),
    "default/late": cast(Pod, {"spec": {}}),
    "default/dark": cast(
        Pod, {"spec": {"nodeName": "off"}, "status": {"podIPs": [{"ip": "10.244.3.7"}]}}
    ),
    "default/done": cast(
        Pod, {"status": {"phase": "Succeeded", "podIPs": [{"ip": "10.244.3.8"}]}, "spec": {}}
    ),
    "default/web": cast(
        Pod,
        {
            "spec": {
                "nodeName": "two",
                "containers": [{"name": "web", "ports": [{"containerPort": 80, "hostPort": 8088}]}],
            }
        },
    ),
}
WORLD = World({one.name: one for one in PLACES}, SERVICES, pods=PODS)
DIRECTORY = Directory(WORLD)


def event(there: str, back: str, protocol: str = "tcp") -> NewConnection:
    """`10.244.1.9 1000 10.96.0.7 80` and the same of the reply."""

    def way(text: str) -> Tuple:
        source, sport, destination, dport = text.split()
        return Tuple(source, int(sport), destination, int(dport))

    return NewConnection(1.0, protocol, way(there), way(back))


VIRTUAL = event("10.244.1.9 1000 10.96.0.7 80", "10.244.2.5 8080 10.244.1.9 1000")
NODE_PORT = event("172.16.0.100 1000 172.16.0.1 30080", "10.244.2.5 8080 10.0.0.1 7777")


def read(*told: tuple[str, NewConnection]) -> list[Opening]:
    return list(connections(told, DIRECTORY))


def test_a_service_of_a_pod() -> None:
    (found,) = read(("one", VIRTUAL))
    assert found.client == End("default/box", "10.244.1.9", 1000)
    assert found.virtual is not None
    assert (found.service, found.virtual.port, found.virtual.kind) == (
        "default/web", "http", "clusterIP"
    )  # fmt: skip
    assert found.endpoint == End("default/web", "10.244.2.5", 8080)
    assert found.became is None


def test_masquerading_is_told_with_the_address() -> None:
    (found,) = read(("one", NODE_PORT))
    assert found.virtual is not None
    assert found.virtual.kind == "nodePort"
    assert found.became == End("one", "10.0.0.1", 7777)


def test_a_port_that_gave_way_is_no_masquerade() -> None:
    event_ = event("10.244.1.9 1000 10.96.0.7 80", "10.244.2.5 8080 10.244.1.9 1024")
    (found,) = read(("one", event_))
    assert found.became is None


@pytest.mark.parametrize(
    ("there", "kind"),
    [
        ("10.244.1.9 1 192.0.2.7 80", "externalIP"),
        ("127.0.0.1 1 127.0.0.1 30080", "nodePort"),
        ("fd44:1::9 1 fd96::7 80", "clusterIP"),
        ("fd44:1::9 1 fd00::2 30080", "nodePort"),
    ],
)
def test_every_address_of_a_service(there: str, kind: str) -> None:
    ends = "fd44:2::5 8080 fd44:1::9 1" if ":" in there else "10.244.2.5 8080 10.244.1.9 1"
    (found,) = read(("one", event(there, ends)))
    assert found.virtual is not None
    assert found.virtual.kind == kind


@pytest.mark.parametrize(
    "there", ["10.244.1.9 1 192.0.2.8 80", "10.244.1.9 1 192.0.2.7 30080", "10.244.1.9 1 8.8.8.8 1"]
)
def test_what_is_no_services(there: str) -> None:
    (found,) = read(("one", event(there, "10.244.2.5 8080 10.244.1.9 1")))
    assert found.virtual is None
    assert not is_known(("one", event(there, "10.244.2.5 8080 10.244.1.9 1")), DIRECTORY)


def test_a_pod_on_a_node_that_is_off_has_its_name() -> None:
    for address, name in (("10.244.3.7", "default/dark"), ("10.244.3.8", "")):
        new = event("10.244.1.9 1000 10.96.0.7 80", f"{address} 8080 10.244.1.9 1000")
        (found,) = read(("one", new))
        assert found.endpoint.name == name
        assert is_known(("one", new), DIRECTORY) == bool(name)


def test_protocols_have_ports_of_their_own() -> None:
    asked = "10.244.1.9 1000 10.96.0.10 53", "10.244.2.5 53 10.244.1.9 1000"
    assert read(("one", event(*asked, "udp")))[0].service == "default/names"
    assert read(("one", event(*asked, "tcp")))[0].service == ""


PLAIN = event("10.244.1.9 1000 10.244.2.5 8080", "10.244.2.5 8080 10.244.1.9 1000")
HANDED_ON = event("10.0.0.1 7777 10.244.2.5 8080", "10.244.2.5 8080 10.0.0.1 7777")
FROM_OUTSIDE = event("172.16.0.100 9 10.244.2.5 8080", "10.244.2.5 8080 172.16.0.100 9")


@pytest.mark.parametrize(
    ("told", "number"),
    [
        ((("one", PLAIN), ("two", PLAIN)), 1),
        ((("one", NODE_PORT), ("two", HANDED_ON)), 1),
        ((("one", VIRTUAL), ("two", PLAIN)), 1),
        ((("two", FROM_OUTSIDE),), 1),
        ((("two", PLAIN),), 0),
    ],
)
def test_each_is_told_once(told: tuple[tuple[str, NewConnection], ...], number: int) -> None:
    assert len(read(*told)) == number


def test_an_echo_is_plain() -> None:
    echo = event("10.244.1.9 77 10.244.2.5 0", "10.244.2.5 77 10.244.1.9 0", "icmp")
    assert len(read(("one", echo), ("two", echo))) == 1


def test_what_is_not_known_yet() -> None:
    assert is_known(("one", VIRTUAL), DIRECTORY)
    assert is_known(("one", PLAIN), DIRECTORY)
    new_end = event("10.244.1.9 1000 10.96.0.7 80", "10.244.2.6 8080 10.244.1.9 1000")
    new_service = event("10.244.1.9 1000 10.96.0.8 80", "10.244.2.5 8080 10.244.1.9 1000")
    assert not is_known(("one", new_end), DIRECTORY)
    assert not is_known(("one", new_service), DIRECTORY)


def test_a_host_port_is_known_and_no_services() -> None:
    def asked(address: str) -> NewConnection:
        return event(f"172.16.0.100 1 {address} 8088", "10.244.2.5 80 172.16.0.100 1")

    assert is_known(("two", asked("172.16.0.2")), DIRECTORY)
    assert not is_known(("one", asked("172.16.0.1")), DIRECTORY), "it is another node's"
    (found,) = read(("two", asked("172.16.0.2")))
    assert (found.virtual, found.to.name, found.endpoint.name) == (None, "two", "default/web")
    assert has("pod/web", ("two", asked("172.16.0.2"))) == [True]
    assert has("", ("two", asked("172.16.0.2"))) == [False]


def has(word: str, *told: tuple[str, NewConnection]) -> list[bool]:
    wanted = chosen(word, WORLD, "default")
    return [wanted.has(one) for one in read(*told)]


OTHER_PORT = event("10.244.1.9 1000 10.96.0.7 81", "10.244.2.5 8081 10.244.1.9 1000")


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("", [True, True, True, False]),
        ("svc/web", [True, True, True, False]),
        ("web:http", [True, True, False, False]),
        ("svc/web:81", [False, False, True, False]),
        ("svc/names", [False, False, False, False]),
        ("pod/web", [True, True, True, True]),
        ("pod/box", [True, False, True, True]),
        ("box", [True, False, True, True]),
        ("client", [False, True, False, False]),
        ("node/one", [True, True, True, False]),
        ("node/two", [False, False, False, False]),
    ],
)
def test_who_is_meant(word: str, expected: list[bool]) -> None:
    told = [("one", each) for each in (VIRTUAL, NODE_PORT, OTHER_PORT, PLAIN)]
    assert has(word, *told) == expected


def test_only_whose_connections_are_plain_too_hears_all() -> None:
    heard = {
        word: chosen(word, WORLD, "default") for word in ("", "svc/web", "pod/box", "node/one")
    }
    assert [each.translated for each in heard.values()] == [True, True, False, True]
    assert heard["node/one"].node == "one"


@pytest.mark.parametrize(
    ("word", "said", "hint"),
    [
        ("svc/wbe", "no Service default/wbe", "svc/web"),
        ("svc/web:82", "has no port 82", "80, 81"),
        ("svc/headless", "has no address", "watch pod/NAME"),
        ("pod/bax", "there is no pod/bax", "did you mean box?"),
        ("node/box", "there is no node/box", ""),
        ("clinet", "there is no clinet", "client"),
        ("pod/host", "on its node's network", "node/one"),
        ("late", "has no address", "netlab get pods"),
    ],
)
def test_what_there_is_not(word: str, said: str, hint: str) -> None:
    with pytest.raises(UsageError, match=said) as refused:
        chosen(word, WORLD, "default")
    assert hint in (refused.value.hint or "")
