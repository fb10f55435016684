"""Among whom a node's rules choose, by policy, topology and affinity; and counts beside."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from netlab.objects.types import EndpointSlice, Node, Service
from netlab.pathcheck.world import Place, World
from netlab.traffic.directory import Directory
from netlab.traffic.draws import Draws
from netlab.traffic.opening import End, Opening, VirtualAddress
from netlab.traffic.tally import Tally

NOWHERE = Path("/nowhere")
ENDS = {"10.244.1.5": "one", "10.244.1.6": "one", "10.244.2.5": "two"}


def world(version: int = 4, zones: dict[str, str] | None = None, **spec: Any) -> World:
    places = [
        Place("one", "node", NOWHERE, ("10.0.0.1", "fd00::1")),
        Place("two", "node", NOWHERE, ("10.0.0.2",)),
        Place("client", "client", NOWHERE, ("172.16.0.9",)),
        Place("default/box", "pod", NOWHERE, ("10.244.1.9",), node="one"),
        Place("default/web-2", "pod", NOWHERE, ("10.244.1.6",), node="one"),
    ]
    service = {
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {
            "clusterIP": "10.96.0.7", "clusterIPs": ["10.96.0.7"], "type": "NodePort",
            "ports": [{"port": 80, "nodePort": 30080}], **spec,
        },
    }  # fmt: skip
    slice_ = {
        "metadata": {
            "name": "web-1", "namespace": "default",
            "labels": {"kubernetes.io/service-name": "web"},
        },
        "addressType": f"IPv{version}",
        "ports": [{"port": 8080, "protocol": "TCP"}],
        "endpoints": [
            {
                "addresses": [ip], "nodeName": node,
                **({"hints": {"forZones": [{"name": zones[node]}]}} if zones else {}),
            }
            for ip, node in ENDS.items()
        ],
    }  # fmt: skip
    nodes = [
        {"metadata": {"name": name, "labels": {"topology.kubernetes.io/zone": zone}}}
        for name, zone in (zones or {}).items()
    ]
    return World(
        {one.name: one for one in places},
        {"default/web": cast(Service, service)},
        (cast(EndpointSlice, slice_),),
        nodes=tuple(cast(Node, node) for node in nodes),
    )


def opening(
    node: str = "one",
    client: str = "10.244.1.9",
    kind: str = "clusterIP",
    endpoint: str = "10.244.1.5",
    port: str = "",
) -> Opening:
    return Opening(
        1.0, node, "tcp", End("", client, 1), End("", "10.96.0.7", 80),
        VirtualAddress("default/web", port, kind), End("", endpoint, 8080), None,
    )  # fmt: skip


def ends(one: Opening, world_: World) -> list[str]:
    return [end.address for end in Draws(Directory(world_)).of(one).ends if end.port == 8080]


EVERY, OF_ONE, OF_TWO = list(ENDS), list(ENDS)[:2], list(ENDS)[2:]
LOCAL = {"externalTrafficPolicy": "Local"}


@pytest.mark.parametrize(
    ("one", "spec", "expected"),
    [
        (opening(), {}, EVERY),
        (opening(kind="nodePort", client="172.16.0.9"), {}, EVERY),
        (opening(kind="nodePort", client="172.16.0.9"), LOCAL, OF_ONE),
        (opening("two", kind="nodePort", client="172.16.0.9"), LOCAL, OF_TWO),
        (opening(kind="nodePort", client="8.8.8.8"), LOCAL, OF_ONE),
        (opening(kind="nodePort"), LOCAL, EVERY),
        (opening(kind="nodePort", client="10.0.0.1"), LOCAL, EVERY),
        (opening(), LOCAL, EVERY),
        (opening(), {"internalTrafficPolicy": "Local"}, OF_ONE),
        (opening("two"), {"internalTrafficPolicy": "Local"}, OF_TWO),
        (opening(port="other"), {}, []),
    ],
)
def test_policies(one: Opening, spec: dict[str, str], expected: list[str]) -> None:
    assert ends(one, world(**spec)) == expected


def test_zones() -> None:
    assert ends(opening(), world(zones={"one": "a", "two": "b"})) == OF_ONE
    assert ends(opening("two"), world(zones={"one": "a", "two": "b"})) == OF_TWO


def test_who_comes_back_to_the_same_is_not_free() -> None:
    assert Draws(Directory(world())).of(opening()).is_free
    assert not Draws(Directory(world(sessionAffinity="ClientIP"))).of(opening()).is_free


def counted(*openings: Opening, of: World) -> tuple[Tally, Draws]:
    tally, draws = Tally(), Draws(Directory(of))
    for one in openings:
        tally.add(one, draws.of(one))
    return tally, draws


def test_shares_and_what_is_expected() -> None:
    tally, _ = counted(*[opening()] * 6, *[opening(endpoint="10.244.2.5")] * 3, of=world())
    services, nodes = tally.taken(3.0)
    (web,) = services
    assert (web.count, web.rate) == (9, 3.0)
    assert nodes == {"one": 3.0}
    first, second, third = web.endpoints
    assert [one.endpoint.address for one in web.endpoints] == EVERY
    assert (first.count, first.rate, first.share) == (6, 2.0, pytest.approx(2 / 3))
    assert (second.count, second.share) == (0, 0.0), "one that nobody came to is shown"
    assert second.endpoint.name == "default/web-2"
    assert [one.expected for one in web.endpoints] == [pytest.approx(1 / 3)] * 3
    assert third.between is not None
    assert third.between.has(1 / 3)
    assert not any(one.is_off for one in web.endpoints)


def test_of_late_and_since_the_beginning() -> None:
    tally, draws = counted(*[opening()] * 4, of=world())
    tally.taken(1.0)
    tally.add(opening(), draws.of(opening()))
    ((web,), nodes) = tally.taken(2.0)
    assert (web.count, web.rate, nodes) == (5, 0.5, {"one": 0.5})
    ((web,), nodes) = tally.taken(2.0)
    assert (web.count, web.rate, nodes) == (5, 0.0, {})


def test_what_is_expected_mixes_what_nodes_choose_among() -> None:
    from_outside = {"kind": "nodePort", "client": "172.16.0.9"}
    tally, _ = counted(
        *[opening(**from_outside)] * 10,
        *[opening("two", endpoint="10.244.2.5", **from_outside)] * 30,
        of=world(**LOCAL),
    )
    (web,) = tally.taken(1.0)[0]
    assert [one.expected for one in web.endpoints] == [
        pytest.approx(0.125), pytest.approx(0.125), pytest.approx(0.75)
    ]  # fmt: skip
    assert web.endpoints[2].is_off is False


def test_one_that_gets_what_it_is_not_to_is_off() -> None:
    tally, _ = counted(
        *[opening(endpoint="10.244.9.9")] * 20, *[opening()] * 20, of=world()
    )  # fmt: skip
    (web,) = tally.taken(1.0)[0]
    off = {one.endpoint.address: one.expected for one in web.endpoints if one.is_off}
    assert off["10.244.9.9"] == 0.0


def test_endpoints_may_change() -> None:
    """What was expected of those that were there before stays."""
    tally, _ = counted(*[opening()] * 10, of=world())
    fewer = world(internalTrafficPolicy="Local")
    for _ in range(10):
        tally.add(opening(), Draws(Directory(fewer)).of(opening()))
    (web,) = tally.taken(1.0)[0]
    assert [one.expected for one in web.endpoints] == [
        pytest.approx((1 / 3 + 1 / 2) / 2), pytest.approx((1 / 3 + 1 / 2) / 2),
        pytest.approx(1 / 6),
    ]  # fmt: skip


def test_with_affinity_a_share_is_told_and_nothing_expected() -> None:
    tally, _ = counted(*[opening()] * 20, of=world(sessionAffinity="ClientIP"))
    (web,) = tally.taken(1.0)[0]
    first = web.endpoints[0]
    assert (first.share, first.between, first.expected, first.is_off) == (1.0, None, None, False)


def test_the_busiest_comes_first() -> None:
    tally, draws = counted(opening(), of=world())
    other = Opening(
        1.0, "one", "tcp", End("", "10.0.0.9", 1), End("", "10.96.0.8", 80),
        VirtualAddress("default/gone", "", "clusterIP"), End("", "10.0.0.8", 1), None,
    )  # fmt: skip
    with pytest.raises(KeyError):
        draws.of(other)
    tally.add(other, draws.of(opening()))
    tally.add(other, draws.of(opening()))
    assert [one.key.service for one in tally.taken(1.0)[0]] == ["default/gone", "default/web"]
