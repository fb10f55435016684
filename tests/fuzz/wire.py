"""Objects as a client puts them on the wire: Kubernetes' protobuf, websocket and SPDY frames."""

from __future__ import annotations

import base64
import json
import struct
from datetime import datetime
from typing import Any

from netlab.api import protobuf


def has_protobuf(obj: dict[str, Any]) -> bool:
    """Whether a protobuf message is known for the object's kind."""
    return _root(obj) in protobuf._table()["roots"]


def to_protobuf(obj: dict[str, Any]) -> bytes:
    """A sound object as `application/vnd.kubernetes.protobuf`: what `protobuf.decode` reads."""
    name = protobuf._table()["roots"][_root(obj)]
    type_meta = _field(1, obj["apiVersion"].encode()) + _field(2, obj["kind"].encode())
    return b"k8s\0" + _field(1, type_meta) + _field(2, _message(obj, name))


def _root(obj: dict[str, Any]) -> str:
    options = obj["kind"] == "DeleteOptions"
    return f"{'meta.k8s.io/v1' if options else obj['apiVersion']}/{obj['kind']}"


def _message(value: Any, name: str) -> bytes:
    if name in _SPECIAL:
        return _SPECIAL[name](value)
    out = b""
    for number, field in protobuf.message(name).items():
        if field.mark == "<":
            out += _field(number, _message(value, field.type))
        elif field.name in value:
            out += b"".join(_field(number, one) for one in _values(value[field.name], field))
    return out


def _values(value: Any, field: protobuf.Field) -> list[int | bytes]:
    if field.mark == "*":
        return [_one(item, field.type) for item in value]
    if field.mark == "%":
        inner = protobuf.message(field.type)[2].type
        pairs = value.items()
        return [_field(1, key.encode()) + _field(2, _one(item, inner)) for key, item in pairs]
    return [_one(value, field.type)]


def _one(value: Any, kind: str) -> int | bytes:
    match kind:
        case "string":
            return value.encode()
        case "bytes":
            return base64.b64decode(value)
        case "int" | "bool":
            return int(value)
        case "double":
            return struct.pack("<d", value)
    return _message(value, kind)


def _seconds(text: str) -> bytes:
    moment = datetime.fromisoformat(text)
    return _field(1, int(moment.timestamp())) + _field(2, moment.microsecond * 1000)


_SPECIAL = {
    "Quantity": lambda text: _field(1, text.encode()),
    "IntOrString": lambda value: (
        _field(1, 0) + _field(2, value)
        if isinstance(value, int)
        else _field(1, 1) + _field(3, value.encode())
    ),
    "Time": _seconds,
    "MicroTime": _seconds,
    "FieldsV1": lambda value: _field(1, json.dumps(value).encode()),
    "RawExtension": lambda value: _field(1, json.dumps(value).encode()),
}


def _field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value & (1 << 64) - 1)
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def websocket_frame(
    opcode: int, payload: bytes, *, last: bool = True, masked: bool = True
) -> bytes:
    """A client's frame; the mask is all zeros, so that the payload stays readable."""
    size = len(payload)
    short = size if size < 126 else 126 if size < 65536 else 127
    length = b"" if short == size else size.to_bytes(2 if short == 126 else 8, "big")
    head = bytes([last << 7 | opcode, masked << 7 | short])
    return head + length + bytes(4 if masked else 0) + payload
