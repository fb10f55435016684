"""Nonsense in, an `ApiError` out: never a traceback, and what was stored stays sound."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from netlab.errors import ApiError
from netlab.objects.lab import lab_from_object
from netlab.objects.validation import validate
from netlab.store.registry import Registry
from netlab.store.store import Store

SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "web", "labels": {"a": "b"}},
    "spec": {
        "type": "LoadBalancer",
        "externalTrafficPolicy": "Local",
        "clusterIP": "10.96.0.9",
        "clusterIPs": ["10.96.0.9", "fd00:96::9"],
        "ipFamilies": ["IPv4", "IPv6"],
        "ipFamilyPolicy": "RequireDualStack",
        "selector": {"a": "b"},
        "externalIPs": ["1.2.3.4"],
        "sessionAffinity": "ClientIP",
        "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 10}},
        "ports": [
            {"name": "a", "port": 80, "targetPort": "http", "nodePort": 30001},
            {"name": "b", "port": 80, "protocol": "UDP"},
        ],
    },
}
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "web", "finalizers": ["a/b"]},
    "spec": {
        "tolerations": [{"key": "a", "operator": "Exists"}],
        "containers": [
            {
                "name": "a",
                "image": "x",
                "env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
                "ports": [{"name": "http", "containerPort": 80}],
                "resources": {"limits": {"cpu": "1", "memory": "1Gi"}},
                "readinessProbe": {"httpGet": {"port": 80}},
            }
        ],
        "volumes": [{"name": "v", "configMap": {"name": "x"}}],
    },
}
DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web"},
    "spec": {
        "replicas": 2,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%"}},
        "selector": {"matchLabels": {"a": "b"}},
        "template": {
            "metadata": {"labels": {"a": "b"}},
            "spec": {"containers": [{"name": "a", "image": "x"}]},
        },
    },
}
BODIES: list[dict[str, Any]] = [SERVICE, POD, DEPLOYMENT]
JUNK: list[Any] = [
    None, True, -1, 0, 10**20, 1.5, "", "x", "None", "10.96.0.10", "fd00:96::a", [], {}, [None],
    [1], [""], ["x"], [{}], {"a": None}, {"a": {"b": []}}, "ExternalName", "ClusterIP", "NodePort",
    "IPv6", 30001, "\x00", "a" * 300,
]  # fmt: skip
STRAY = ("$patch", "$setElementOrder/ports", "clusterIP", "finalizers", "extra", "ports", "name")
PATCHES: list[Any] = [
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
]


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    entries = value.items() if isinstance(value, dict) else enumerate(value)
    for key, entry in entries:
        yield (*path, key)
        if isinstance(entry, dict | list):
            yield from _paths(entry, (*path, key))


def _spoiled(body: dict[str, Any], dice: random.Random) -> dict[str, Any]:
    """The body with a few values replaced, removed or added."""
    body = copy.deepcopy(body)
    for _ in range(dice.randint(1, 3)):
        *path, last = dice.choice(list(_paths(body)))
        parent: Any = body
        for part in path:
            parent = parent[part]
        match dice.choice(("replace", "replace", "remove", "add")):
            case "remove":
                del parent[last]
            case "add" if isinstance(parent, dict):
                parent[dice.choice(STRAY)] = copy.deepcopy(dice.choice(JUNK))
            case _:
                parent[last] = copy.deepcopy(dice.choice(JUNK))
        if not body:
            return body
    return body


def _registry() -> Registry:
    lab = lab_from_object(
        {
            "apiVersion": "netlab/v1",
            "kind": "Lab",
            "metadata": {"name": "x"},
            "spec": {
                "nodes": 1,
                "podCIDR": "10.244.0.0/16,fd00:10:244::/56",
                "serviceCIDR": "10.96.0.0/12,fd00:96::/108",
            },
        }
    )
    registry = Registry(Store(None), lab)
    registry.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}})
    for body in BODIES:
        registry.create(body)
    return registry


def _attempt(registry: Registry, dice: random.Random) -> None:
    body = dice.choice(BODIES)
    junk = _spoiled(body, dice)
    match dice.choice(("create", "update", "patch", "patch", "delete")):
        case "create":
            registry.create(junk, dry_run=dice.random() < 0.3)
        case "update":
            registry.update(junk, subresource=dice.choice(("", "status", "scale", "binding")))
        case "patch":
            part = {key: junk[key] for key in ("metadata", "spec") if key in junk}
            kind, subresource = dice.choice(PATCHES), dice.choice(("", "", "status"))
            registry.patch(
                body["kind"], "default", "web", part, content_type=kind, subresource=subresource
            )
        case "delete" if dice.random() < 0.2:
            registry.delete(body["kind"], "default", "web")


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32))
def test_nonsense_is_refused_and_leaves_sound_objects(seed: int) -> None:
    dice, registry = random.Random(seed), _registry()
    for _ in range(40):
        before = registry.store.revision
        try:
            _attempt(registry, dice)
        except ApiError:
            assert registry.store.revision == before, "refused, and yet something was written"
    for body in BODIES:
        for obj in registry.store.each(body["kind"]):
            assert validate(obj) == [], obj
