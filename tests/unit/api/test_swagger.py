from __future__ import annotations

import json
from typing import Any

from netlab.api import protobuf, swagger
from netlab.objects.kinds import KINDS


def fields(data: bytes) -> dict[int, list[Any]]:
    found: dict[int, list[Any]] = {}
    for number, value in protobuf.fields_of(data):
        found.setdefault(number, []).append(value)
    return found


def named(data: bytes) -> dict[str, bytes]:
    pairs = [dict(protobuf.fields_of(entry)) for entry in data]
    return {pair[1].decode(): pair[2] for pair in pairs}  # type: ignore[union-attr]


def test_both_forms_have_the_same_definitions() -> None:
    document = json.loads(swagger.as_json())
    encoded = fields(swagger.as_protobuf())
    definitions = named(fields(encoded[9][0])[1])
    assert set(definitions) == set(document["definitions"])
    port = fields(definitions["ServicePort"])
    properties = named(fields(port[25][0])[1])
    assert set(properties) == set(document["definitions"]["ServicePort"]["properties"])
    assert fields(properties["port"])[22] == [b"\x0a\x07integer"]
    assert fields(properties["targetPort"])[1] == [b"#/definitions/IntOrString"]


def test_every_kind_is_found_by_its_name_and_its_verbs() -> None:
    document = json.loads(swagger.as_json())
    gvk = "x-kubernetes-group-version-kind"
    roots = [one for entry in document["definitions"].values() for one in entry.get(gvk, [])]
    assert len(roots) == len(KINDS)
    patch = document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"]
    assert patch[gvk] == {"group": "apps", "kind": "Deployment", "version": "v1"}
    assert "fieldValidation" in [parameter["name"] for parameter in patch["parameters"]]


def test_references_lead_somewhere() -> None:
    document = json.loads(swagger.as_json())

    def references(value: Any) -> list[str]:
        if isinstance(value, dict):
            own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
            return own + [ref for inner in value.values() for ref in references(inner)]
        return (
            [ref for inner in value for ref in references(inner)] if isinstance(value, list) else []
        )

    known = {f"#/definitions/{name}" for name in document["definitions"]}
    assert set(references(document["definitions"])) <= known


def test_ports_are_numbers_or_names() -> None:
    int_or_string = json.loads(swagger.as_json())["definitions"]["IntOrString"]
    assert int_or_string == {"type": "string", "format": "int-or-string"}
