"""Sets of fields behave as sets, and survive being written."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from netlab.objects import schema
from netlab.store.fields_v1 import FieldSet, changes, fields_of, overlaid, without

DEPLOYMENT = schema.of("apps/v1", "Deployment") or schema.ANYTHING

PORTS = st.lists(
    st.fixed_dictionaries(
        {"containerPort": st.integers(1, 3)},
        optional={"protocol": st.sampled_from(["TCP", "UDP"]), "name": st.sampled_from("xy")},
    ),
    max_size=3,
    unique_by=lambda port: (port["containerPort"], port.get("protocol", "TCP")),
)
CONTAINERS = st.lists(
    st.fixed_dictionaries(
        {"name": st.sampled_from("abc")},
        optional={
            "image": st.sampled_from("xy"),
            "ports": PORTS,
            "args": st.lists(st.sampled_from("xy"), max_size=2),
        },
    ),
    max_size=3,
    unique_by=lambda one: one["name"],
)
PARTS = st.fixed_dictionaries(
    {},
    optional={
        "metadata": st.fixed_dictionaries(
            {},
            optional={
                "labels": st.dictionaries(st.sampled_from("ab"), st.sampled_from("xy")),
                "finalizers": st.lists(st.sampled_from("ab"), unique=True),
            },
        ),
        "spec": st.fixed_dictionaries(
            {},
            optional={
                "replicas": st.integers(0, 2),
                "template": st.fixed_dictionaries(
                    {"spec": st.fixed_dictionaries({"containers": CONTAINERS})}
                ),
            },
        ),
    },
)


def filled(value: Any) -> Any:
    """Without what is empty, which is a field as a whole."""
    if isinstance(value, dict):
        return {key: item for key, old in value.items() if (item := filled(old)) not in ({}, [])}
    return [filled(item) for item in value] if isinstance(value, list) else value


OBJECTS = PARTS.map(lambda parts: {"kind": "Deployment", **filled(parts)})


def fields(obj: Any) -> FieldSet:
    return fields_of(obj, DEPLOYMENT)


@given(OBJECTS, OBJECTS)
def test_they_are_sets(one: Any, other: Any) -> None:
    a, b = fields(one), fields(other)
    assert not (a - b) & b
    assert (a - b) | (a & b) == a
    assert (a | b) - b == a - b
    assert FieldSet.from_v1(a.to_v1()) == a
    assert len(list((a & b).paths())) <= len(list(a.paths()))


@given(OBJECTS, OBJECTS)
def test_what_is_laid_over_is_there_and_the_rest_stays(live: Any, config: Any) -> None:
    before = copy.deepcopy((live, config))
    result = overlaid(live, config, DEPLOYMENT)
    assert (live, config) == before
    assert overlaid(result, config, DEPLOYMENT) == result
    changed, gone = changes(live, result, DEPLOYMENT)
    assert not gone
    assert not changed - fields(config)
    assert not fields(live) - fields(result) - fields(config)


@given(OBJECTS, OBJECTS)
def test_what_is_taken_away_is_gone(live: Any, other: Any) -> None:
    gone = fields(live) - fields(other)
    left = without(live, gone, fields(other), DEPLOYMENT)
    assert left is None or not fields(left) & gone
