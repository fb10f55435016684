import pytest

from netlab.objects import schema
from netlab.objects.examination import examine
from netlab.objects.problems import FieldProblem, render_path
from netlab.objects.validation import rule_problems


def service(**spec):
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": spec}


def found(obj):
    return [(one.field, one.message, one.reason) for one in schema.check(obj)]


def test_a_sound_object_has_no_problems():
    assert found(service(ports=[{"port": 80, "targetPort": "http"}], selector={"a": "b"})) == []


def test_null_means_absent():
    assert found(service(ports=None, selector={"a": None}, type=None)) == []


@pytest.mark.parametrize(
    ("spec", "field", "message", "reason"),
    [
        ({"prots": []}, "spec.prots", 'unknown field "prots"', "UnknownField"),
        (
            {"ports": [{"port": "80"}]},
            "spec.ports[0].port",
            'must be a whole number, not the string "80"',
            "FieldValueTypeInvalid",
        ),
        (
            {"ports": [{"port": 10**20}]},
            "spec.ports[0].port",
            "must be a whole number, not a number of more than 32 bits",
            "FieldValueTypeInvalid",
        ),
        (
            {"ports": [{"port": True}]},
            "spec.ports[0].port",
            "must be a whole number, not true",
            "FieldValueTypeInvalid",
        ),
        (
            {"ports": {"port": 80}},
            "spec.ports",
            "must be a list, not a mapping",
            "FieldValueTypeInvalid",
        ),
        (
            {"ports": [None]},
            "spec.ports[0]",
            "must be a mapping, not empty",
            "FieldValueTypeInvalid",
        ),
        (
            {"selector": {"app": 1}},
            "spec.selector.app",
            "must be a string, not the number 1",
            "FieldValueTypeInvalid",
        ),
        (
            {"type": "ClusterIp"},
            "spec.type",
            'Unsupported value: "ClusterIp": supported values: '
            '"ClusterIP", "ExternalName", "LoadBalancer", "NodePort"',
            "FieldValueNotSupported",
        ),
        ({"ports": [{}]}, "spec.ports[0].port", "Required value", "FieldValueRequired"),
    ],
)
def test_structural_mistakes(spec, field, message, reason):
    assert found(service(**spec)) == [(field, message, reason)]


@pytest.mark.parametrize(("seconds", "right"), [(2**31, True), (-(2**63), True), (2**63, False)])
def test_some_numbers_are_wider(seconds, right):
    spec = {"containers": [{"name": "c"}], "terminationGracePeriodSeconds": seconds}
    obj = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec}
    assert (found(obj) == []) is right


def test_a_quantity_may_be_a_number_and_a_target_port_a_name():
    limits = {"cpu": 1, "memory": "64Mi"}
    container = {"name": "a", "image": "b", "resources": {"limits": limits}}
    pod = {"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [container]}}
    assert found(pod) == []


def test_paths_are_rendered_as_the_api_server_does():
    assert render_path(("spec", "ports", 0, "nodePort")) == "spec.ports[0].nodePort"
    assert render_path(("metadata", "labels", "a.b/c")) == "metadata.labels[a.b/c]"


def test_a_cause_for_a_status():
    problem = FieldProblem(("spec", "type"), "Required value", None, "FieldValueRequired")
    assert problem.cause() == {
        "reason": "FieldValueRequired",
        "message": "Required value",
        "field": "spec.type",
    }


def test_a_misspelt_field_is_mended_and_its_content_checked():
    obj = service()
    obj["netadata"] = obj.pop("metadata")
    obj["netadata"]["lables"] = {"app": 1}
    examined = examine(obj)
    assert [(one.field, one.hint) for one in examined.problems[:2]] == [
        ("netadata", 'did you mean "metadata"?'),
        ("metadata.lables", 'did you mean "labels"?'),
    ]
    assert examined.problems[2].field == "metadata.labels.app"
    assert examined.sound["metadata"] == {"name": "web", "labels": {}}
    assert examined.origin(("metadata", "labels", "app")) == ("netadata", "lables", "app")


def test_the_examined_object_is_left_alone():
    obj = service(type="NodePrt", prots=[])
    before = repr(obj)
    examine(obj)
    assert repr(obj) == before


def test_fields_without_their_indentation_go_home():
    obj = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": None,
        "name": "clusterip_service",
        "spec": None,
        "ports": [{"port": 8080}],
        "selector": None,
        "app": "webserver",
        "type": "NodePort",
    }
    examined = examine(obj)
    assert [(one.field, one.hint) for one in examined.problems] == [
        ("name", 'indent it below "metadata:", which stands empty'),
        ("ports", 'indent it below "spec:", which stands empty'),
        ("selector", 'indent it below "spec:", which stands empty'),
        ("app", 'indent it below "selector:", which stands empty'),
        ("type", 'indent it below "spec:", which stands empty'),
    ]
    assert examined.sound["spec"] == {
        "ports": [{"port": 8080}],
        "selector": {"app": "webserver"},
        "type": "NodePort",
    }
    assert [one.field for one in rule_problems(examined)] == ["metadata.name"]


def test_what_was_malformed_is_not_missed_again():
    examined = examine(service(ports=[{"port": "80"}]))
    assert [one.field for one in examined.problems] == ["spec.ports[0].port"]
    assert rule_problems(examined) == []


def test_a_value_is_not_moved_where_its_type_does_not_fit():
    obj = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spce": "x"}
    assert [one.field for one in examine(obj).problems] == ["spce"]


def test_without_takes_list_elements_with_their_list():
    obj = {"spec": {"ports": [{"port": 1}, 2], "type": "x", "a": None}}
    assert schema.without(obj, [("spec", "ports", 1), ("nope", "x")]) == {"spec": {"type": "x"}}
