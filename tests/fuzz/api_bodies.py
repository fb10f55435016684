"""A grammar of request bodies: objects, patches and envelopes, whole, spoiled and mutated."""

from __future__ import annotations

import json
import random
from typing import Any

import yaml
from fuzz import wire
from fuzz.nonsense import spoiled

from netlab.api import protobuf

JSON, YAML, PROTOBUF = "application/json", "application/yaml", protobuf.MEDIA_TYPE
PATCHES = (
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
    "application/json-patch+json",
)

_HUGE = (
    "1e999",
    "-1e999",
    "NaN",
    "Infinity",
    "9" * 5000,
    "1" + "0" * 400,
    "-0",
    "1E400",
    "0.1e-400",
)
_ODD_JSON = (
    b"", b" ", b"{", b"}", b"[]", b"null", b"0", b'""', b"[" * 100_000, b'{"a":' * 5000,
    b"\xff\xfe{}",
    b"\xef\xbb\xbf{}", b'{"kind":"Service","kind":"Pod"}', b'{"metadata":{"name":"\\ud800"}}',
    b'{"metadata":{"name":"web","annotations":{"\\udfff":"\\udfff"}}}', b"{'a': 1}", b'{"a":1,}',
    b'{"\x00":1}', b'{"metadata":[]}', b'{"metadata":null}', b'{"apiVersion":{},"kind":[]}',
    b"\x00",
    b'{"metadata":{"name":{"a":[]}}}', b'{"metadata":{"name":"web"},"a\\r\\nb":"\\u0000","\\n":1}',
)  # fmt: skip
_ODD_YAML = (
    b"", b"---\n---\n", b"a: &a [*a]", b"!!int ''", b"!!float ''", b"!!bool x", b"!!timestamp x",
    b"!!binary x", b"!!set {a}", b"!!python/object:os.system x", b"? [a]\n: b", b"a: b: c", b"\t",
    b"{{{{{{{{", b"[" * 5000, b"- " * 3000, b"%YAML 9.9\n---\n", b"a: .nan", b"a: .inf",
    b"1: 2\n1: 3",
    b"!!omap [a: b]", b"!!pairs [a: b]", b"metadata: {<<: 5}", b"!!null x", b"? ? ? a", b"\x85\xe2",
    b"a: &x {b: c}\nd: {<<: [*x, 5]}", b"a: 2024-99-99", b"a: 1:99:99", b"a: 0o99", b"a: 0b",
    b"a: 0x_",
    b"a: &a [x,x,x,x]\nb: &b [*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b]\nd: [*c,*c,*c,*c]", b"!<tag:x> y",
)  # fmt: skip


def _kubernetes(api_version: str, kind: str, **fields: Any) -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": kind, **fields}


_GRACES = (0, 3, -1, "x", None, [], 10**30)
_SCALES = ({"replicas": 3}, {"replicas": "x"}, {"replicas": -1}, [], 5, None)
_NODES = ({"name": "worker001"}, {"name": 5}, [], "x", None)
_POLICIES = ("Orphan", "Foreground", 5, [], {}, None)
_CONDITIONS = ({"uid": "x"}, {"uid": {}}, {"uid": 5}, ["x"], "x", None)


def _envelope(what: str, roll: random.Random) -> Any:
    """What is sent to a subresource, with a deletion, or as a JSON patch."""
    version = {"resourceVersion": roll.choice(("", "", "1", "x", None, 5))}
    options = _kubernetes(
        "v1",
        "DeleteOptions",
        gracePeriodSeconds=roll.choice(_GRACES),
        propagationPolicy=roll.choice(_POLICIES),
        preconditions=roll.choice(_CONDITIONS),
        dryRun=roll.choice(([], ["All"], ["x"], "All", None)),
    )
    match what:
        case "scale":
            spec = roll.choice(_SCALES)
            return _kubernetes("autoscaling/v1", "Scale", metadata=version, spec=spec)
        case "binding":
            return _kubernetes("v1", "Binding", metadata=version, target=roll.choice(_NODES))
        case "eviction":
            chosen = roll.choice((options, options, [1], "x", None))
            return _kubernetes("policy/v1", "Eviction", metadata=version, deleteOptions=chosen)
        case "patch":
            return [_operation(roll) for _ in range(roll.randrange(4))]
    return options


_ENVELOPES = ("scale", "binding", "eviction", "options", "patch")


def _value_for(body: dict[str, Any], what: str, roll: random.Random) -> Any:
    """What fits (see `_envelope`) if anything does; else the object, a part of it, or spoiled."""
    if roll.random() < 0.05:
        what = roll.choice(_ENVELOPES)
    if what in _ENVELOPES and roll.random() < 0.9:
        return _envelope(what, roll)
    whole = body if roll.random() < 0.3 else spoiled(body, roll)
    if what == "create" and isinstance(whole.get("metadata"), dict) and roll.random() < 0.6:
        whole = {**whole, "metadata": {**whole["metadata"], "name": "new"}}
    if what == "partial" or roll.random() < 0.1:
        return {key: whole[key] for key in whole if key not in ("apiVersion", "kind")}
    return whole


_POINTERS = (
    "", "/", "/metadata", "/metadata/name", "/spec", "/spec/ports/0", "/spec/ports/-", "/data",
    "/metadata/labels", "/metadata/labels/a", "/spec/replicas", "/a~2b", "x", "/status",
)  # fmt: skip


def _operation(roll: random.Random) -> Any:
    """One operation of a JSON patch."""
    verb = roll.choice(("add", "remove", "replace", "copy", "move", "test", "x", None))
    value = roll.choice((None, 5, "x", {}, [], {"a": "b"}, 10**20))
    made = {
        "op": verb,
        "path": roll.choice(_POINTERS),
        "from": roll.choice(_POINTERS),
        "value": value,
    }
    for key in list(made):
        if roll.random() < 0.1:
            del made[key]
    return made if roll.random() < 0.95 else roll.choice((5, None, [], "x"))


def _as_text(value: Any, content_type: str, roll: random.Random) -> bytes:
    if content_type in (YAML, "application/apply-patch+yaml") and roll.random() < 0.7:
        return yaml.safe_dump(value).encode()
    text = json.dumps(value)
    if roll.random() < 0.1:
        text = text.replace(roll.choice(("null", '"web"', "80", "1")), roll.choice(_HUGE), 1)
    return text.encode()


def mutated(data: bytes, roll: random.Random) -> bytes:
    """The bytes, cut off, doubled, or with some of them changed."""
    out = bytearray(data)
    for _ in range(roll.randint(1, 3)):
        at = roll.randrange(len(out) + 1)
        match roll.choice(("cut", "change", "insert", "double")):
            case "cut":
                del out[at:]
            case "change" if at < len(out):
                out[at] = roll.choice(b"\x00\xff\x7f{}[]\"',:\\\n\r a0-")
            case "insert":
                out[at:at] = bytes([roll.randrange(256)])
            case "double":
                out += out[at:]
    return bytes(out)


def written(body: dict[str, Any], what: str, content_type: str, roll: random.Random) -> bytes:
    """The body of a request about an object, mostly such as `what` is done with."""
    if roll.random() < 0.15:
        return roll.choice(_ODD_YAML if "yaml" in content_type else _ODD_JSON)
    if content_type == PROTOBUF:
        text = wire.to_protobuf(body)
    else:
        text = _as_text(_value_for(body, what, roll), content_type, roll)
    return mutated(text, roll) if roll.random() < 0.2 else text
