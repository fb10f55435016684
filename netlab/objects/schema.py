"""Structure of objects: which fields exist, of which type, and how patches merge their lists.

`schema.json` (Kubernetes' kinds) and `lab.schema.json`, `pathcheck.schema.json` (netlab's own)
use the same few words of JSON Schema: type, properties, required, items, additionalProperties,
enum, $ref. Schemas are compiled on first use, field by field, since a lab touches few of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path as FilePath
from sys import intern
from typing import Any

from msgspec.structs import replace

from netlab.objects import times
from netlab.objects.kinds import OWN
from netlab.objects.meta import Object
from netlab.objects.problems import (
    FieldProblem,
    Path,
    did_you_mean,
    invalid,
    not_supported,
    required,
)

_PYTHON_TYPES: dict[str, type] = {
    "string": str,
    "integer": int,
    "boolean": bool,
    "object": dict,
    "array": list,
    "null": type(None),
}
_WORDS = {
    "string": "a string",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "object": "a mapping",
    "array": "a list",
    "null": "nothing",
}
_INT32, _INT64 = 2**31, 2**63


class Schema:
    """One field's structure, compiled from its JSON; children are compiled when asked for.

    Whole numbers lie from -`limit` up to, and not including, `limit`.
    """

    __slots__ = (
        "_defs",
        "_properties",
        "_rest",
        "children",
        "choices",
        "elements",
        "enum",
        "is_open",
        "is_time",
        "limit",
        "merge_key",
        "python_types",
        "raw",
        "required",
        "strategies",
        "takes_text",
        "types",
    )

    def __init__(self, raw: dict[str, Any], defs: dict[str, Any]) -> None:
        written = raw.get("type")
        self.raw = raw
        self.types: tuple[str, ...] = (
            (written,) if isinstance(written, str) else tuple(written or ())
        )
        self.python_types = _python_types(self.types)
        narrow = "integer" in self.types and raw.get("format") != "int64"
        self.limit = _INT32 if narrow else _INT64
        self.choices: tuple[Any, ...] = tuple(raw.get("enum", ()))
        self.enum: frozenset[Any] = frozenset(self.choices)
        self.required: tuple[str, ...] = tuple(raw.get("required", ()))
        self.merge_key: str | None = raw.get("x-kubernetes-patch-merge-key")
        strategy = raw.get("x-kubernetes-patch-strategy", "")
        self.strategies: frozenset[str] = frozenset(strategy.split(",")) - {""}
        self.is_time = raw.get("format") == "date-time"
        said = self.enum or self.is_time
        self.takes_text = not said and (not self.python_types or str in self.python_types)
        self._defs = defs
        self._properties: dict[str, Any] = raw.get("properties", {})
        rest = raw.get("additionalProperties", not self._properties)
        self.is_open = rest is not False
        anything = ANYTHING if raw else self
        self._rest: Schema = _compile(rest, defs) if isinstance(rest, dict) else anything
        self.elements: Schema = _compile(raw["items"], defs) if "items" in raw else anything
        self.children: dict[str, Schema] = {}
        """Those of the fields that have been asked for."""

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the fields that a mapping here may have; () for free-form maps."""
        return tuple(self._properties)

    def child(self, name: str) -> Schema | None:
        """The schema of a field; None when there is no such field."""
        found = self.children.get(name)
        if found is None:
            raw = self._properties.get(name)
            if raw is None:
                return self._rest if self.is_open else None
            found = self.children[name] = _compile(raw, self._defs)
        return found

    def with_words(self, raw: dict[str, Any]) -> Schema:
        """This schema with the patch words that stand beside a reference to it."""
        return Schema({**self.raw, **{k: v for k, v in raw.items() if k != "$ref"}}, self._defs)

    def at(self, path: Path) -> Schema | None:
        """The schema that a path leads to; whole numbers step into list elements."""
        here: Schema | None = self
        for part in path:
            if here is None:
                return None
            here = here.elements if isinstance(part, int) else here.child(part)
        return here


def _python_types(types: tuple[str, ...]) -> frozenset[type]:
    found = {_PYTHON_TYPES[name] for name in types if name != "number"}
    return frozenset(found | {int, float} if "number" in types else found)


def _compile(raw: dict[str, Any], defs: dict[str, Any]) -> Schema:
    """A schema; references are shared, so that recursive ones end."""
    reference = raw.get("$ref")
    if reference is None:
        return Schema(raw, defs) if raw else ANYTHING
    name = reference.rpartition("/")[2]
    target = defs[name]
    if isinstance(target, dict):
        target = defs[name] = Schema(target, defs)
    schema: Schema = target.with_words(raw) if len(raw) > 1 else target
    return schema


ANYTHING = Schema({}, {})


