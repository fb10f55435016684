"""Pods that name a PriorityClass."""

from __future__ import annotations

from typing import Any

import pytest

from netlab.errors import ApiError


def pod(name: str, wanted: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"priorityClassName": wanted, "containers": [{"name": "c", "image": "nginx"}]},
    }


def test_a_class_that_certainly_is_missing_is_refused(registry):
    with pytest.raises(ApiError) as caught:
        registry.create(pod("p", "system-important"))
    assert (caught.value.code, caught.value.message) == (
        403,
        'pods "p" is forbidden: no PriorityClass with name system-important was found',
    )
    for number, wanted in enumerate(("system-cluster-critical", "system-node-critical", "high")):
        assert registry.create(pod(f"q{number}", wanted))["spec"]["priorityClassName"] == wanted
