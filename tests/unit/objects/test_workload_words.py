"""What is said of workloads that may not be stored, word for word and in its order, as an API
server says it: each line of the table has what is changed in a sound object and what comes of it.
"""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from netlab.errors import Invalid
from netlab.objects.lab import lab_from_object
from netlab.store.registry import Registry
from netlab.store.store import Store

Json = dict[str, Any]

TABLE = Path(__file__).parents[2] / "golden" / "validation" / "workloads.jsonl"
ROWS = [json.loads(line) for line in TABLE.read_text().splitlines()]

CONTAINERS = [{"name": "c", "image": "b"}]
TEMPLATE = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": CONTAINERS}}
SELECTED = {"selector": {"matchLabels": {"a": "b"}}, "template": TEMPLATE}
ONCE = {"template": {"spec": {"restartPolicy": "Never", "containers": CONTAINERS}}}
SOUND: dict[str, tuple[str, Json]] = {
    "Deployment": ("apps/v1", {"spec": SELECTED}),
    "ReplicaSet": ("apps/v1", {"spec": SELECTED}),
    "StatefulSet": ("apps/v1", {"spec": {**SELECTED, "serviceName": "s"}}),
    "DaemonSet": ("apps/v1", {"spec": SELECTED}),
    "ReplicationController": ("v1", {"spec": {"selector": {"a": "b"}, "template": TEMPLATE}}),
    "PodTemplate": ("v1", {"template": TEMPLATE}),
    "ControllerRevision": ("apps/v1", {"data": {"a": 1}, "revision": 1}),
    "Job": ("batch/v1", {"spec": ONCE}),
    "CronJob": ("batch/v1", {"spec": {"schedule": "@daily", "jobTemplate": {"spec": ONCE}}}),
}


def sound(kind: str) -> Json:
    version, fields = SOUND[kind]
    metadata = {"name": "x", "namespace": "default"}
    return deepcopy({"apiVersion": version, "kind": kind, "metadata": metadata, **fields})


def changed(obj: Json, changes: Json) -> Json:
    """With each value at its path; null takes away what is there."""
    for path, value in changes.items():
        here, *rest = path.split(".")
        at = obj
        while rest:
            at, here = at.setdefault(here, {}), rest.pop(0)
        if value is None:
            at.pop(here, None)
        else:
            at[here] = value
    return obj


@pytest.fixture
def registry() -> Registry:
    lab = {"apiVersion": "netlab/v1", "kind": "Lab", "metadata": {"name": "t"}, "spec": {}}
    lab["spec"] = {"nodes": [{"name": "n1"}]}
    registry = Registry(Store(None), lab_from_object(lab))
    registry.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}})
    return registry


@pytest.mark.parametrize("kind", SOUND)
def test_a_sound_object_is_stored(registry: Registry, kind: str) -> None:
    assert registry.create(sound(kind))["metadata"]["name"] == "x"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['verb']} {row['kind']}")
def test_the_words(registry: Registry, row: Json) -> None:
    obj = changed(sound(row["kind"]), row["changes"])
    with pytest.raises(Invalid) as caught:
        if row["verb"] == "create":
            registry.create(obj)
        else:
            registry.create(sound(row["kind"]))
            registry.update(obj, subresource="status" if row["verb"] == "status" else "")
    causes = (caught.value.details or {})["causes"]
    assert [f"{one['field']}: {one['message']}" for one in causes] == row["words"]


def test_claims_of_a_stateful_set_without_a_name_are_told_of(registry: Registry) -> None:
    obj = sound("StatefulSet")
    obj["spec"]["volumeClaimTemplates"] = [{"spec": {"accessModes": ["ReadWriteOnce"]}}]
    with pytest.raises(Invalid, match=r"volumes\[0\]\.name: Required value"):
        registry.create(obj)
