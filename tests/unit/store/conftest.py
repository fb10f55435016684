from __future__ import annotations

from typing import Any

import pytest
from clock import Clock

from netlab.objects.lab import Lab, lab_from_object
from netlab.store.registry import Registry
from netlab.store.store import Store

NOON = 1_767_268_800.0  # 2026-01-01T12:00:00Z


def make_lab(**spec: Any) -> Lab:
    return lab_from_object(
        {
            "apiVersion": "netlab/v1",
            "kind": "Lab",
            "metadata": {"name": "test"},
            "spec": {"nodes": 2, **spec},
        }
    )


@pytest.fixture
def clock() -> Clock:
    return Clock(NOON)


@pytest.fixture
def lab() -> Lab:
    return make_lab()


@pytest.fixture
def registry(lab: Lab, clock: Clock) -> Registry:
    registry = Registry(Store(None), lab, clock=clock)
    registry.create(namespace("default"))
    return registry


def namespace(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def config(name: str, *, space: str = "default", **data: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": space},
        "data": data,
    }


def pod(name: str = "web", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "labels": {"app": name}},
        "spec": {"containers": [{"name": "web", "image": "nginx"}], **spec},
    }


def service(name: str = "web", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}], **spec},
    }


def deployment(name: str = "web", **spec: Any) -> dict[str, Any]:
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "web", "image": "nginx"}]},
            },
            **spec,
        },
    }


@pytest.fixture
def make() -> Any:
    """The makers above, for tests (conftest cannot be imported from by name)."""
    from types import SimpleNamespace

    return SimpleNamespace(
        namespace=namespace,
        config=config,
        pod=pod,
        service=service,
        deployment=deployment,
        lab=make_lab,
    )
