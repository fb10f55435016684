"""Field validation of request bodies: what `fieldValidation=Strict|Warn|Ignore` means. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from netlab.api import duplicates
from netlab.errors import BadRequest, Invalid
from netlab.objects import gowords, schema, times
from netlab.objects.kinds import Kind
from netlab.objects.meta import Object
from netlab.objects.problems import FieldProblem, Path

Mode = Literal["Strict", "Warn", "Ignore"]

_DIRECTIVES = ("$patch", "$retainKeys", "$setElementOrder/", "$deleteFromPrimitiveList/")
_ENCODED = {"Secret": "data", "ConfigMap": "binaryData"}
"""Where bytes are, in base64."""
_INTEGERS = ("int32", "int64")
_GO_TYPES = {"string": "string", "integer": "int32", "number": "float64", "boolean": "bool"}


def mode(text: str) -> Mode:
    """The query parameter's value; absent means Warn, as for a real API server."""
    for known in ("Strict", "Warn", "Ignore"):
        if text == known:
            return known
    if not text:
        return "Warn"
    raise BadRequest(
        f'fieldValidation: Unsupported value: "{text}": '
        'supported values: "Ignore", "Strict", "Warn"'
    )


def check(obj: Object, field_validation: str, body: bytes = b"", media: str = "") -> list[str]:
    """Refuse wrong types, and when strict unknown fields and those that the body has twice; returns
    the warnings otherwise."""
    api_version, kind = obj["apiVersion"], obj["kind"]
    handled = f'{kind} in version "{_version(api_version)}" cannot be handled as a {kind}'
    problems = schema.check(obj)
    for problem in problems:
        if problem.reason == "FieldValueTypeInvalid":
            raise BadRequest(f"{handled}: {_cannot_unmarshal(obj, problem.path)}")
    for text in (obj.get(_ENCODED.get(kind, "")) or {}).values():
        if fault := gowords.base64_fault(text or ""):
            raise BadRequest(f"{handled}: {fault}")
    if mode(field_validation) == "Ignore":
        return []
    unknown = _strictly(_unknown(problems), body, media)
    if unknown and mode(field_validation) == "Strict":
        hints = [problem.hint for problem in problems if problem.hint]
        raise BadRequest(
            f"{handled}: strict decoding error: {', '.join(unknown)}",
            hint=hints[0] if hints else None,
        )
    return unknown


def _strictly(unknown: Mapping[Path, str], body: bytes, media: str) -> list[str]:
    """What a strict decoder says of a body, of which the `unknown` fields are known."""
    if not body or "protobuf" in media:
        return list(unknown.values())
    if "yaml" in media:
        return [*_repeated_in_yaml(body), *unknown.values()]
    return duplicates.in_json(body, unknown)


def check_patch(kind: Kind, change: Any, field_validation: str, body: bytes = b"") -> list[str]:
    """Like `check`, for a patch that has the shape of the object it changes."""
    wanted = mode(field_validation)
    found = schema.of(kind.api_version, kind.kind)
    if not isinstance(change, dict) or found is None or wanted == "Ignore":
        return []
    known = _unknown(schema.check(_without_directives(change), found))
    twice = duplicates.in_json(body, {}) if body else []
    unknown = [*twice, *known.values()]
    if unknown and wanted == "Strict":
        raise _invalid_patch(change, unknown)
    return unknown


def check_applied(body: bytes, field_validation: str) -> list[str]:
    """Like `check`, for a configuration to apply: of its unknown fields the store tells."""
    wanted = mode(field_validation)
    twice = _repeated_in_yaml(body) if wanted != "Ignore" else []
    if twice and wanted == "Strict":
        raise BadRequest(f"error strict decoding YAML: error converting YAML to JSON: {twice[0]}")
    return twice


def _invalid_patch(change: Any, unknown: Iterable[str]) -> Invalid:
    message = (
        f"Invalid value: {json.dumps(json.dumps(change, separators=(',', ':')))}: "
        f"strict decoding error: {', '.join(unknown)}"
    )
    cause = {"reason": "FieldValueInvalid", "message": message, "field": "patch"}
    return Invalid(f' "" is invalid: patch: {message}', details={"causes": [cause]})


def _unknown(problems: Iterable[FieldProblem]) -> dict[Path, str]:
    return {p.path: f'unknown field "{p.field}"' for p in problems if p.reason == "UnknownField"}


def _without_directives(value: Any) -> Any:
    """A strategic merge patch without the words that direct the merge."""
    if isinstance(value, dict):
        return {
            key: _without_directives(inner)
            for key, inner in value.items()
            if not key.startswith(_DIRECTIVES)
        }
    if isinstance(value, list):
        return [_without_directives(inner) for inner in value if inner is not None]
    return value


def _version(api_version: str) -> str:
    return api_version.rpartition("/")[2]


def _cannot_unmarshal(obj: Object, path: Path) -> str:
    """A wrong type in the words of Go's decoder.

    It names the innermost struct, and the whole way to the field but for a map's keys:
    `EnvVar.spec.containers.env.value`.
    """
    content = schema.definitions()
    defs, struct = content["$defs"], content["kinds"][f"{obj['apiVersion']}/{obj['kind']}"]
    inner, names, raw = struct, list[str](), defs[struct]
    for part in path:
        if isinstance(part, int):
            raw = raw.get("items", {})
        elif part in raw.get("properties", {}):
            struct, raw = inner, raw["properties"][part]
            names.append(part)
        else:
            raw = raw.get("additionalProperties") or {}
        inner = raw.get("$ref", inner)
        raw = defs[raw["$ref"]] if "$ref" in raw else raw
    field, wanted, value = f"{struct}.{'.'.join(names)}", _go_type(raw, inner), _value_at(obj, path)
    if raw.get("format") == "date-time" and isinstance(value, str):
        return times.complaint(value)
    given = f"number {value}" if type(value) is int and wanted in _INTEGERS else json_type(value)
    return f"json: cannot unmarshal {given} into Go struct field {field} of type {wanted}"


def _go_type(raw: Mapping[str, Any], name: str) -> str:
    """The Go type of a field; `name` is its struct's, if it is one."""
    kind = raw.get("type")
    if isinstance(kind, list):
        return "intstr.IntOrString"
    if kind == "array":
        items = raw.get("items", {})
        return "[]" + _go_type({} if "$ref" in items else items, items.get("$ref", ""))
    if "properties" in raw or not kind:
        return f"v1.{name}"
    known = _GO_TYPES.get(kind, str(kind))
    return "map[string]string" if kind == "object" else str(raw.get("format", known))


def _value_at(value: Any, path: Path) -> Any:
    for part in path:
        value = value[part]
    return value


def json_type(value: object) -> str:
    """What Go's decoder calls a JSON value: `string`, `number`, `bool`, `array`, `object`."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return f"number {value}" if isinstance(value, float) else "number"
    names: dict[type, str] = {str: "string", list: "array", dict: "object"}
    return names.get(type(value), "null")


def _repeated_in_yaml(body: bytes) -> list[str]:
    from netlab.api import yamlbodies  # most clients send JSON

    return yamlbodies.repeated(body)
