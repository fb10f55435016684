from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netlab import manifest
from netlab.objects.pathcheck import (
    WITHOUT_PORTS,
    Expectation,
    Protocol,
    Sender,
    Spread,
    Target,
    check_from_object,
    object_of,
)
from netlab.objects.validate_pathcheck import check_problems, places
from netlab.pathcheck.protocols import PROTOCOLS

ICMP = {"protocol": "ICMP"}


def check(from_, to, **expect):
    return {
        "kind": "PathCheck",
        "metadata": {"name": "x"},
        "spec": {"from": from_, "to": to, "expect": expect},
    }


def read(obj):
    assert check_problems(obj) == []
    return check_from_object(obj)


def complaints(obj):
    return {one.field: one.message for one in check_problems(obj)}


def test_from_a_pod_a_service_is_asked_for_by_name():
    made = read(check({"pod": "debug", "namespace": "shop"}, {"service": "web.prod", "port": 80}))
    assert made.sender == Sender("pod", "debug", "shop")
    assert made.target == Target(service="web", namespace="prod", port=80, by="name")
    assert made.expect == Expectation()
    assert str(made) == "from pod debug to service web:80 by name"


def test_from_elsewhere_by_address():
    assert read(check({"node": "n"}, {"service": "web"})).target.by == "address"
    assert read(check({"deployment": "d"}, {"service": "web"})).target.by == "name"
    assert read(check({"pod": "p"}, {"service": "web", "by": "address"})).target.by == "address"


def test_a_client_uses_nodes_external_addresses():
    to = {"node": "worker001", "nodePort": 30080}
    assert read(check({"client": "c"}, to)).target.node_address == "external"
    assert read(check({"pod": "p"}, to)).target.node_address == "internal"
    to = {**to, "nodeAddress": "internal"}
    assert read(check({"client": "c"}, to)).target.node_address == "internal"


def test_a_load_balancer_s_address_and_the_node_that_announces_it():
    to = {"service": "web", "port": 80, "by": "loadBalancer"}
    obj = check({"client": "c"}, to, dnat={"at": "announcer"})
    assert read(obj).target.by == "loadBalancer"
    assert str(read(obj)) == "from client c to service web:80 by loadBalancer"
    assert [name for _, name, _ in places(obj)] == ["c"]  # the announcer is no node's name


def test_everything_that_can_be_expected():
    made = read(
        check(
            {"client": "c"},
            {"service": "web", "node": "worker001"},
            outcome="reachable",
            endpoints=["web", "10.244.1.2"],
            spread={"tries": 20, "atLeast": 3},
            sourceSeen="node:worker001",
            dnat={"at": "worker001"},
            masquerade={"at": "none"},
        )
    )
    assert made.expect == Expectation(
        outcome="reachable",
        endpoints=("web", "10.244.1.2"),
        spread=Spread(20, 3),
        source_seen="node:worker001",
        dnat_at="worker001",
        masquerade_at="none",
    )


def test_expect_may_be_left_out():
    obj = check({"pod": "p"}, {"pod": "q", "port": 80})
    del obj["spec"]["expect"]
    assert read(obj).expect.outcome == "reachable"


TOPOLOGIES = sorted((Path(__file__).parents[3] / "topologies").glob("*.yaml"))
OTHERS = [
    check({"pod": "p", "namespace": "a"}, {"pod": "q", "namespace": "b", "port": 80}),
    check({"deployment": "d"}, {"service": "w.b", "port": "http", "by": "address"}),
    check({"client": "c"}, {"node": "n", "hostPort": 80, "nodeAddress": "internal"}),
    check({"node": "n"}, {"address": "10.0.0.1", "protocol": "ICMP"}, outcome="timeout"),
    check({"pod": "p"}, {"service": "w"}, endpoints=["a", "b"], spread={"tries": 9, "atLeast": 2}),
    check({"pod": "p"}, {"service": "w"}, endpoints=2, spread={"tries": 9}, sourceSeen="node:n"),
]


