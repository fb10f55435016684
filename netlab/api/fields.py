"""Field validation of request bodies: what `fieldValidation=Strict|Warn|Ignore` means. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Literal

from netlab.errors import BadRequest, Invalid
from netlab.objects import schema
from netlab.objects.kinds import Kind
from netlab.objects.meta import Object
from netlab.objects.problems import FieldProblem, Path

Mode = Literal["Strict", "Warn", "Ignore"]

_DIRECTIVES = ("$patch", "$retainKeys", "$setElementOrder/", "$deleteFromPrimitiveList/")
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


def check(obj: Object, field_validation: str) -> list[str]:
    """Refuse wrong types, and unknown fields when strict; returns the warnings otherwise."""
    api_version, kind = obj["apiVersion"], obj["kind"]
    handled = f'{kind} in version "{_version(api_version)}" cannot be handled as a {kind}'
    problems = schema.check(obj)
    for problem in problems:
        if problem.reason == "FieldValueTypeInvalid":
            raise BadRequest(f"{handled}: {_cannot_unmarshal(obj, problem.path)}")
    unknown = _unknown(problems)
    if unknown and mode(field_validation) == "Strict":
        hints = [problem.hint for problem in problems if problem.hint]
        raise BadRequest(
            f"{handled}: strict decoding error: {', '.join(unknown)}",
            hint=hints[0] if hints else None,
        )
    return unknown if mode(field_validation) == "Warn" else []


def check_patch(kind: Kind, change: Any, field_validation: str) -> list[str]:
    """Like `check`, for a patch that has the shape of the object it changes."""
    wanted = mode(field_validation)
    found = schema.of(kind.api_version, kind.kind)
    if not isinstance(change, dict) or found is None or wanted == "Ignore":
        return []
    unknown = _unknown(schema.check(_without_directives(change), found))
    if unknown and wanted == "Strict":
        raise _invalid_patch(change, unknown)
    return unknown


def _invalid_patch(change: Any, unknown: Iterable[str]) -> Invalid:
    message = (
        f"Invalid value: {json.dumps(json.dumps(change, separators=(',', ':')))}: "
        f"strict decoding error: {', '.join(unknown)}"
    )
    cause = {"reason": "FieldValueInvalid", "message": message, "field": "patch"}
    return Invalid(f' "" is invalid: patch: {message}', details={"causes": [cause]})


def _unknown(problems: Iterable[FieldProblem]) -> list[str]:
    return [f'unknown field "{p.field}"' for p in problems if p.reason == "UnknownField"]


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
    """A wrong type in the words of Go's decoder."""
    found = schema.of(obj["apiVersion"], obj["kind"])
    wanted = found.at(path) if found else None
    types = wanted.types if wanted else ()
    value = _value_at(obj, path)
    names = ".".join(str(part) for part in path if isinstance(part, str))
    return (
        f"json: cannot unmarshal {json_type(value)} into Go struct field "
        f"{obj['kind']}.{names} of type {_go_type(types)}"
    )


def _go_type(types: tuple[str, ...]) -> str:
    if types == ("integer", "string") or types == ("string", "integer"):
        return "intstr.IntOrString"
    return _GO_TYPES.get(types[0], types[0]) if types else "object"


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
