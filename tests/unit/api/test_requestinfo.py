"""What requests ask for, as authorization knows them."""

from __future__ import annotations

import pytest

from netlab.api.requestinfo import attributes
from netlab.objects.rbac import Attributes

NAMESPACED = "/api/v1/namespaces/default"
NAMED = "fieldSelector=metadata.name=a"


@pytest.mark.parametrize(
    ("asked", "query", "verb", "group", "resource", "namespace", "name"),
    [
        (f"GET {NAMESPACED}/pods", "", "list", "", "pods", "default", ""),
        (f"GET {NAMESPACED}/pods/", "", "list", "", "pods", "default", ""),
        (f"GET {NAMESPACED}/pods", "watch=true", "watch", "", "pods", "default", ""),
        (f"GET {NAMESPACED}/pods", "watch=0", "list", "", "pods", "default", ""),
        (f"GET {NAMESPACED}/pods", "watch=x", "list", "", "pods", "default", ""),
        (f"GET {NAMESPACED}/pods", NAMED, "list", "", "pods", "default", "a"),
        (f"DELETE {NAMESPACED}/pods", "", "deletecollection", "", "pods", "default", ""),
        (f"GET {NAMESPACED}/pods/a", "", "get", "", "pods", "default", "a"),
        (f"HEAD {NAMESPACED}/pods/a", "", "get", "", "pods", "default", "a"),
        (f"GET {NAMESPACED}/pods/a/log", "", "get", "", "pods/log", "default", "a"),
        (f"POST {NAMESPACED}/pods/a/exec", "", "create", "", "pods/exec", "default", "a"),
        (f"GET {NAMESPACED}/pods/a/exec", "", "get", "", "pods/exec", "default", "a"),
        (f"PATCH {NAMESPACED}/pods/a/status", "", "patch", "", "pods/status", "default", "a"),
        (f"POST {NAMESPACED}/sa/a/token", "", "create", "", "sa/token", "default", "a"),
        ("GET /api/v1/pods", "", "list", "", "pods", "", ""),
        ("GET /api/v1/nodes/a", "", "get", "", "nodes", "", "a"),
        ("GET /api/v1/namespaces", "", "list", "", "namespaces", "", ""),
        ("PUT /api/v1/namespaces/a", "", "update", "", "namespaces", "a", "a"),
        ("PUT /api/v1/namespaces/a/finalize", "", "update", "", "namespaces/finalize", "a", "a"),
        ("GET /apis/g/v1/namespaces/a/things/b/scale", "", "get", "g", "things/scale", "a", "b"),
        ("POST /apis/g/v1/things", "", "create", "g", "things", "", ""),
        ("PROPFIND /api/v1/pods", "", "", "", "pods", "", ""),
    ],
)  # fmt: skip
def test_resources(
    asked: str, query: str, verb: str, group: str, resource: str, namespace: str, name: str
) -> None:
    method, _, path = asked.partition(" ")
    field, _, value = query.partition("=")
    found = attributes(method, path, {field: value} if query else {})
    assert found.whole_resource == resource
    what = (found.verb, found.group, found.namespace, found.name)
    assert what == (verb, group, namespace, name)


@pytest.mark.parametrize("path", ["/", "/api", "/api/v1", "/apis/apps/v1", "/version", "/x/y/z/a"])
def test_paths(path: str) -> None:
    assert attributes("GET", path, {}) == Attributes("get", path=path)
