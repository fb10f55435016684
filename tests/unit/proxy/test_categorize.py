"""Which endpoints a port uses: readiness, policies, topology."""

import pytest
from msgspec.structs import replace
from unit.proxy.objects import host, web_slice

from netlab.proxy.categorize import categorize
from netlab.proxy.endpoints import endpoints
from netlab.proxy.services import ServicePort


def choose(hosts, *, zone="", **more):
    port = ServicePort(
        "town/web", "", "tcp", "10.96.0.5", 80, 0, (), (), (), 0, False, False, 0
    )  # fmt: skip
    port = replace(port, **more)
    found = endpoints([web_slice(*hosts)], "ipv4", "alpha", [])
    return categorize(found.get(("", "tcp"), ()), port, "alpha", zone)


def ips(chosen):
    return [ep.ip for ep in chosen]


DRAINING = {"conditions": {"ready": False, "serving": True, "terminating": True}}


UNREADY = {"conditions": {"ready": False}}


GONE = {"conditions": {"ready": False, "serving": False, "terminating": True}}


def test_the_draining_serve_only_when_nobody_is_ready():
    assert ips(choose([host("10.0.0.1"), host("10.0.0.2", **DRAINING)]).cluster) == ["10.0.0.1"]
    chosen = choose([host("10.0.0.1", **UNREADY), host("10.0.0.2", **DRAINING)])
    assert ips(chosen.cluster) == ["10.0.0.2"]
    chosen = choose([host("10.0.0.1", **UNREADY), host("10.0.0.2", **GONE)])
    assert (ips(chosen.cluster), chosen.anywhere) == ([], False)


def test_local_endpoints_drain_by_themselves():
    here = {"nodeName": "alpha"}
    hosts = [host("10.0.0.1"), host("10.0.0.2", **DRAINING, **here)]
    chosen = choose(hosts, external_local=True, node_port=30000)
    assert (ips(chosen.cluster), ips(chosen.local)) == (["10.0.0.1"], ["10.0.0.2"])
    assert ips(chosen.reachable) == ["10.0.0.1", "10.0.0.2"]


def test_internal_policy_local_alone_needs_no_other_endpoints():
    chosen = choose([host("10.0.0.1")], internal_local=True)
    assert (ips(chosen.cluster), ips(chosen.local), chosen.anywhere) == ([], [], True)


def hint(zone=None, node=None):
    hints = {"forZones": [{"name": zone}] if zone else []}
    return {"hints": {**hints, "forNodes": [{"name": node}] if node else []}}


@pytest.mark.parametrize(
    "hosts, zone, expected",
    [
        ([host("10.0.0.1", **hint("a")), host("10.0.0.2", **hint("b"))], "a", ["10.0.0.1"]),
        ([host("10.0.0.1", **hint("a")), host("10.0.0.2", **hint("b"))], "c", None),
        ([host("10.0.0.1", **hint("a")), host("10.0.0.2", **hint("b"))], "", None),
        ([host("10.0.0.1", **hint("a")), host("10.0.0.2")], "a", None),
        (
            [host("10.0.0.1", **hint("a")), host("10.0.0.2", **hint("a"), **DRAINING)],
            "a",
            ["10.0.0.1"],
        ),
        (
            [host("10.0.0.1", **hint("a", "alpha")), host("10.0.0.2", **hint("a", "beta"))],
            "a",
            ["10.0.0.1"],
        ),
        (
            [host("10.0.0.1", **hint("a", "beta")), host("10.0.0.2", **hint("b", "beta"))],
            "b",
            ["10.0.0.2"],
        ),
    ],
)
def test_topology_hints(hosts, zone, expected):
    assert ips(choose(hosts, zone=zone).cluster) == (expected or ["10.0.0.1", "10.0.0.2"])
