"""`dns.nodeLocal`: where the nodes' DNS caches answer, and what a control plane makes of it."""

from __future__ import annotations

from typing import Any

import pytest

from netlab.objects.bootstrap import control_plane_objects, name_servers
from netlab.objects.lab import Lab, lab_from_object, lab_problems
from netlab.objects.nodelocaldns import holds, node_local_objects
from netlab.objects.validation import validate

DUAL = {"podCIDR": "10.244.0.0/16,fd00:10:244::/56"}
V6 = {"ipFamilies": ["IPv6"]}


def spec(address: str | None, **rest: object) -> dict[str, Any]:
    node_local = {} if address is None else {"address": address}
    return {"nodes": 2, "dns": {"nodeLocal": node_local}, **rest}


def lab(said: dict[str, Any]) -> Lab:
    obj = {"apiVersion": "netlab/v1", "kind": "Lab", "metadata": {"name": "x"}, "spec": said}
    assert lab_problems(obj) == []
    made = lab_from_object(obj)
    assert lab_from_object(made.to_object()) == made
    return made


@pytest.mark.parametrize(
    ("said", "addresses"),
    [
        ({"nodes": 2}, ()),
        ({"nodes": 2, "dns": {"nodeLocal": None}}, ()),
        (spec(None), ("169.254.25.10",)),
        (spec("169.254.255.10"), ("169.254.255.10",)),
        (spec("192.168.7.7"), ("192.168.7.7",)),
        (spec(None, **V6), ("fd00:90::10",)),
        (spec("169.254.1.1, fd00:90::1", **DUAL), ("169.254.1.1", "fd00:90::1")),
    ],
)
def test_addresses(said: dict[str, Any], addresses: tuple[str, ...]) -> None:
    made = lab(said)
    assert made.dns.node_local == addresses
    assert name_servers(made)[:-1] == addresses
    assert bool(node_local_objects(made)) == bool(addresses)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (spec("dns"), "must be a valid IP address"),
        (spec("169.254.25.10/32"), "must be a valid IP address"),
        (spec("127.0.0.1"), "no address that pods could reach"),
        (spec("224.0.0.9"), "no address that pods could reach"),
        (spec("0.0.0.0"), "no address that pods could reach"),
        (spec("255.255.255.255"), "broadcast"),
        (spec("10.244.1.7"), "lies in podCIDR (10.244.0.0/16)"),
        (spec("10.96.0.10"), "lies in serviceCIDR (10.96.0.0/12)"),
        (spec("10.10.11.9"), "lies in nodeNetwork (10.10.11.0/24)"),
        (spec("172.16.110.9"), "lies in external.cidr (172.16.110.0/24)"),
        (spec("203.0.113.9", external={"names": {"a.example": "203.0.113.9"}}), "of a.example"),
        (spec("fd00:90::10"), "the lab has no IPv6"),
        (spec("fe80::1", **DUAL), "naming a link"),
        (spec("169.254.1.1,169.254.1.2"), "more than one IPv4"),
        ({"nodes": 2, "dns": {"nodeLocal": {"ip": "169.254.1.1"}}}, 'unknown field "ip"'),
        ({"nodes": 2, "dns": {"nodeLocal": True}}, "a mapping"),
    ],
)
def test_mistakes(said: dict[str, Any], words: str) -> None:
    obj = {"apiVersion": "netlab/v1", "kind": "Lab", "metadata": {"name": "x"}, "spec": said}
    (problem,) = lab_problems(obj)
    assert words in problem.message
    assert problem.field.startswith("spec.dns.nodeLocal")


def test_what_the_control_plane_makes_is_valid() -> None:
    for obj in control_plane_objects(lab(spec(None))):
        assert validate(obj) == [], obj


@pytest.mark.parametrize(
    ("found", "wanted", "is_so"),
    [
        ({"a": 1, "b": 2}, {"a": 1}, True),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1}}, True),
        ({"a": [{"b": 1, "c": 2}]}, {"a": [{"b": 1}]}, True),
        ({"a": ["-localip", "1"]}, {"a": ["-localip", "2"]}, False),
        ({"a": [1, 2]}, {"a": [1]}, False),
    ],
)
def test_what_is_wanted_is_there_whatever_else_is(found: Any, wanted: Any, is_so: bool) -> None:
    assert holds(found, wanted) is is_so