@pytest.mark.parametrize("path", TOPOLOGIES, ids=lambda path: path.stem)
def test_a_check_that_is_written_is_the_one_that_was_read(path):
    checks = manifest.load([path]).checks
    assert [read(object_of(one)) for one in checks] == checks


@pytest.mark.parametrize("obj", OTHERS)
def test_nothing_of_it_is_lost(obj):
    assert read(object_of(read(obj))) == read(obj)


def test_what_is_said_by_itself_is_not_written():
    made = read(check({"client": "c"}, {"service": "w", "node": "n", "by": "address"}))
    assert object_of(made)["spec"] == {
        "from": {"client": "c"},
        "to": {"service": "w", "node": "n"},
        "expect": {"outcome": "reachable"},
    }


@pytest.mark.parametrize(
    ("obj", "field", "words"),
    [
        (check({}, {"service": "a"}), "spec.from", "Required value"),
        (check({"pod": "a", "node": "b"}, {"service": "a"}), "spec.from.node", "one sender"),
        (check({"pod": "A"}, {"service": "a"}), "spec.from.pod", "RFC 1123"),
        (check({"pod": "a"}, {}), "spec.to", "Required value"),
        (check({"pod": "a"}, {"node": "b"}), "spec.to.nodePort", "Required value"),
        (check({"pod": "a"}, {"service": "b", "pod": "c"}), "spec.to", "do not go together"),
        (check({"pod": "a"}, {"pod": "b"}), "spec.to.port", "Required value"),
        (check({"pod": "a"}, {"pod": "b", "port": "http"}), "spec.to.port", "only a Service"),
        (check({"pod": "a"}, {"service": "b", "port": 0}), "spec.to.port", "between 1 and 65535"),
        (
            check({"pod": "a"}, {"node": "b", "nodePort": 30080, "port": 1}),
            "spec.to.port",
            "a nodePort is a port already",
        ),
        (
            check({"pod": "a"}, {"node": "b", "hostPort": 80, "port": 1}),
            "spec.to.port",
            "a hostPort is a port already",
        ),
        (
            check({"pod": "a"}, {"node": "b", "hostPort": 80, "nodePort": 1}),
            "spec.to",
            "do not go together",
        ),
        (check({"pod": "a"}, {"node": "b", "hostPort": 70000}), "spec.to.hostPort", "between 1"),
        (check({"node": "a"}, {"service": "b", "by": "name"}), "spec.to.by", "only pods ask"),
        (check({"pod": "a"}, {"protocol": "ICMP"}), "spec.to", "name a service, a node, a pod"),
        (check({"pod": "a"}, {"pod": "b", "port": 1, **ICMP}), "spec.to.port", "has no ports"),
        (
            check({"pod": "a"}, {"node": "b", "nodePort": 30080, **ICMP}),
            "spec.to.nodePort",
            "ICMP has no ports",
        ),
        (
            check({"pod": "a"}, {"node": "b", "service": "c", **ICMP}),
            "spec.to",
            "do not go together with ICMP",
        ),
        (
            check({"node": "a"}, {"service": "b", "nodeAddress": "external"}),
            "spec.to.nodeAddress",
            "no node in this target",
        ),
        (
            check({"client": "a"}, {"address": "10.0.0.1", "port": 1, "by": "loadBalancer"}),
            "spec.to.by",
            "only a Service has a load balancer",
        ),
        (
            check({"client": "a"}, {"service": "b", "node": "n", "by": "loadBalancer"}),
            "spec.to.by",
            "only a Service has a load balancer",
        ),
        (
            check({"client": "a"}, {"service": "b"}, dnat={"at": "announcer"}),
            "spec.expect.dnat.at",
            "only a load balancer's address is announced",
        ),
        (check({"pod": "a"}, {"address": "a_b", "port": 1}), "spec.to.address", "RFC 1123"),
        (
            check({"pod": "a"}, {"service": "b"}, outcome="timeout", sourceSeen="sender"),
            "spec.expect.sourceSeen",
            "nobody answers when the outcome is timeout",
        ),
        (check({"pod": "a"}, {"service": "b"}, endpoints="web"), "spec.expect.endpoints", "all"),
        (check({"pod": "a"}, {"service": "b"}, endpoints=0), "spec.expect.endpoints", "at least"),
        (check({"pod": "a"}, {"service": "b"}, endpoints=[]), "spec.expect.endpoints", "somebody"),
        (
            check({"pod": "a"}, {"pod": "b", "port": 1}, endpoints="all"),
            "spec.expect.endpoints",
            "only a Service has endpoints",
        ),
        (
            check({"pod": "a"}, {"service": "b"}, endpoints=3, spread={"tries": 5, "atLeast": 2}),
            "spec.expect.spread.atLeast",
            "asks for 6 of 5 tries",
        ),
        (
            check({"pod": "a"}, {"service": "b"}, sourceSeen="client"),
            "spec.expect.sourceSeen",
            "must be sender, node:NAME or an address",
        ),
        (
            check({"pod": "a"}, {"service": "b"}, dnat={"at": "Node"}),
            "spec.expect.dnat.at",
            "RFC 1123",
        ),
    ],
)
def test_mistakes(obj, field, words):
    assert words in complaints(obj)[field]


