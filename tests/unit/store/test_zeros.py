"""What an API server leaves out where it is 0 or false."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

from netlab.store.admission import OMITTED_IF_ZERO


def deployment(**spec: Any) -> dict[str, Any]:
    labels = {"app": "web"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "c", "image": "nginx", "tty": False}]},
            },
            **spec,
        },
    }


def test_they_are_values_in_kubernetes_wherever_they_stand() -> None:
    messages = json.loads(resources.files("netlab.api").joinpath("protobuf.json").read_text())
    kinds: dict[str, set[str]] = {}
    for fields in messages["messages"].values():
        for entry in fields.values():
            name, _, kind = entry.partition(" ")
            kinds.setdefault(name, set()).add(kind)
    assert {
        name: kinds[name] for name in OMITTED_IF_ZERO if not kinds[name] <= {"bool", "int"}
    } == {}


def test_what_changes_nothing_is_no_generation_and_no_write(registry: Any) -> None:
    made = registry.create(deployment(paused=False, minReadySeconds=0))
    assert not {"paused", "minReadySeconds"} & made["spec"].keys()
    assert "tty" not in made["spec"]["template"]["spec"]["containers"][0]
    for field, value in (("paused", False), ("minReadySeconds", 0)):
        same = registry.patch("Deployment", "default", "web", {"spec": {field: value}})
        assert same["metadata"] == made["metadata"]
    paused = registry.patch("Deployment", "default", "web", {"spec": {"paused": True}})
    assert (paused["spec"]["paused"], paused["metadata"]["generation"]) == (True, 2)
    again = registry.patch("Deployment", "default", "web", {"spec": {"paused": False}})
    assert "paused" not in again["spec"] and again["metadata"]["generation"] == 3


def test_replicas_are_behind_a_pointer(registry: Any) -> None:
    assert registry.create(deployment(replicas=0))["spec"]["replicas"] == 0


def test_who_applies_one_owns_the_field(registry: Any) -> None:
    kind, apply = "Deployment", "application/apply-patch+yaml"
    registry.create(deployment())
    applied = registry.patch(
        kind,
        "default",
        "web",
        {
            "apiVersion": "apps/v1",
            "kind": kind,
            "metadata": {"name": "web"},
            "spec": {"paused": False},
        },
        content_type=apply,
        field_manager="me",
    )
    assert "paused" not in applied["spec"]
    (mine,) = [one for one in applied["metadata"]["managedFields"] if one["manager"] == "me"]
    assert mine["fieldsV1"] == {"f:spec": {"f:paused": {}}}