@cache
def _kubernetes() -> dict[str, Schema]:
    """apiVersion/kind → schema, of every kind in schema.json."""
    content = _read("schema.json")
    defs = content["$defs"]
    return {root: _compile({"$ref": name}, defs) for root, name in content["kinds"].items()}


@cache
def _netlab(kind: str) -> Schema:
    content = _read(OWN[kind].schema)
    return Schema(content, content.get("$defs", {}))


def _read(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(FilePath(__file__).with_name(name).read_bytes())
    return content


def definitions() -> dict[str, Any]:
    """schema.json as it is: `kinds` and `$defs`, with references by bare name."""
    return _read("schema.json")


def of(api_version: str, kind: str) -> Schema | None:
    """The schema of a kind; None when netlab does not know it."""
    if kind in OWN:
        return _netlab(kind)
    return _kubernetes().get(f"{api_version}/{kind}")


def check(obj: Object, schema: Schema | None = None) -> list[FieldProblem]:
    """Every unknown field, wrong type, wrong enum and missing required field of an object.

    None stands for an absent field, as in the API. An object of unknown kind has no problems.
    The problems' `reason` tells what the API server would answer with 400 (UnknownField,
    FieldValueTypeInvalid) from what it answers with 422.
    """
    schema = schema or of(str(obj.get("apiVersion")), str(obj.get("kind")))
    problems: list[FieldProblem] = []
    if schema is not None:
        _walk(obj, schema, (), problems.append)
    return problems


def _walk(value: Any, schema: Schema, path: Path, report: Callable[[FieldProblem], None]) -> None:
    kind = type(value)
    if schema.python_types and kind not in schema.python_types:
        report(_mistyped(value, schema, path))
    elif schema.enum and value not in schema.enum:
        report(_none_of(schema, value, path))
    elif kind is dict:
        _walk_mapping(value, schema, path, report)
    elif (kind is int and not -schema.limit <= value < schema.limit) or (
        schema.is_time and times.complaint(value)
    ):
        report(_mistyped(value, schema, path))
    elif kind is list and schema.elements is not ANYTHING:
        for index, element in enumerate(value):
            _walk(element, schema.elements, (*path, index), report)


_NO_OPERATOR = "not a valid selector operator"
_OTHERWISE = {
    frozenset({"In", "NotIn", "Exists", "DoesNotExist"}): _NO_OPERATOR,
    frozenset({"In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"}): _NO_OPERATOR,
    frozenset({"OrderedReady", "Parallel"}): "must be 'OrderedReady' or 'Parallel'",
}
"""What is said of another value where it is not called an unsupported one."""


def _none_of(schema: Schema, value: Any, path: Path) -> FieldProblem:
    problem, words = not_supported(path, value, schema.choices), _OTHERWISE.get(schema.enum)
    if words is None:
        return problem
    return replace(invalid(path, value, words, problem.hint), meant=problem.meant)


def _walk_mapping(
    value: dict[str, Any], schema: Schema, path: Path, report: Callable[[FieldProblem], None]
) -> None:
    if schema is ANYTHING:
        return
    misplaced: dict[str, Path] | None = None
    known = schema.children  # a call for each field would be a quarter of all this
    for name, item in value.items():
        child = known.get(name) or schema.child(name)
        if child is not None:
            # most of what there is is text where text may stand
            if item is not None and not (child.takes_text and type(item) is str):
                _walk(item, child, (*path, name), report)
            continue
        if misplaced is None:
            misplaced = _misplaced(value, schema)
        report(_unknown(name, value, schema, path, misplaced))
    for name in schema.required:
        if value.get(name) is None:
            report(required((*path, name), _OF_REQUIRED.get(name, "")))


def _mistyped(value: Any, schema: Schema, path: Path) -> FieldProblem:
    wanted = _A_TIME if schema.is_time else " or ".join(_WORDS[name] for name in schema.types)
    hint = _known_fields(schema, "its fields:") if not isinstance(value, dict | list) else None
    return FieldProblem(
        path, f"must be {wanted}, not {_describe(value, schema)}", hint, "FieldValueTypeInvalid"
    )


def _describe(value: Any, schema: Schema) -> str:
    if type(value) is int and not -schema.limit <= value < schema.limit:
        return f"a number of more than {schema.limit.bit_length()} bits"
    if value is None:
        return "empty"
    if isinstance(value, dict | list):
        return _WORDS["object" if isinstance(value, dict) else "array"]
    if isinstance(value, bool):
        return json.dumps(value)
    return f"the {'string' if isinstance(value, str) else 'number'} {json.dumps(value)}"


_A_TIME = "a time such as 2026-01-31T12:00:00Z"

# What an API server adds of a field that is missing.
_OF_REQUIRED = {"pathType": "pathType must be specified"}

# Fields of older API versions that tutorials still show (Ingress before networking.k8s.io/v1).
_FORMER_FIELDS = {
    "serviceName": "since networking.k8s.io/v1 it is service: {name: …}",
    "servicePort": "since networking.k8s.io/v1 it is service: {port: {number: …}}",
}


def _unknown(
    name: str, beside: dict[str, Any], schema: Schema, path: Path, misplaced: dict[str, Path]
) -> FieldProblem:
    text = f'unknown field "{name}"'
    place = misplaced.get(name)
    if place is not None:
        indent = f'indent it below "{place[-2]}:", which stands empty'
        return FieldProblem((*path, name), text, indent, "UnknownField", (*path, *place))
    if name in _FORMER_FIELDS and "service" in schema.fields:
        return FieldProblem((*path, name), text, _FORMER_FIELDS[name], "UnknownField")
    meant = did_you_mean(name, [field for field in schema.fields if field not in beside])
    hint = f'did you mean "{meant}"?' if meant else _known_fields(schema)
    target = (*path, meant) if meant and _fits(beside[name], schema.child(meant)) else None
    return FieldProblem((*path, name), text, hint, "UnknownField", target)


def _fits(value: Any, schema: Schema | None) -> bool:
    """Whether a value could stand in a field, going by its type."""
    if schema is None:
        return False
    return value is None or not schema.python_types or type(value) in schema.python_types


def _known_fields(schema: Schema, words: str = "there are") -> str | None:
    """A hint with all fields there are, where they are few enough to read."""
    return f"{words} {', '.join(schema.fields)}" if 0 < len(schema.fields) <= 12 else None


def _misplaced(value: dict[str, Any], schema: Schema) -> dict[str, Path]:
    """Unknown field → where it belongs, when it only lacks its indentation.

    `metadata:` and below it, at the same depth, `name: web`: the one stands empty, the other is
    unknown beside it but known within. Named fields go before free-form maps such as labels.
    """
    empty: list[tuple[Path, Schema]] = []
    places: dict[str, Path] = {}
    for name, item in value.items():
        child = schema.child(name)
        if child is None:
            found = _home(name, item, empty)
            if found is None:
                continue
            places[name], child = found
        if item is None:
            empty.append((places.get(name, (name,)), child))
    return places


def _home(name: str, item: Any, empty: list[tuple[Path, Schema]]) -> tuple[Path, Schema] | None:
    inner_first = empty[::-1]
    named = [(path, schema) for path, schema in inner_first if name in schema.fields]
    for path, schema in named or inner_first:
        child = schema.child(name)
        if child is not None and child is not ANYTHING and _fits(item, child):
            return (*path, name), child
    return None


_ZEROS: dict[str, Any] = {"string": "", "integer": 0, "number": 0, "boolean": False}


def complete(value: Any, schema: Schema) -> None:
    """Give every required scalar that is missing its zero, in place, as an API server's own
    encoding of an object does. A time's is null."""
    if isinstance(value, list):
        for element in value:
            complete(element, schema.elements)
    elif isinstance(value, dict):
        for name in schema.required:
            child = schema.child(name)
            if child is not None and child.types and child.types[0] in _ZEROS:
                value.setdefault(name, None if child.is_time else _ZEROS[child.types[0]])
        for name, item in value.items():
            child = schema.child(name)
            if child is not None:
                complete(item, child)


_LEAVES = frozenset((str, int, float, bool, type(None)))


def strip_nulls(value: Any) -> Any:
    """A copy without null fields, which mean absence; nulls in lists stay (they are mistakes).

    Fields' names and short texts in it are one string each, however many objects have them: what
    is decoded has a string for each, by far the most of what an object takes.
    """
    if isinstance(value, dict):
        return {_shared(key): _stripped(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_stripped(item) for item in value]
    return value


_SHORT = 32
"""Characters that a text has which is likely to be said more than once: names, addresses, words."""


def _shared(text: Any) -> Any:
    return intern(text) if type(text) is str and len(text) <= _SHORT else text


def _stripped(item: Any) -> Any:
    if type(item) is str:
        return intern(item) if len(item) <= _SHORT else item
    return item if type(item) in _LEAVES else strip_nulls(item)


def without(obj: Object, paths: Iterable[Path]) -> Object:
    """A copy without null fields and without the fields at these paths: what is left is sound.

    A list element goes with its whole list, so that the indexes of the others stay true.
    """
    copy: Object = strip_nulls(obj)
    for path in paths:
        while path and isinstance(path[-1], int):
            path = path[:-1]
        parent = _value_at(copy, path[:-1])
        if path and isinstance(parent, dict):
            parent.pop(path[-1], None)
    return copy


def _value_at(value: Any, path: Path) -> Any:
    for part in path:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            return None
    return value
