"""Which nodes run for which Node objects."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from netlab.objects import bootstrap, machines, nodes
from netlab.objects.lab import lab_from_object
from netlab.objects.nodes import OFF, POWER, Standing, node_of, now, standing

LAB = lab_from_object({"metadata": {"name": "test"}, "spec": {"nodes": 3}})
OBJECTS = [bootstrap.node_object(node) for node in LAB.nodes]


def bare(name: str, **spec: object) -> dict[str, object]:
    return {"kind": "Node", "metadata": {"name": name}, "spec": spec}


def test_those_that_there_are_run_in_the_labs_order() -> None:
    assert standing(LAB, reversed(OBJECTS)) == Standing(LAB.nodes)
    assert now(LAB, OBJECTS[1:]).nodes == LAB.nodes[1:]
    assert standing(LAB, []) == Standing(())


def test_one_that_is_switched_off_does_not_run_and_is_there() -> None:
    first, second, third = OBJECTS
    off = {**second, "metadata": {**second["metadata"], "annotations": {POWER: OFF}}}
    assert standing(LAB, [first, off, third]) == Standing(LAB.nodes[::2], LAB.nodes[1:2])
    assert now(LAB, [first, off, third]).nodes == LAB.nodes[::2]


def test_an_object_that_says_nothing_but_its_name_is_enough() -> None:
    assert node_of(LAB, bare("worker001")) == LAB.nodes[1]


def test_strangers_are_nobodys_and_so_are_those_with_other_pod_ranges() -> None:
    assert node_of(LAB, bare("stranger")) is None
    assert node_of(LAB, bare("worker001", podCIDRs=["10.244.9.0/24"])) is None


def test_nodes_of_the_file_are_not_compared_with_each_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A controller asks again and again, and of 250 nodes there are 31,125 pairs."""
    lab = lab_from_object({"metadata": {"name": "test"}, "spec": {"nodes": 250}})
    objects = [bootstrap.node_object(node) for node in lab.nodes]
    monkeypatch.setattr(machines, "_meet", None)
    assert standing(lab, objects) == Standing(lab.nodes)


@pytest.mark.parametrize(
    ("annotations", "said", "left"),
    [
        ({}, "NotReady", ()),
        ({"netlab/hands-off": "rules, network"}, "NotReady, hands off", ("rules", "network")),
        ({"netlab/hands-off": "network"}, "NotReady, hands off", ("network",)),
        ({"netlab/hands-off": "rulesets", "netlab/power": "off"}, "off", ()),
    ],
)
def test_what_is_left_alone(
    annotations: dict[str, str], said: str, left: tuple[Literal["rules", "network"], ...]
) -> None:
    node: Any = {"metadata": {"name": "w", "annotations": annotations}}
    both: tuple[Literal["rules", "network"], ...] = ("rules", "network")
    assert nodes.condition(node) == said
    assert tuple(what for what in both if nodes.is_left(node, what)) == left
    assert not nodes.is_left(None, "rules")
