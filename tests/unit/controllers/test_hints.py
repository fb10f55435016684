"""Hints of endpoints: near, and by the CPUs of zones."""

from collections import Counter

import pytest

from netlab.controllers import hints

HOUR = "2026-01-01T00:00:00Z"


def service(distribution=None, **annotations):
    spec = {"trafficDistribution": distribution} if distribution else {}
    return {"metadata": {"name": "web", "annotations": annotations}, "spec": spec}


def endpoint(zone="a", node="w1", *, ready=True):
    entry = {"addresses": ["10.0.0.1"], "conditions": {"ready": ready}}
    return entry | ({"zone": zone} if zone else {}) | ({"nodeName": node} if node else {})


def node(zone="a", cpu="4", *, ready="True", **labels):
    return {
        "metadata": {"name": "w", "labels": ({hints.ZONE_LABEL: zone} if zone else {}) | labels},
        "status": {
            "allocatable": {"cpu": cpu} if cpu else {},
            "conditions": [{"type": "Ready", "status": ready}],
        },
    }


def zones_of(endpoints):
    return Counter(one["hints"]["forZones"][0]["name"] for one in endpoints)


@pytest.mark.parametrize("distribution", ["PreferClose", "PreferSameZone"])
def test_near_is_the_own_zone(distribution):
    endpoints = [endpoint("a"), endpoint("b"), endpoint(None), endpoint(ready=False)]
    hints.near(service(distribution), endpoints)
    assert [one.get("hints") for one in endpoints] == [
        {"forZones": [{"name": "a"}]},
        {"forZones": [{"name": "b"}]},
        None,
        None,
    ]


def test_nearer_is_the_own_node():
    endpoints = [endpoint("a", "w1"), endpoint(None, "w2"), endpoint(None, None)]
    hints.near(service("PreferSameNode"), endpoints)
    assert [one.get("hints") for one in endpoints] == [
        {"forZones": [{"name": "a"}], "forNodes": [{"name": "w1"}]},
        {"forNodes": [{"name": "w2"}]},
        None,
    ]


def test_nobody_is_near_who_was_not_asked_for():
    endpoints = [endpoint()]
    hints.near(service(), endpoints)
    assert "hints" not in endpoints[0]


def test_automatic_is_said_by_an_annotation_the_older_one_first():
    new, old = "service.kubernetes.io/topology-mode", "service.kubernetes.io/topology-aware-hints"
    assert hints.is_automatic(service(**{new: "Auto"}))
    assert hints.is_automatic(service(**{old: "auto"}))
    assert not hints.is_automatic(service(**{new: "Auto", old: "Disabled"}))
    assert not hints.is_automatic(service(**{new: "AUTO"}))


def test_zones_have_endpoints_by_their_cpus():
    shares = hints.cpu_shares([node("a", "2"), node("b", "2000m"), node("c", "4")])
    assert {zone: float(share) for zone, share in shares.items()} == {
        "a": 0.25,
        "b": 0.25,
        "c": 0.5,
    }
    endpoints = [endpoint(zone) for zone in "aaaabbbbcccc"]
    hints.by_cpus(endpoints, shares)
    assert zones_of(endpoints) == {"a": 3, "b": 3, "c": 6}
    given = [one for one in endpoints if one["hints"]["forZones"][0]["name"] != one["zone"]]
    assert Counter(one["zone"] for one in given) == {"a": 1, "b": 1}


def test_less_than_half_an_endpoint_stays_where_it_is():
    shares = hints.cpu_shares([node("a", "11"), node("b", "9")])
    endpoints = [endpoint(zone) for zone in "aaaabbb"]
    hints.by_cpus(endpoints, shares)
    assert zones_of(endpoints) == {"a": 4, "b": 3}


def test_half_an_endpoint_goes_once():
    endpoints = [endpoint(zone) for zone in "aaaabbb"]
    hints.by_cpus(endpoints, hints.cpu_shares([node("a"), node("b")]))
    assert zones_of(endpoints) == {"a": 3, "b": 4}


def test_what_is_not_ready_has_no_hint_and_does_not_count():
    shares = hints.cpu_shares([node("a"), node("b")])
    endpoints = [endpoint("a"), endpoint("b"), endpoint(None, ready=False)]
    hints.by_cpus(endpoints, shares)
    assert zones_of(endpoints[:2]) == {"a": 1, "b": 1} and "hints" not in endpoints[2]


@pytest.mark.parametrize(
    "nodes",
    [
        [node("a"), node("a")],
        [node("a"), node("")],
        [node("a"), node("b", "")],
        [node("a"), node("b", ready="False")],
        [node("a"), node("b", **{"node-role.kubernetes.io/control-plane": ""})],
        [],
    ],
)
def test_there_are_no_shares_where_too_little_is_known(nodes):
    assert hints.cpu_shares(nodes) == {}
    with pytest.raises(hints.NotHinted, match="Insufficient Node information"):
        hints.by_cpus([endpoint()], {})


@pytest.mark.parametrize(
    "zones, cpus, why",
    [
        ("a", {"a": "1", "b": "1"}, r"Insufficient number of endpoints \(1 endpoints, 2 zones\)"),
        ("aab", {"a": "1", "b": "1"}, r"Unable to allocate .* \(3 endpoints, 2 zones\)"),
        (["a", "b", None, "b"], {"a": "1", "b": "1"}, "do not have a zone specified"),
    ],
)
def test_no_endpoint_is_hinted_when_one_cannot_be(zones, cpus, why):
    endpoints = [endpoint(zone) for zone in zones]
    with pytest.raises(hints.NotHinted, match=why):
        hints.by_cpus(endpoints, hints.cpu_shares(node(zone, cpu) for zone, cpu in cpus.items()))
    assert not any("hints" in one for one in endpoints)
