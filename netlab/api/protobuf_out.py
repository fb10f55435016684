"""Objects as JSON has them → Kubernetes' protobuf, the inverse of `protobuf.decode`. Pure.

Only who accepts nothing else is answered so: what JSON says the other says as well.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from netlab.api import protobuf
from netlab.api.protobuf import Field, Message
from netlab.objects.meta import Object


def _fields(**numbers: str) -> Message:
    found = {}
    for name, text in numbers.items():
        number, *rest = text.split()
        found[int(number)] = Field(name.rstrip("_"), *rest)
    return found


_OWN: Mapping[str, Message] = {
    "ListMeta": _fields(
        selfLink="1 string", resourceVersion="2 string", continue_="3 string",
        remainingItemCount="4 int ?",
    ),
    "Status": _fields(
        metadata="1 ListMeta", status="2 string", message="3 string", reason="4 string",
        details="5 StatusDetails ?", code="6 int",
    ),
    "StatusDetails": _fields(
        name="1 string", group="2 string", kind="3 string", causes="4 StatusCause *",
        retryAfterSeconds="5 int", uid="6 string",
    ),
    "StatusCause": _fields(reason="1 string", message="2 string", field="3 string"),
    "APIVersions": _fields(
        versions="1 string *", serverAddressByClientCIDRs="2 ServerAddressByClientCIDR *",
    ),
    "APIGroupList": _fields(groups="1 APIGroup *"),
    "APIGroup": _fields(
        name="1 string", versions="2 GroupVersionForDiscovery *",
        preferredVersion="3 GroupVersionForDiscovery",
        serverAddressByClientCIDRs="4 ServerAddressByClientCIDR *",
    ),
    "APIResourceList": _fields(groupVersion="1 string", resources="2 APIResource *"),
    "APIResource": _fields(
        name="1 string", namespaced="2 bool", kind="3 string", verbs="4 Verbs",
        shortNames="5 string *", singularName="6 string", categories="7 string *",
        group="8 string", version="9 string", storageVersionHash="10 string",
    ),
    "GroupVersionForDiscovery": _fields(groupVersion="1 string", version="2 string"),
    "ServerAddressByClientCIDR": _fields(clientCIDR="1 string", serverAddress="2 string"),
}  # fmt: skip
"""What no request has, and answers have: by meta/v1/generated.proto."""

_ANSWERS = ("Status", "APIVersions", "APIGroupList", "APIGroup", "APIResourceList")


def encode(document: Object) -> bytes | None:
    """An object, a list of objects, a Status or what discovery tells, in its envelope; None for
    what has no form."""
    api_version, kind = str(document.get("apiVersion") or "v1"), str(document["kind"])
    if (content := _content(document, api_version, kind)) is None:
        return None
    type_meta = _string(1, api_version) + _string(2, kind)
    return protobuf.MAGIC + _delimited(1, type_meta) + _delimited(2, content)


def event(kind: str, document: Object) -> bytes:
    """An event of a watch, its length before it; what has no form is left out of it."""
    content = _string(1, kind) + _delimited(2, _delimited(1, encode(document) or b""))
    return len(content).to_bytes(4, "big") + content


def _content(document: Object, api_version: str, kind: str) -> bytes | None:
    if api_version == "v1" and kind in _ANSWERS:
        return _message(document, kind)
    if (name := protobuf.root(api_version, kind)) is not None:
        return _message(document, name)
    of = protobuf.root(api_version, kind.removesuffix("List"))
    if of is None or "items" not in document:
        return None
    items = (_delimited(2, _message(item, of)) for item in document["items"])
    return _delimited(1, _message(document.get("metadata") or {}, "ListMeta")) + b"".join(items)


def _message(value: Any, name: str) -> bytes:
    special = _SPECIAL.get(name)
    if special is not None:
        return special(value)
    known = _OWN[name] if name in _OWN else protobuf.message(name)
    return b"".join(
        part for number, field in sorted(known.items()) for part in _field(value, number, field)
    )


def _field(holder: Mapping[str, Any], number: int, field: Field) -> Iterator[bytes]:
    if field.mark == "<":
        yield _delimited(number, _message(holder, field.type))
        return
    value = holder.get(field.name)
    if value is None:
        return
    if field.mark == "%":
        of = protobuf.message(field.type)[2].type
        for key, each in value.items():
            yield _delimited(number, _string(1, str(key)) + _one(2, each, of))
    elif field.mark == "*":
        for each in value:
            yield _one(number, each, field.type)
    else:
        yield _one(number, value, field.type)


def _one(number: int, value: Any, kind: str) -> bytes:
    scalar = _SCALARS.get(kind)
    if scalar is not None:
        return scalar(number, value)
    return _delimited(number, _message(value, kind))


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _delimited(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _string(number: int, text: str) -> bytes:
    return _delimited(number, text.encode("utf-8", "surrogatepass"))


def _whole(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(int(value))


_SCALARS: Mapping[str, Callable[[int, Any], bytes]] = {
    "string": lambda number, value: _string(number, str(value)),
    "bytes": lambda number, value: _delimited(number, base64.b64decode(value)),
    "int": _whole,
    "bool": _whole,
    "double": lambda number, value: _varint(number << 3 | 1) + struct.pack("<d", value),
}


def _int_or_string(value: int | str) -> bytes:
    if isinstance(value, str):
        return _whole(1, 1) + _string(3, value)
    return _whole(1, 0) + _whole(2, value)


def _time(value: str) -> bytes:
    moment = datetime.fromisoformat(value).astimezone(UTC)
    nanos = moment.microsecond * 1000
    return _whole(1, int(moment.replace(microsecond=0).timestamp())) + _whole(2, nanos)


def _raw_json(value: Any) -> bytes:
    return _delimited(1, json.dumps(value, separators=(",", ":")).encode())


_SPECIAL: Mapping[str, Callable[[Any], bytes]] = {
    "Quantity": lambda value: _string(1, str(value)),
    "IntOrString": _int_or_string,
    "Time": _time,
    "MicroTime": _time,
    "FieldsV1": _raw_json,
    "RawExtension": _raw_json,
    "Verbs": lambda value: b"".join(_string(1, one) for one in value),
}
