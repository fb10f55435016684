"""What a machine has that joins, and which machines Node objects may tell of."""

from __future__ import annotations

import json
from typing import Any

import pytest

from netlab.objects import bootstrap, machines
from netlab.objects.lab import Node, lab_from_object
from netlab.objects.nodes import Standing, standing

LAB = lab_from_object({"metadata": {"name": "test"}, "spec": {"nodes": 2}})
DUAL = lab_from_object(
    {"metadata": {"name": "test"}, "spec": {"nodes": 1, "ipFamilies": ["IPv6", "IPv4"]}}
)


def joined(entry: dict[str, Any], *present: Node, lab: Any = LAB) -> Node:
    found = machines.joined(lab, present, entry)
    assert isinstance(found, Node), found
    return found


def of(node: Node, **other: Any) -> Any:
    obj: Any = bootstrap.node_object(node)
    written = {**json.loads(machines.annotation(node)[machines.ANNOTATION]), **other}
    obj["metadata"]["annotations"] = {machines.ANNOTATION: json.dumps(written)}
    return obj


def test_it_gets_what_is_free_next() -> None:
    third = joined({"name": "third"})
    assert third.internal_ips == ("10.10.11.12",)
    assert third.external_ips == ("172.16.110.12",)
    assert third.pod_cidrs == ("10.244.2.0/24",)
    fourth = joined({"name": "fourth", "labels": {"a": "b"}}, third)
    assert fourth.internal_ips == ("10.10.11.13",) and fourth.labels == {"a": "b"}


def test_it_gets_an_address_of_each_family() -> None:
    node = joined({"name": "second"}, lab=DUAL)
    assert [len(one) for one in (node.internal_ips, node.external_ips, node.pod_cidrs)] == [2, 2, 2]
    assert ":" in node.internal_ips[0] and "." in node.internal_ips[1]
    assert machines.of_object(DUAL, of(node)) == node


def test_what_a_removed_node_of_the_file_has_is_kept_for_it() -> None:
    again = joined({"name": "worker001", "role": "worker"})
    assert again == LAB.nodes[1]


@pytest.mark.parametrize(
    ("entry", "field"),
    [
        ({"name": "client"}, "name"),
        ({"name": "fabric"}, "name"),
        ({"name": "x", "internalIP": "10.10.11.10"}, "internalIP"),
        ({"name": "x", "podCIDR": "10.245.0.0/24"}, "podCIDR"),
        ({"name": "x", "role": "king"}, "role"),
        ({"name": "x", "nonsense": 1}, "nonsense"),
    ],
)
def test_what_is_wrong_with_it_is_told_at_its_field(entry: dict[str, Any], field: str) -> None:
    found = machines.joined(LAB, (), entry)
    assert isinstance(found, list)
    assert [problem.field for problem in found] == [field]


def test_an_object_stands_for_the_machine_that_it_tells_of() -> None:
    third = joined({"name": "third"})
    assert standing(LAB, [of(third), *map(bootstrap.node_object, LAB.nodes)]) == Standing(
        (*LAB.nodes, third)
    )


@pytest.mark.parametrize(
    "written",
    [
        {"internalIP": "10.10.12.12"},
        {"internalIP": ""},
        {"internalIP": "10.10.11.12,10.10.11.13"},
        {"externalIP": "nonsense"},
        {"podCIDR": "10.0.0.0/8"},
        {"podCIDR": "fd00::/64"},
        {"role": "king"},
    ],
)
def test_one_that_a_lab_could_not_have_is_none(written: dict[str, Any]) -> None:
    assert machines.of_object(LAB, of(joined({"name": "third"}), **written)) is None


@pytest.mark.parametrize("text", ["", "nonsense", "[]", "3", "null", "{}"])
def test_what_is_no_machine_at_all_is_none(text: str) -> None:
    obj: Any = bootstrap.node_object(Node("third", pod_cidrs=("10.244.2.0/24",)))
    obj["metadata"]["annotations"] = {machines.ANNOTATION: text}
    assert machines.of_object(LAB, obj) is None


def test_of_two_with_the_same_address_the_older_stands() -> None:
    third = joined({"name": "third"})
    twin = of(Node("a-twin", "worker", {}, third.internal_ips, *_other(third)))
    older = of(third)
    older["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"
    twin["metadata"]["creationTimestamp"] = "2026-01-01T00:00:01Z"
    assert standing(LAB, [twin, older]).nodes == (third,)


def _other(node: Node) -> tuple[tuple[str, ...], tuple[str, ...]]:
    assert node.external_ips == ("172.16.110.12",)
    return ("172.16.110.99",), ("10.244.99.0/24",)
