from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.api import protobuf, protobuf_out
from netlab.api.protobuf import MalformedProtobuf
from netlab.objects import schema
from netlab.objects.kinds import KINDS, Kind
from netlab.objects.meta import Object
from netlab.objects.schema import ANYTHING, Schema


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def field(number: int, value: int | bytes | str) -> bytes:
    """One field on the wire: a whole number, a string or a message."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def request(api_version: str, kind: str, *fields: bytes) -> bytes:
    type_meta = field(1, api_version) + field(2, kind)
    return b"k8s\0" + field(1, type_meta) + field(2, b"".join(fields)) + field(3, "")


def metadata(name: str, *more: bytes) -> bytes:
    # As Go writes it: every string that is no pointer, and the zero time as an empty message.
    empty = b"".join(field(number, "") for number in (2, 3, 4, 5, 6))
    return field(1, field(1, name) + empty + field(7, 0) + field(8, b"") + b"".join(more))


def test_a_deployment_as_kubectl_sends_it() -> None:
    selector = field(1, field(1, "app") + field(2, "d"))
    container = field(1, "nginx") + field(2, "nginx:1") + field(8, b"") + field(16, 0)
    template = field(1, field(8, b"")) + field(2, field(2, container) + field(3, ""))
    spec = field(1, 2) + field(2, selector) + field(3, template) + field(4, field(1, ""))
    body = request("apps/v1", "Deployment", metadata("d"), field(2, spec + field(5, 0)))
    assert protobuf.decode(body) == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d"},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "d"}},
            "template": {"spec": {"containers": [{"name": "nginx", "image": "nginx:1"}]}},
        },
    }


def test_zero_counts_where_it_was_sent_on_purpose() -> None:
    spec = field(1, 0) + field(5, 0) + field(7, 0)
    body = request("apps/v1", "Deployment", field(2, spec))
    assert protobuf.decode(body)["spec"] == {"replicas": 0}


def test_embedded_fields_stand_among_the_parents() -> None:
    backend = field(4, field(1, "web") + field(2, field(2, 80)))
    path = field(1, "/") + field(3, "Prefix") + field(2, backend)
    rule = field(1, "host") + field(2, field(1, field(1, path)))
    body = request("networking.k8s.io/v1", "Ingress", field(2, field(3, rule)))
    assert protobuf.decode(body)["spec"]["rules"] == [
        {
            "host": "host",
            "http": {
                "paths": [
                    {
                        "path": "/",
                        "pathType": "Prefix",
                        "backend": {"service": {"name": "web", "port": {"number": 80}}},
                    }
                ]
            },
        }
    ]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (field(1, 0) + field(2, 80) + field(3, ""), 80),
        (field(1, 1) + field(2, 0) + field(3, "http"), "http"),
        (field(1, 0) + field(2, 0) + field(3, ""), None),
    ],
)
def test_a_port_is_a_number_or_a_name(raw: bytes, expected: int | str | None) -> None:
    port = field(1, "") + field(2, "TCP") + field(3, 80) + field(4, raw)
    body = request("v1", "Service", field(2, field(1, port)))
    assert protobuf.decode(body)["spec"]["ports"][0].get("targetPort") == expected


def test_bytes_times_quantities_and_maps() -> None:
    secret = request(
        "v1", "Secret", field(2, field(1, "a") + field(2, b"\xff\0")), field(3, "Opaque")
    )
    assert protobuf.decode(secret)["data"] == {"a": "/wA="}
    limits = field(1, field(1, "cpu") + field(2, field(1, "500m")))
    pod = request("v1", "Pod", field(2, field(2, field(8, limits))))
    (container,) = protobuf.decode(pod)["spec"]["containers"]
    assert container["resources"] == {"limits": {"cpu": "500m"}}
    stamped = request("v1", "ConfigMap", field(1, field(8, field(1, 0) + field(2, 0))))
    assert protobuf.decode(stamped)["metadata"]["creationTimestamp"] == "1970-01-01T00:00:00Z"


def test_the_data_of_a_controller_revision_is_json_within() -> None:
    data = field(2, field(1, '{"spec":{"x":null}}'))
    body = request("apps/v1", "ControllerRevision", metadata("db-1"), data, field(3, 7))
    assert protobuf.decode(body) == {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {"name": "db-1"},
        "data": {"spec": {"x": None}},
        "revision": 7,
    }


def test_delete_options_come_in_any_groups_name() -> None:
    body = request("apps/v1", "DeleteOptions", field(1, 0), field(4, "Foreground"))
    assert protobuf.decode(body) == {
        "apiVersion": "apps/v1", "kind": "DeleteOptions",
        "gracePeriodSeconds": 0, "propagationPolicy": "Foreground",
    }  # fmt: skip


def test_negative_numbers_and_unknown_fields() -> None:
    body = request("apps/v1", "Deployment", field(2, field(1, -3) + field(99, "new")))
    assert protobuf.decode(body)["spec"] == {"replicas": -3}


def test_a_kind_that_is_not_known_is_told_by_its_name() -> None:
    assert protobuf.decode(request("storage.k8s.io/v1", "CSIDriver", field(1, "x"))) == {
        "apiVersion": "storage.k8s.io/v1", "kind": "CSIDriver",
    }  # fmt: skip


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"k8s\0\x0a",
        b"k8s\0\x0a\x7f",
        b"k8s\0\x0b",
        b"k8s\0" + b"\xff" * 11,
        request("v1", "Secret", field(3, 7)),
        request("v1", "Secret", field(3, b"\xff")),
        request("apps/v1", "Deployment", field(2, field(1, "no number"))),
        request("v1", "ConfigMap", field(1, field(8, field(1, 1 << 62)))),
    ],
)
def test_nonsense_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedProtobuf):
        protobuf.decode(body)


@given(st.sampled_from(KINDS), st.binary(max_size=400))
def test_no_bytes_do_worse_than_malformed(kind: Any, content: bytes) -> None:
    try:
        found = protobuf.decode(request(kind.api_version, kind.kind, content))
    except MalformedProtobuf:
        return
    assert found["kind"] == kind.kind


def test_every_field_that_json_has_has_its_number() -> None:
    """Both tables come from the same release; what differs would be lost or refused."""
    differing: dict[str, set[str]] = {}
    for kind in KINDS:
        found = schema.of(kind.api_version, kind.kind)
        assert found is not None
        name = protobuf._table()["roots"][f"{kind.api_version}/{kind.kind}"]
        compare(found, name, differing, set())
    assert differing == {}


TYPE_META = {"apiVersion", "kind"}  # of whole objects: in the envelope, not in the message


def compare(found: Any, name: str, differing: dict[str, set[str]], seen: set[str]) -> None:
    if name in seen or name in protobuf._SPECIAL or not found.fields:
        return
    seen.add(name)
    fields = flat(name)
    different = set(found.fields) ^ set(fields)
    if different - TYPE_META:
        differing[name] = different
    for field_name, one in fields.items():
        child = found.child(field_name)
        if child is not None and one.mark != "%" and one.type not in protobuf._SCALARS:
            compare(child.elements if one.mark == "*" else child, one.type, differing, seen)


def flat(name: str) -> dict[str, protobuf.Field]:
    found: dict[str, protobuf.Field] = {}
    for one in protobuf.message(name).values():
        found |= flat(one.type) if one.mark == "<" else {one.name: one}
    return found


def test_doubles_are_eight_bytes() -> None:
    assert protobuf._double(struct.pack("<d", 1.5)) == 1.5


def test_objects_keep_the_order_of_what_is_repeated() -> None:
    ports = b"".join(field(1, field(1, name) + field(3, 80)) for name in ("b", "a"))
    service: Object = protobuf.decode(request("v1", "Service", field(2, ports)))
    assert [port["name"] for port in service["spec"]["ports"]] == ["b", "a"]


LISTS, MAPPINGS = ("array",), ("object",)
SCALARS = {"string": "string", "int": "integer", "bool": "boolean", "double": "number"}
NO_STRUCTURE = ("Time", "MicroTime", "Quantity", "IntOrString", "FieldsV1", "RawExtension")


def differences(name: str, structure: Schema, seen: set[str]) -> Iterator[str]:
    """What a message says otherwise than the schema of the same object, field by field."""
    if name in seen:
        return
    seen.add(name)
    for field in protobuf.message(name).values():
        below = structure if field.mark == "<" else structure.child(field.name)
        if below is None or below is ANYTHING:
            yield f"{name}.{field.name} is not in the schema"
            continue
        if (field.mark == "*") != (below.types == LISTS):
            yield f"{name}.{field.name}: {field.mark or 'one'}, in the schema {below.types}"
        one = below.elements if field.mark == "*" else below
        if field.mark == "%":
            if one.types != MAPPINGS:
                yield f"{name}.{field.name} is a map, in the schema {one.types}"
        elif field.type in SCALARS:
            if SCALARS[field.type] not in one.types:
                yield f"{name}.{field.name}: {field.type}, in the schema {one.types}"
        elif field.type not in (*NO_STRUCTURE, "bytes"):
            yield from differences(field.type, one, seen)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_the_table_and_the_schema_tell_of_the_same_fields(kind: Kind) -> None:
    """They come of two sources: a program's own types, and a published schema."""
    structure = schema.of(kind.api_version, kind.kind)
    assert structure is not None
    name = protobuf._table()["roots"][f"{kind.api_version}/{kind.kind}"]
    assert list(differences(name, structure, set())) == []


