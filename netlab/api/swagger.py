"""`/openapi/v2`: the schemas once more, for kubectl before 1.29 and for what validates by itself.

kubectl takes it in gnostic's protobuf alone; the field numbers are those of gnostic's
OpenAPIv2.proto. Pure; made once, on first use: some 150 KB.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

from netlab.objects import schema
from netlab.objects.bootstrap import KUBELET_VERSION
from netlab.objects.kinds import KINDS, Kind
from netlab.serving.answers import to_json

Document = dict[str, Any]

PROTOBUF = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
"""What the answer is called."""
PROTOBUF_ASKED = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
"""What clients ask for, which is no media type."""

_REFERENCE = "#/definitions/"
_GVK = "x-kubernetes-group-version-kind"
_METHODS = {"get": 2, "put": 3, "post": 4, "delete": 5, "patch": 8}


@cache
def as_json() -> bytes:
    """The document as JSON."""
    return to_json(document())


@cache
def as_protobuf() -> bytes:
    """The document as gnostic's `openapi.v2.Document`."""
    return _encode_document(document())


def document() -> Document:
    """The document: a path with its verbs for every kind, and the definitions."""
    return {
        "swagger": "2.0",
        "info": {"title": "netlab", "version": KUBELET_VERSION},
        "paths": dict(entry for kind in KINDS for entry in _paths(kind)),
        "definitions": dict(_definitions()),
    }


def _paths(kind: Kind) -> Iterator[tuple[str, Document]]:
    collection = kind.path("{namespace}")
    yield collection, {**_parameters(collection), "post": _operation(kind, "post")}
    path = f"{collection}/{{name}}"
    verbs = ("get", "put", "patch", "delete")
    yield path, {**_parameters(path), **{verb: _operation(kind, verb) for verb in verbs}}


def _parameters(path: str) -> Document:
    """What stands in braces in a path, for all that is done there."""
    names = [name for name in ("namespace", "name") if f"{{{name}}}" in path]
    found = [{"name": n, "in": "path", "required": True, "type": "string"} for n in names]
    return {"parameters": found} if found else {}


def _operation(kind: Kind, action: str) -> Document:
    names = ("dryRun", "fieldManager", "fieldValidation") if action != "get" else ()
    parameters: list[Document] = [{"name": n, "in": "query", "type": "string"} for n in names]
    if action in ("post", "put", "patch"):
        name = schema.definitions()["kinds"][f"{kind.api_version}/{kind.kind}"]
        content = {"type": "object"} if action == "patch" else {"$ref": _REFERENCE + name}
        parameters.append({"name": "body", "in": "body", "required": True, "schema": content})
    return {
        "parameters": parameters,
        "responses": {"200": {"description": "OK"}},
        "x-kubernetes-action": action,
        _GVK: _gvk(kind),
    }


def _gvk(kind: Kind) -> dict[str, str]:
    return {"group": kind.group, "kind": kind.kind, "version": kind.version}


def _definitions() -> Iterator[tuple[str, Document]]:
    content = schema.definitions()
    roots: dict[str, list[dict[str, str]]] = {}
    for kind in KINDS:
        name = content["kinds"][f"{kind.api_version}/{kind.kind}"]
        roots.setdefault(name, []).append(_gvk(kind))
    for name, raw in content["$defs"].items():
        converted = _converted(raw)
        yield name, {**converted, _GVK: roots[name]} if name in roots else converted


def _converted(raw: Document) -> Document:
    """A schema in the words of OpenAPI 2: one type, and its own name for `integer or string`."""
    found = {key: value for key, value in raw.items() if key not in ("$ref", "type", "enum")}
    if "$ref" in raw:
        found["$ref"] = _REFERENCE + raw["$ref"].rpartition("/")[2]
    if isinstance(raw.get("type"), list):
        found |= {"type": "string", "format": "int-or-string"}
    elif "type" in raw:
        found["type"] = raw["type"]
    for field in ("items", "additionalProperties"):
        if isinstance(found.get(field), dict):
            found[field] = _converted(found[field])
    if "properties" in found:
        found["properties"] = {k: _converted(v) for k, v in found["properties"].items()}
    return found


# -- protobuf ------------------------------------------------------------------------------


def _encode_document(content: Document) -> bytes:
    info = _field(1, content["info"]["title"]) + _field(2, content["info"]["version"])
    paths = _named(2, content["paths"], _encode_path)
    definitions = _named(1, content["definitions"], _encode_schema)
    return b"".join(
        (_field(1, content["swagger"]), _field(2, info), _field(8, paths), _field(9, definitions))
    )


def _encode_path(item: Document) -> bytes:
    verbs = (_field(_METHODS[verb], _encode_operation(one)) for verb, one in item.items()
             if verb in _METHODS)  # fmt: skip
    parameters = (_encode_parameter(one) for one in item.get("parameters", ()))
    return b"".join([*verbs, _repeated(9, parameters)])


def _encode_operation(operation: Document) -> bytes:
    parameters = (_encode_parameter(one) for one in operation["parameters"])
    responses = _named(1, operation["responses"], _encode_response)
    return _repeated(8, parameters) + _field(9, responses) + _extensions(13, operation)


def _encode_parameter(parameter: Document) -> bytes:
    """In its wrappers: ParametersItem, Parameter, NonBodyParameter."""
    name, where = parameter["name"], _field(2, parameter["in"])
    if parameter["in"] == "body":
        said = _field(2, name) + _field(3, "body") + _TRUE[4]
        return _field(1, _field(1, said + _field(5, _encode_schema(parameter["schema"]))))
    if parameter["in"] == "path":
        said = _TRUE[1] + where + _field(4, name) + _field(5, parameter["type"])
        return _field(1, _field(2, _field(4, said)))
    said = where + _field(4, name) + _field(6, parameter["type"])
    return _field(1, _field(2, _field(3, said)))


_TRUE = {number: bytes([number << 3, 1]) for number in (1, 4)}
"""A boolean field, set."""


def _encode_response(response: Document) -> bytes:
    return _field(1, _field(1, response["description"]))


def _encode_schema(content: Document) -> bytes:
    parts = [_field(number, content[key]) for key, number in _TEXTS if key in content]
    parts.append(_repeated(19, (name.encode() for name in content.get("required", ()))))
    rest = content.get("additionalProperties")
    if isinstance(rest, dict):
        parts.append(_field(21, _field(1, _encode_schema(rest))))
    if "type" in content:
        parts.append(_field(22, _field(1, content["type"])))
    if "items" in content:
        parts.append(_field(23, _field(1, _encode_schema(content["items"]))))
    if "properties" in content:
        parts.append(_field(25, _named(1, content["properties"], _encode_schema)))
    return b"".join([*parts, _extensions(31, content)])


_TEXTS = (("$ref", 1), ("format", 2))


def _extensions(number: int, content: Document) -> bytes:
    """The `x-…` entries, each a name and its value as YAML (JSON will do)."""
    found = ((key, value) for key, value in content.items() if key.startswith("x-"))
    values = (_field(1, key) + _field(2, _field(2, json.dumps(value))) for key, value in found)
    return _repeated(number, values)


def _named(number: int, entries: dict[str, Document], encode: Any) -> bytes:
    """Repeated (name, value) pairs: how gnostic writes a map."""
    pairs = (_field(1, name) + _field(2, encode(value)) for name, value in entries.items())
    return _repeated(number, pairs)


def _repeated(number: int, values: Iterable[bytes]) -> bytes:
    return b"".join(_field(number, value) for value in values)


def _field(number: int, value: str | bytes) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
