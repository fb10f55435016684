"""OpenAPI v3 documents, one a group and version: what kubectl apply, diff and explain ask for.

Pure; made from the same schema that validates objects. Made once, on first use.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

from netlab.objects import schema
from netlab.objects.bootstrap import KUBELET_VERSION
from netlab.objects.kinds import KINDS, Kind
from netlab.serving.answers import to_json

Document = dict[str, Any]

_REFERENCE = "#/components/schemas/"
_GVK = "x-kubernetes-group-version-kind"

PATCHES = (
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
)


def group_versions() -> dict[str, tuple[str, str]]:
    """`api/v1`, `apis/apps/v1`, … → (group, version)."""
    found = {(kind.group, kind.version): None for kind in KINDS}
    return {
        f"apis/{group}/{version}" if group else "api/v1": (group, version)
        for group, version in found
    }


@cache
def index() -> Document:
    """`/openapi/v3`: where each document is. The hash makes a new one a new address."""
    return {
        "paths": {
            path: {"serverRelativeURL": f"/openapi/v3/{path}?hash={digest(path)}"}
            for path in group_versions()
        }
    }


@cache
def digest(path: str) -> str:
    """What tells one state of a document from another."""
    return hashlib.sha256(document(path) or b"").hexdigest()[:32].upper()


@cache
def document(path: str) -> bytes | None:
    """`/openapi/v3/<path>` as JSON; None when there is no such group and version."""
    if path not in group_versions():
        return None
    pair = group_versions()[path]
    kinds = [kind for kind in KINDS if (kind.group, kind.version) == pair]
    return to_json(
        {
            "openapi": "3.0.0",
            "info": {"title": "netlab", "version": KUBELET_VERSION},
            "paths": dict(entry for kind in kinds for entry in _paths(kind)),
            "components": {"schemas": _schemas(kinds)},
        }
    )


def _paths(kind: Kind) -> Iterator[tuple[str, Document]]:
    """The paths of a kind with their methods: kubectl looks here for `fieldValidation`."""
    collection = kind.path("{namespace}")
    if kind.namespaced:
        yield kind.path(), {"get": _operation(kind, "list")}
    yield (
        collection,
        {
            **_parameters(collection),
            "get": _operation(kind, "list"),
            "post": _operation(kind, "post", writes=True),
        },
    )
    yield (
        f"{collection}/{{name}}",
        {
            **_parameters(f"{collection}/{{name}}"),
            "get": _operation(kind, "get"),
            "put": _operation(kind, "put", writes=True),
            "patch": _operation(kind, "patch", writes=True),
            "delete": _operation(kind, "delete"),
        },
    )


def _parameters(path: str) -> Document:
    """What stands in braces in a path, for all that is done there."""
    names = [name for name in ("namespace", "name") if f"{{{name}}}" in path]
    text = {"type": "string"}
    found = [{"name": n, "in": "path", "required": True, "schema": text} for n in names]
    return {"parameters": found} if found else {}


def _operation(kind: Kind, action: str, *, writes: bool = False) -> Document:
    names = ("dryRun", "fieldManager", "fieldValidation") if writes else ()
    text = {"type": "string"}
    content = {"application/json": {"schema": {"$ref": _REFERENCE + _schema_name(kind)}}}
    operation: Document = {
        "parameters": [{"name": name, "in": "query", "schema": text} for name in names],
        "responses": {"200": {"description": "OK", "content": content}},
        "x-kubernetes-action": action,
        _GVK: _gvk(kind),
    }
    if writes:
        patch = {each: {"schema": {"type": "object"}} for each in PATCHES}
        body = patch if action == "patch" else content
        operation["requestBody"] = {"content": body, "required": True}
    return operation


def _gvk(kind: Kind) -> dict[str, str]:
    return {"group": kind.group, "kind": kind.kind, "version": kind.version}


def _schema_name(kind: Kind) -> str:
    return str(schema.definitions()["kinds"][f"{kind.api_version}/{kind.kind}"])


def _schemas(kinds: Iterable[Kind]) -> dict[str, Document]:
    """The schemas of some kinds and of all that they refer to."""
    definitions = schema.definitions()["$defs"]
    roots = {_schema_name(kind): kind for kind in kinds}
    found: dict[str, Document] = {}
    todo = list(roots)
    while todo:
        name = todo.pop()
        if name not in found:
            found[name] = _converted(definitions[name])
            todo += _references(definitions[name])
    for name, kind in roots.items():
        found[name][_GVK] = [_gvk(kind)]
    return found


def _references(raw: Any) -> Iterator[str]:
    """The names that a schema refers to, at any depth."""
    if isinstance(raw, dict):
        if isinstance(raw.get("$ref"), str):
            yield raw["$ref"].rpartition("/")[2]
        for inner in raw.values():
            yield from _references(inner)


def _converted(raw: Document) -> Document:
    """A schema in OpenAPI 3.0's words: no lists of types, nothing beside a `$ref`."""
    found = {key: value for key, value in raw.items() if key not in ("$ref", "type")}
    if "$ref" in raw:
        reference = {"$ref": _REFERENCE + raw["$ref"].rpartition("/")[2]}
        return {"allOf": [reference], **found} if found else reference
    if isinstance(raw.get("type"), list):
        found["oneOf"] = [{"type": one} for one in raw["type"] if one != "null"]
    elif "type" in raw:
        found["type"] = raw["type"]
    for field in ("items", "additionalProperties"):
        if isinstance(found.get(field), dict):
            found[field] = _converted(found[field])
    if "properties" in found:
        found["properties"] = {k: _converted(v) for k, v in found["properties"].items()}
    return found
