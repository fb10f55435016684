"""How a name came to its address: the names tried, who was seen to be asked, what was meant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from dnslib import DNSRecord

from netlab.dns.resolvconf import cluster_first
from netlab.pathcheck.decode import CapturedPacket, Observation
from netlab.pathcheck.resolve import Asked, Resolved
from netlab.pathcheck.world import Place, World
from netlab.trace.lookup import names, resolv_conf, told
from netlab.view import trace_names

DNS: Any = {"metadata": {"name": "kube-dns"}, "spec": {"clusterIPs": ["10.96.0.10"]}}
WEB: Any = {"metadata": {"name": "web", "namespace": "town"}, "spec": {"clusterIPs": ["10.96.1.1"]}}
POD: Any = {"metadata": {"name": "box", "namespace": "default"}, "spec": {}}
WORLD = World(
    places={
        "default/box": Place("default/box", "pod", Path("b"), ("10.244.1.2",), node="n1"),
        "kube-system/dns": Place("kube-system/dns", "pod", Path("d"), ("10.244.1.3",), node="n1"),
        "internet": Place("internet", "internet", Path("i"), ("172.16.0.1",)),
        "n1": Place("n1", "node", Path("n"), ("10.0.0.1",), shared=("169.254.20.10",)),
    },
    services={"kube-system/kube-dns": DNS, "town/web": WEB},
    pods={"default/box": POD},
)
CONF = cluster_first("default", ("10.96.0.10",), "cluster.local")


def asked(name: str, *addresses: str, answer: str = "NOERROR", server: str = "10.96.0.10") -> Asked:
    return Asked(name, 4, server, answer, addresses, seconds=0.001, wire=name.swapcase())


def question(place: str, dst: str, dport: int, name: str, time: int, **more: Any) -> Observation:
    data = bytes([0x45]) + bytes(19) + bytes(8) + bytes(DNSRecord.question(name).pack())
    packet = CapturedPacket(4, "10.9.9.9", dst, "udp", 4000, dport)
    return Observation(place, "eth0", more.get("outgoing", False), time, packet, data)


def test_names_by_a_pods_own_resolver() -> None:
    assert names("web", CONF)[0] == "web.default.svc.cluster.local"
    assert names("web.", CONF) == ["web"]
    pod: Any = {
        "metadata": {"name": "box", "namespace": "default"},
        "spec": {
            "dnsPolicy": "None",
            "dnsConfig": {"searches": ["x.y"], "options": [{"name": "ndots", "value": "2"}]},
        },
    }
    world = World(places=WORLD.places, pods={"default/box": pod})
    conf = resolv_conf(WORLD.places["default/box"], ("10.96.0.10",), world)
    assert names("a.b", conf) == ["a.b.x.y", "a.b"]
    assert names("a.b.c", conf) == ["a.b.c", "a.b.c.x.y"]
    assert names("web", resolv_conf(WORLD.places["n1"], ("172.16.0.1",), world)) == ["web"]


def test_who_answered_is_who_was_seen_to_be_asked_last() -> None:
    whole = "web.town.svc.cluster.local"
    wire = whole.swapcase()
    seen = [
        question("kube-system/dns", "127.0.0.1", 10053, wire, 4),
        question("kube-system/dns", "127.0.0.1", 10531, wire, 3),
        question("default/box", "10.96.0.10", 53, wire, 1, outgoing=True),
        question("n1", "10.96.0.10", 53, wire, 1),
        question("kube-system/dns", "10.244.1.3", 53, wire, 2),
        question("internet", "172.16.0.1", 53, whole, 5),  # somebody else's, of the same name
    ]
    found = Resolved(whole, ("10.96.1.1",), asked=(asked(whole, "10.96.1.1"),))
    lookup = told("web.town", CONF, found, seen, WORLD)
    (one,) = lookup.questions
    assert one.way == (
        "kube-system/dns",
        "dnsmasq in kube-system/dns",
        "responder in kube-system/dns",
    )
    assert (one.service, lookup.owner) == ("kube-system/kube-dns", "Service town/web")
    assert list(trace_names.lines(lookup)) == [
        "web.town is 10.96.1.1, says DNS (Service town/web)",
        "  asked    10.96.0.10, Service kube-system/kube-dns → kube-system/dns",
        "    10.96.1.1  web.town.svc.cluster.local (dnsmasq → responder, 1.0 ms)",
    ]


def test_a_cache_and_the_internet() -> None:
    wire = "EXAMPLE.COM"
    seen = [
        question("n1", "169.254.20.10", 53, wire, 1),
        question("kube-system/dns", "10.244.1.3", 53, wire, 2),
        question("internet", "172.16.0.1", 53, wire, 3),
    ]
    found = Resolved("example.com", ("1.2.3.4",), asked=(asked("example.com", "1.2.3.4"),))
    (one,) = told("example.com", CONF, found, seen, WORLD).questions
    assert one.way == ("node-local cache on n1", "kube-system/dns", "the internet's DNS")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("web", "Service web is in namespace town; did you mean web.town?"),
        ("web.twon", "Service web is in namespace town; did you mean web.town?"),
        ("wbe.town", "did you mean web.town?"),
        ("wbe.nowhere", "did you mean web.town?"),
        ("zzz", ""),
        ("dog.default", ""),
    ],
)
def test_the_name_that_was_meant(name: str, hint: str) -> None:
    found = Resolved(name, error="no", asked=(asked(name, answer="NXDOMAIN"),))
    assert told(name, CONF, found, [], WORLD).hint == hint
