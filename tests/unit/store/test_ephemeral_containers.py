"""Containers that are added to a pod while it runs: how, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from netlab.errors import Invalid
from netlab.store.registry import Registry

DEBUGGER = {"name": "debugger", "image": "busybox", "targetContainerName": "c"}


@pytest.fixture
def name(registry: Registry) -> str:
    return str(registry.create(pod())["metadata"]["name"])


def pod(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p"},
        "spec": {"containers": [{"name": "c", "image": "nginx:1"}], **spec},
    }


def add(registry: Registry, *containers: Any, subresource: str = "ephemeralcontainers") -> Any:
    change = {"metadata": {"labels": {"a": "b"}}, "spec": {"ephemeralContainers": [*containers]}}
    if not subresource:
        del change["metadata"]
    return registry.patch("Pod", "default", "p", change, subresource=subresource)


def test_they_are_added_with_defaults_and_nothing_else_changes(
    registry: Registry, name: str
) -> None:
    now = add(registry, DEBUGGER)
    assert "labels" not in now["metadata"]
    (added,) = now["spec"]["ephemeralContainers"]
    assert added["terminationMessagePath"] == "/dev/termination-log"
    assert now["metadata"]["generation"] == 2
    assert name == "p"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"name": "c"}, r'spec.ephemeralContainers\[0\].name: Duplicate value: "c"'),
        ({"ports": [{"containerPort": 1}]}, r"\[0\].ports: Forbidden: cannot be set for an Eph"),
        ({"targetContainerName": "x"}, r'\[0\].targetContainerName: Not found: "x"'),
        ({"image": ""}, r"\[0\].image: Required value"),
    ],
)
@pytest.mark.usefixtures("name")
def test_what_they_may_not_be(registry: Registry, wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(Invalid, match=words):
        add(registry, {**DEBUGGER, **wrong})


@pytest.mark.usefixtures("name")
def test_they_come_by_their_path_alone_and_stay(registry: Registry) -> None:
    with pytest.raises(Invalid, match="pod updates may not change fields other than"):
        add(registry, DEBUGGER, subresource="")
    add(registry, DEBUGGER)
    with pytest.raises(Invalid, match='"debugger" may not be removed'):
        add(registry)
    with pytest.raises(Invalid, match='"debugger" may not be changed'):
        add(registry, {**DEBUGGER, "image": "alpine"})
    with pytest.raises(Invalid, match="cannot be set on create"):
        registry.create({**pod(ephemeralContainers=[DEBUGGER]), "metadata": {"name": "q"}})


def test_no_template_has_them(registry: Registry) -> None:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": pod()["spec"]}
    template["spec"]["ephemeralContainers"] = [DEBUGGER]
    with pytest.raises(Invalid, match="ephemeral containers not allowed in pod template"):
        registry.create({
            "apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "r"},
            "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template},
        })  # fmt: skip
