"""OpenAPI v3 documents: whole, referring to nothing that is not there, and kept by their hash."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from netlab.api import openapi, swagger
from netlab.objects.kinds import KINDS


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if "$ref" in value:
            assert set(value) == {"$ref"}  # OpenAPI 3.0 ignores what stands beside it
            yield value["$ref"]
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


@pytest.mark.parametrize("path", list(openapi.group_versions()))
def test_documents_refer_to_what_is_in_them(path: str) -> None:
    document = json.loads(openapi.document(path) or b"")
    schemas = document["components"]["schemas"]
    found = set(references(document))
    assert found
    assert {reference.rpartition("/")[2] for reference in found} <= set(schemas)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_every_kind_can_be_patched_with_field_validation(kind: Any) -> None:
    path = f"apis/{kind.group}/{kind.version}" if kind.group else "api/v1"
    document = json.loads(openapi.document(path) or b"")
    gvk = {"group": kind.group, "version": kind.version, "kind": kind.kind}
    patch = document["paths"][kind.path("{namespace}", "{name}")]["patch"]
    assert patch["x-kubernetes-group-version-kind"] == gvk
    assert "fieldValidation" in [parameter["name"] for parameter in patch["parameters"]]
    roots = [
        schema
        for schema in document["components"]["schemas"].values()
        if gvk in schema.get("x-kubernetes-group-version-kind", [])
    ]
    assert len(roots) == 1


def whole() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every path of either version with what it says."""
    for name in openapi.group_versions():
        yield from json.loads(openapi.document(name) or b"")["paths"].items()
    yield from json.loads(swagger.as_json())["paths"].items()


def test_what_stands_in_braces_is_a_parameter() -> None:
    """What generic tools refuse first of all."""
    for path, item in whole():
        named = [one["name"] for one in item.get("parameters", ()) if one["in"] == "path"]
        assert named == re.findall(r"{(\w+)}", path), path
        assert all(one["required"] for one in item.get("parameters", ()))


def test_who_sends_something_says_so() -> None:
    for path, item in whole():
        for verb in {"post", "put", "patch"} & item.keys():
            operation = item[verb]
            in_body = [one for one in operation["parameters"] if one["in"] == "body"]
            assert "requestBody" in operation or in_body, path


def test_types_and_merge_keys_survive() -> None:
    schemas = json.loads(openapi.document("api/v1") or b"")["components"]["schemas"]
    ports = schemas["ServiceSpec"]["properties"]["ports"]
    assert ports["x-kubernetes-patch-merge-key"] == "port"
    assert ports["items"] == {"$ref": "#/components/schemas/ServicePort"}
    assert schemas["IntOrString"] == {"oneOf": [{"type": "integer"}, {"type": "string"}]}


async def test_documents_are_found_and_kept(lab: Any) -> None:
    paths = (await lab.ask("GET", "/openapi/v3")).json["paths"]
    url = paths["apis/apps/v1"]["serverRelativeURL"]
    path, _, digest = url.partition("?hash=")
    kept = await lab.ask("GET", path, hash=digest)
    assert "immutable" in kept.headers["Cache-Control"]
    other = await lab.ask("GET", path, hash="older")
    assert (other.raw, "Cache-Control" in other.headers) == (kept.raw, False)
