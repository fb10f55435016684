"""The shipped schemas against the code, the examples, and an independent validator."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

import netlab.objects
from netlab.objects import schema
from netlab.objects.kinds import KINDS
from netlab.objects.lab import lab_from_object, lab_problems
from netlab.objects.ranges import DEFAULT_RANGES
from netlab.objects.validate_pathcheck import check_problems

HERE = Path(netlab.objects.__file__).parent
TOPOLOGIES = sorted((HERE.parent.parent / "topologies").glob("*.yaml"))
DRAFT = jsonschema.Draft202012Validator


def shipped(name):
    return json.loads((HERE / name).read_text())


OWN = {
    "Lab": shipped("lab.schema.json"),
    "PathCheck": shipped("pathcheck.schema.json"),
}


def examples():
    for path in TOPOLOGIES:
        for number, obj in enumerate(yaml.safe_load_all(path.read_text())):
            if obj["kind"] in OWN:
                yield pytest.param(obj, id=f"{path.stem}-{number}-{obj['kind']}")


def parts(node, path=""):
    """Every schema within a schema, with its path."""
    yield path, node
    for name, child in node.get("properties", {}).items():
        yield from parts(child, f"{path}.{name}")
    for word in ("items", "additionalProperties"):
        if isinstance(node.get(word), dict):
            yield from parts(node[word], f"{path}.{word}")
    for name, child in node.get("$defs", {}).items():
        yield from parts(child, f"#{name}")


@pytest.mark.parametrize("kind", OWN)
def test_our_schemas_are_valid_draft_2020_12(kind):
    DRAFT.check_schema(OWN[kind])
    assert OWN[kind]["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize("kind", OWN)
def test_every_property_is_described(kind):
    for path, node in parts(OWN[kind]):
        for name, child in node.get("properties", {}).items():
            assert "description" in child or "$ref" in child, f"{path}.{name}"


@pytest.mark.parametrize("kind", OWN)
def test_every_mapping_of_ours_is_closed_or_a_free_map(kind):
    for path, node in parts(OWN[kind]):
        if "properties" in node:
            assert node["additionalProperties"] is False, path


@pytest.mark.parametrize("obj", list(examples()))
def test_the_topologies_hold_to_the_schema(obj):
    DRAFT(OWN[obj["kind"]]).validate(obj)


def test_a_lab_spelled_out_holds_to_the_schema():
    for spec in ({"nodes": 3}, {"nodes": 1, "ipFamilies": ["IPv4", "IPv6"]}):
        made = lab_from_object({"kind": "Lab", "metadata": {"name": "x"}, "spec": spec})
        DRAFT(OWN["Lab"]).validate(made.to_object())


def test_the_schema_names_the_defaults_that_the_code_fills():
    spec = OWN["Lab"]["properties"]["spec"]["properties"]
    filled = lab_from_object({"metadata": {"name": "x"}, "spec": {"nodes": 1}}).to_object()["spec"]
    for name in ("podCIDR", "serviceCIDR", "ipFamilies", "proxyMode", "iptables", "nodeNetwork"):
        assert spec[name]["default"] == filled[name], name
    for group in ("proxy", "dns"):
        for name, one in spec[group]["properties"].items():
            if not one.get("deprecated"):
                assert one["default"] == filled[group][name], f"{group}.{name}"
    for name in ("names", "upstream"):
        assert spec["external"]["properties"][name]["default"] == filled["external"][name]
    assert spec["external"]["properties"]["cidr"]["default"] == filled["external"]["cidr"]
    assert DEFAULT_RANGES["podCIDR"]["IPv4"] == spec["podCIDR"]["default"]


def test_what_the_schema_knows_is_what_the_lab_writes():
    spec = OWN["Lab"]["properties"]["spec"]["properties"]
    made = lab_from_object({"metadata": {"name": "x"}, "spec": {"nodes": 2}}).to_object()["spec"]
    assert set(spec) == set(made)
    assert set(OWN["Lab"]["$defs"]["node"]["properties"]) == set(made["nodes"][0])


BAD = [
    ("Lab", {"spec": {"nodes": "3"}}),
    ("Lab", {"spec": {"nodes": 3, "podCidr": "x"}}),
    ("Lab", {"spec": {"nodes": [{"name": "a", "role": "boss"}]}}),
    ("Lab", {"spec": {}}),
    ("Lab", {"metadata": {"name": "A_B"}, "spec": {"nodes": 1}}),
    ("PathCheck", {"spec": {"from": {"pod": "a"}}}),
    ("PathCheck", {"spec": {"from": {"pod": 1}, "to": {"service": "a"}}}),
    (
        "PathCheck",
        {
            "spec": {
                "from": {"pod": "a"},
                "to": {"service": "b"},
                "expect": {"outcome": "fine"},
            }
        },
    ),
]


@pytest.mark.parametrize(("kind", "content"), BAD)
def test_the_schema_and_the_code_refuse_alike(kind, content):
    obj = {"apiVersion": "netlab/v1", "kind": kind, "metadata": {"name": "x"}, **content}
    assert not DRAFT(OWN[kind]).is_valid(obj)
    assert (lab_problems if kind == "Lab" else check_problems)(obj)


# schema.json


def test_every_served_kind_has_a_schema():
    for kind in KINDS:
        found = schema.of(kind.api_version, kind.kind)
        assert found is not None, kind
        assert {"apiVersion", "kind", "metadata"} <= set(found.fields), kind


def test_references_lead_somewhere_and_nothing_is_left_over():
    content = schema.definitions()
    text = json.dumps(content["$defs"])
    used = set(content["kinds"].values())
    for name, node in content["$defs"].items():
        for _, one in parts(node):
            if "$ref" in one:
                assert one["$ref"] in content["$defs"], name
                used.add(one["$ref"])
    assert used == set(content["$defs"])
    assert "description" not in {key for n in content["$defs"].values() for key in n}
    assert len(text) < 100_000


def test_patches_find_how_lists_merge():
    pod = schema.of("v1", "Pod")
    assert pod is not None
    containers = pod.at(("spec", "containers"))
    assert containers is not None and containers.merge_key == "name"
    assert containers.strategies == {"merge"}
    env = pod.at(("spec", "containers", 0, "env"))
    assert env is not None and env.merge_key == "name"
    service = schema.of("v1", "Service")
    assert service is not None
    ports = service.at(("spec", "ports"))
    assert ports is not None and ports.merge_key == "port"
    volumes = pod.at(("spec", "volumes"))
    assert volumes is not None and volumes.strategies == {"merge", "retainKeys"}
    deployment = schema.of("apps/v1", "Deployment")
    assert deployment is not None
    strategy = deployment.at(("spec", "strategy"))
    assert strategy is not None and strategy.strategies == {"retainKeys"}
    assert pod.at(("spec", "nope", "x")) is None


def test_unknown_kinds_have_no_schema():
    assert schema.of("v1", "Nope") is None
    assert schema.check({"apiVersion": "v1", "kind": "Nope", "x": 1}) == []


def test_the_generated_schema_says_where_it_comes_from():
    assert "scripts/generate-schema" in schema.definitions()["$comment"]


def test_defaults_match_the_schema():
    from netlab.objects.pathcheck import Expectation, Spread

    expect = OWN["PathCheck"]["$defs"]["expect"]["properties"]
    assert expect["outcome"]["default"] == Expectation().outcome
    assert expect["spread"]["properties"]["atLeast"]["default"] == Spread(1).at_least
