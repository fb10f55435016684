"""The words of a command line → the two sides of a conversation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from netlab.errors import UsageError
from netlab.pathcheck.conversation import Side
from netlab.pathcheck.world import Place, World
from netlab.trace.sides import conversation_of, side_of

SERVICE: Any = {
    "metadata": {"name": "web", "namespace": "default"},
    "spec": {
        "clusterIP": "10.96.0.7",
        "clusterIPs": ["10.96.0.7"],
        "externalIPs": ["203.0.113.9"],
        "ports": [
            {"name": "http", "port": 80, "nodePort": 30080, "protocol": "TCP"},
            {"name": "more", "port": 81, "protocol": "TCP"},
        ],
    },
}
SLICE: Any = {
    "metadata": {
        "name": "web-1", "namespace": "default", "labels": {"kubernetes.io/service-name": "web"}
    },
    "addressType": "IPv4",
    "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
    "endpoints": [{"addresses": ["10.244.1.2"], "conditions": {"ready": True}}],
}  # fmt: skip
WORLD = World(
    places={
        "n1": Place("n1", "node", Path("n1"), ("10.0.0.1", "10.244.1.1")),
        "laptop": Place("laptop", "client", Path("l"), ("172.16.0.9",)),
        "default/box": Place("default/box", "pod", Path("b"), ("10.244.1.2",), node="n1"),
        "town/box": Place("town/box", "pod", Path("t"), ("10.244.1.3", "fd00::3"), node="n1"),
    },
    services={"default/web": SERVICE},
    slices=(SLICE,),
)
HTTP = {
    ("10.96.0.7", 80), ("203.0.113.9", 80), ("10.0.0.1", 30080), ("10.244.1.1", 30080),
    ("10.244.1.2", 8080),
}  # fmt: skip


@pytest.mark.parametrize(
    ("word", "addresses", "doors"),
    [
        ("box", {"10.244.1.2"}, set()),
        ("pod/box", {"10.244.1.2"}, set()),
        ("town/box", {"10.244.1.3", "fd00::3"}, set()),
        ("pod/box:80", set(), {("10.244.1.2", 80)}),
        ("n1", {"10.0.0.1", "10.244.1.1"}, set()),
        ("node/n1:22", set(), {("10.0.0.1", 22), ("10.244.1.1", 22)}),
        ("laptop", {"172.16.0.9"}, set()),
        ("svc/web:80", set(), HTTP),
        ("svc/web:http", set(), HTTP),
        ("web:http", set(), HTTP),
        ("web.default.svc.cluster.local:80", set(), HTTP),
        ("svc/web", set(), HTTP | {("10.96.0.7", 81), ("203.0.113.9", 81)}),
        ("10.0.0.5", {"10.0.0.5"}, set()),
        ("10.0.0.5:53", set(), {("10.0.0.5", 53)}),
        ("fd00::5", {"fd00::5"}, set()),
        ("[fd00::5]", {"fd00::5"}, set()),
        ("[fd00:0::5]:53", set(), {("fd00::5", 53)}),
    ],
)
def test_words(word: str, addresses: set[str], doors: set[tuple[str, int]]) -> None:
    assert side_of(word, WORLD, "default") == Side(frozenset(addresses), frozenset(doors))


@pytest.mark.parametrize(
    ("word", "complaint"),
    [
        ("bxo", "there is no bxo\n  hint: did you mean box?"),
        ("node/box", "there is no node/box"),
        ("svc/wbe", "there is no Service default/wbe\n  hint: did you mean svc/web?"),
        ("svc/web:82", "Service default/web has no port 82\n  hint: there are: 80, 81"),
        ("pod/box:http", "http in pod/box:http is no port"),
        ("deploy/none", "deploy/none has no address yet"),
        ("ingress/x", "there is no ingress/x"),
        ("", "there is no "),
        (":80", "there is no :80"),
        ("a:b:c", "there is no a:b:c"),
    ],
)
def test_words_that_mean_nothing(word: str, complaint: str) -> None:
    with pytest.raises(UsageError) as caught:
        side_of(word, WORLD, "default")
    assert str(caught.value).startswith(complaint)


def test_who_is_masqueraded() -> None:
    """Nodes' addresses are those of who comes from outside; a pod keeps its own among pods."""

    def sender(word: str, target: str) -> set[str]:
        found = conversation_of(
            word, target, WORLD, namespace="default", protocols=frozenset()
        ).sender
        assert found is not None
        return set(found.all())

    assert sender("laptop", "svc/web:80") == {"172.16.0.9", "10.0.0.1", "10.244.1.1"}
    assert sender("town/box", "svc/web:80") == {"10.244.1.3", "fd00::3"}
    assert sender("town/box", "93.184.216.34") >= {"10.0.0.1"}