def test_terms_of_affinity_are_all_read() -> None:
    terms = [field(1, field(3, key)) for key in ("zone", "host")]
    affinity = field(2, b"".join(terms))
    body = request("v1", "Pod", metadata("p"), field(2, field(18, affinity)))
    found = protobuf.decode(body)["spec"]["affinity"]["podAffinity"]
    assert found == {
        "requiredDuringSchedulingIgnoredDuringExecution": [
            {"topologyKey": "zone"}, {"topologyKey": "host"},
        ]
    }  # fmt: skip


# -- the other way -----------------------------------------------------------------------------

GOLDEN = Path(__file__).parents[2] / "golden" / "describe"
TYPES = {f"{kind.api_version}/{kind.kind}" for kind in KINDS}


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*/*.json")), ids=lambda path: path.parent.name)
def test_what_is_written_is_read_as_it_was(path: Path) -> None:
    """But for what says nothing in Go: an empty string, list or message that is no pointer."""
    found = json.loads(path.read_text())
    for obj in found if isinstance(found, list) else [found]:
        if f"{obj.get('apiVersion')}/{obj.get('kind')}" not in TYPES:
            continue
        written = protobuf_out.encode(obj)
        assert written is not None
        assert said(protobuf.decode(written)) == said(obj)


def said(value: Any) -> Any:
    """Without what says nothing."""
    if isinstance(value, dict):
        parts = {key: said(each) for key, each in value.items()}
        return {key: each for key, each in parts.items() if each or each is False}
    if isinstance(value, list):
        return [said(each) for each in value]
    return None if value in ("", 0, False) else value


def test_what_has_no_form_is_none() -> None:
    assert protobuf_out.encode({"apiVersion": "v1", "kind": "Table"}) is None
    assert protobuf_out.encode({"apiVersion": "a.b/v1", "kind": "CList", "items": []}) is None


def test_an_event_has_its_length_before_it() -> None:
    obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}
    frame = protobuf_out.event("ADDED", obj)
    assert int.from_bytes(frame[:4], "big") == len(frame) - 4
    event = dict(protobuf.fields_of(frame[4:]))
    assert event[1] == b"ADDED"
    raw = dict(protobuf.fields_of(event[2]))[1]
    assert protobuf.decode(raw) == obj


def test_numbers_times_and_either_of_two() -> None:
    obj = {
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "s", "creationTimestamp": "2026-01-02T03:04:05Z"},
        "spec": {"ports": [{"port": 80, "targetPort": "http"}, {"port": 81, "targetPort": 8081}]},
    }  # fmt: skip
    assert protobuf.decode(protobuf_out.encode(obj) or b"") == obj
    lease = {
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l"},
        "spec": {"renewTime": "2026-01-02T03:04:05.678901Z", "leaseDurationSeconds": -1},
    }  # fmt: skip
    assert protobuf.decode(protobuf_out.encode(lease) or b"") == lease
