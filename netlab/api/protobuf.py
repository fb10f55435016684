"""Kubernetes' protobuf → objects as JSON has them. Pure.

`kubectl create deployment`, `create service` and their like send nothing else since 1.32. The
table of field numbers is `protobuf.json`, written by scripts/generate-protobuf.

Go's messages hold a value for every field that is no pointer, so a zero there says nothing and
counts as not given; a pointer that was sent means what it says, `replicas: 0` too.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from msgspec import Struct

from netlab.objects.meta import Object

MEDIA_TYPE = "application/vnd.kubernetes.protobuf"

MAGIC = b"k8s\0"
_DEEPEST = 64
_OPTIONS = "meta.k8s.io/v1", "DeleteOptions"

Value = int | bytes


class MalformedProtobuf(ValueError):
    """Bytes that are no protobuf, or none that the table can make sense of."""


class Field(Struct, frozen=True):
    """One field: its JSON name, its type (a scalar's or a message's name) and its marks.

    `*` repeated, `?` a pointer in Go, `<` embedded (its fields are the parent's), `%` a map.
    """

    name: str
    type: str
    mark: str = ""


Message = dict[int, Field]


@cache
def _table() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(Path(__file__).with_name("protobuf.json").read_bytes())
    return content


@cache
def message(name: str) -> Message:
    """The fields of a message by number."""
    raw = _table()["messages"][name]
    return {int(number): Field(*text.split(" ")) for number, text in raw.items()}


def root(api_version: str, kind: str) -> str | None:
    """The message that an object of a kind is; None for one that is not in the table."""
    found: str | None = _table()["roots"].get(f"{api_version}/{kind}")
    return found


def decode(body: bytes) -> Object:
    """A request body: the four magic bytes, and the object in its envelope.

    A kind that is not in the table comes without content, to be refused by its name.
    """
    if not body.startswith(MAGIC):
        raise MalformedProtobuf("provided data does not appear to be a protobuf message")
    envelope = dict(fields_of(body[len(MAGIC) :]))
    type_meta = dict(fields_of(_bytes(envelope.get(1, b""))))
    api_version = _text(_bytes(type_meta.get(1, b"")))
    kind = _text(_bytes(type_meta.get(2, b"")))
    name = root(*_OPTIONS) if kind == "DeleteOptions" else root(api_version, kind)
    content = _message(_bytes(envelope.get(2, b"")), name, 0) if name else {}
    return {"apiVersion": api_version, "kind": kind, **(content or {})}


def fields_of(data: bytes) -> Iterator[tuple[int, Value]]:
    """The (number, value)s of a message; whole numbers as they are, all else as bytes."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, at = _varint(data, at)
            yield number, value
            continue
        size = {1: 8, 5: 4}.get(wire, 0)
        if wire == 2:
            size, at = _varint(data, at)
        elif not size:
            raise MalformedProtobuf(f"proto: illegal wireType {wire}")
        if at + size > len(data):
            raise MalformedProtobuf("unexpected EOF")
        yield number, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data):
            raise MalformedProtobuf("unexpected EOF")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at
        shift += 7
        if shift > 63:
            raise MalformedProtobuf("proto: integer overflow")


def _message(data: bytes, name: str, depth: int) -> Any:
    """A message as JSON has it; None when nothing of it was given."""
    if depth > _DEEPEST:
        raise MalformedProtobuf("proto: nested too deeply")
    special = _SPECIAL.get(name)
    if special is not None:
        return special(dict(fields_of(data)))
    found: Object = {}
    known = message(name)
    for number, value in fields_of(data):
        field = known.get(number)
        if field is not None:
            _add(found, field, value, depth + 1)
    return found or None


def _add(found: Object, field: Field, value: Value, depth: int) -> None:
    if field.mark == "%":
        entry = dict(fields_of(_bytes(value)))
        parts = message(field.type)
        key = _text(_bytes(entry.get(1, b"")))
        found.setdefault(field.name, {})[key] = _one(entry.get(2, b""), parts[2].type, depth)
        return
    decoded = _one(value, field.type, depth)
    if field.mark == "<":
        found.update(decoded or {})
    elif field.mark == "*":
        found.setdefault(field.name, []).append({} if decoded is None else decoded)
    elif field.mark == "?":
        found[field.name] = {} if decoded is None else decoded
    elif decoded:
        found[field.name] = decoded


def _one(value: Value, kind: str, depth: int) -> Any:
    scalar = _SCALARS.get(kind)
    return scalar(value) if scalar is not None else _message(_bytes(value), kind, depth)


# -- scalars -------------------------------------------------------------------------------


def _bytes(value: Value) -> bytes:
    if isinstance(value, int):
        raise MalformedProtobuf("proto: wrong wireType")
    return value


def _number(value: Value) -> int:
    if not isinstance(value, int):
        raise MalformedProtobuf("proto: wrong wireType")
    return value - (1 << 64) if value >> 63 else value


def _double(value: Value) -> float:
    data = _bytes(value)
    if len(data) != 8:
        raise MalformedProtobuf("proto: wrong wireType")
    found: float = struct.unpack("<d", data)[0]
    return found


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise MalformedProtobuf("proto: a string is not UTF-8") from None


_SCALARS: dict[str, Callable[[Value], Any]] = {
    "string": lambda value: _text(_bytes(value)),
    "bytes": lambda value: base64.b64encode(_bytes(value)).decode(),
    "int": _number,
    "bool": lambda value: bool(_number(value)),
    "double": _double,
}


# -- messages that JSON writes as something else --------------------------------------------


def _quantity(fields: dict[int, Value]) -> str:
    return _text(_bytes(fields.get(1, b"")))


def _int_or_string(fields: dict[int, Value]) -> int | str:
    if _number(fields.get(1, 0)):
        return _text(_bytes(fields.get(3, b"")))
    return _number(fields.get(2, 0))


def _time(fields: dict[int, Value], timespec: str = "seconds") -> str | None:
    """RFC 3339; a time without seconds is Go's zero time, which is no time."""
    if 1 not in fields:
        return None
    seconds, nanos = _number(fields[1]), _number(fields.get(2, 0))
    try:
        moment = datetime.fromtimestamp(seconds, UTC).replace(microsecond=nanos // 1000)
    except (ValueError, OverflowError, OSError):
        raise MalformedProtobuf(f"proto: {seconds} seconds are no time") from None
    return moment.isoformat(timespec=timespec).replace("+00:00", "Z")


def _raw_json(fields: dict[int, Value]) -> Any:
    data = _bytes(fields.get(1, b""))
    try:
        return json.loads(data) if data else None
    except (ValueError, RecursionError) as error:
        raise MalformedProtobuf(f"json parse error: {error}") from None


_SPECIAL: dict[str, Callable[[dict[int, Value]], Any]] = {
    "Quantity": _quantity,
    "IntOrString": _int_or_string,
    "Time": _time,
    "MicroTime": lambda fields: _time(fields, "microseconds"),
    "FieldsV1": _raw_json,
    "RawExtension": _raw_json,
}