def test_the_nodes_and_clients_that_a_check_names():
    obj = check(
        {"client": "c"},
        {"service": "web", "node": "n1"},
        dnat={"at": "n2"},
        masquerade={"at": "none"},
        sourceSeen="node:n3",
    )
    assert [(name, what) for _, name, what in places(obj)] == [
        ("c", "client"),
        ("n1", "node"),
        ("n2", "node"),
        ("n3", "node"),
    ]


@pytest.mark.parametrize(
    "to", [{"service": "b"}, {"node": "b"}, {"pod": "b"}, {"address": "10.0.0.1"}]
)
def test_an_echo_request_needs_no_port(to):
    assert read(check({"pod": "a"}, {**to, **ICMP})).target.port is None


def test_what_belongs_to_the_target_is_told_so():
    obj = check({"pod": "a"}, {"pod": "b", "port": 1})
    obj["spec"] |= {"protocol": "UDP", "nonsense": 1}
    hints = {one.field: one.hint for one in check_problems(obj)}
    assert hints["spec.protocol"] == "it belongs to spec.to"
    assert hints["spec.nonsense"].startswith("there are")


def test_each_protocol_that_can_be_named_is_known_to_checks():
    words = set(get_args(Protocol))
    assert words == {protocol.name.upper() for protocol in PROTOCOLS}
    assert set(WITHOUT_PORTS) == {each.name.upper() for each in PROTOCOLS if not each.has_ports}
    for each in PROTOCOLS:
        port = {"port": 1} if each.has_ports else {}
        read(check({"pod": "a"}, {"pod": "b", "protocol": each.name.upper(), **port}))


_WORDS = [
    *("pod", "deployment", "node", "client", "namespace", "service", "nodePort", "address"),
    *("port", "protocol", "by", "nodeAddress", "outcome", "endpoints", "spread", "tries"),
    *("atLeast", "sourceSeen", "dnat", "masquerade", "at", "from", "to", "expect"),
]
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 70000) | st.sampled_from(["all", "a", "A_", "x."]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_WORDS), inner, max_size=5)
    ),
    max_leaves=12,
)


@settings(max_examples=300)
@given(_JSON)
def test_any_json_is_either_complained_about_or_a_check(spec):
    obj = {"kind": "PathCheck", "metadata": {"name": "x"}, "spec": spec}
    if not check_problems(obj):
        str(check_from_object(obj))
