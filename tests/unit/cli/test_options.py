import argparse

import pytest

from netlab.cli import options
from netlab.errors import NotFound, UsageError


def named(words: list[str]) -> list[tuple[str, str]]:
    return [(kind.kind, name) for kind, name in options.parse_targets(words)]


@pytest.mark.parametrize(
    ("words", "targets"),
    [
        (["po"], [("Pod", "")]),
        (["Pods"], [("Pod", "")]),
        (["deployments.apps", "web"], [("Deployment", "web")]),
        (["statefulset.apps/db", "ds.apps/x"], [("StatefulSet", "db"), ("DaemonSet", "x")]),
        (["pod", "a", "b"], [("Pod", "a"), ("Pod", "b")]),
        (["svc,rs"], [("Service", ""), ("ReplicaSet", "")]),
        (["svc,rs", "x"], [("Service", "x"), ("ReplicaSet", "x")]),
        (["pod/a", "svc/b"], [("Pod", "a"), ("Service", "b")]),
    ],
)
def test_targets(words: list[str], targets: list[tuple[str, str]]) -> None:
    assert named(words) == targets


def test_all_is_the_usual_kinds() -> None:
    kinds = [kind for kind, _ in named(["all"])]
    assert {"Pod", "Service", "Deployment", "ReplicaSet"} <= set(kinds)
    assert "Node" not in kinds
    assert "Event" not in kinds


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ([], "name a kind: namespaces, nodes, pods"),
        (["sevices"], "did you mean services?"),
        (["Pdo"], "did you mean pod?"),
        (["bananas"], "there are: namespaces"),
        (["pod/a", "b"], "all of them must be"),
        (["pod/"], "all of them must be"),
        (["/x"], "all of them must be"),
        (["pod/a/b"], "all of them must be"),
    ],
)
def test_targets_that_make_no_sense(words: list[str], hint: str) -> None:
    with pytest.raises(UsageError) as error:
        options.parse_targets(words)
    assert hint in (error.value.hint or "")


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("90s", 90), ("5m", 300), ("2h", 7200)])
def test_seconds(text: str, seconds: int) -> None:
    assert options.seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "5x", "-5s", "1.5h"])
def test_no_seconds(text: str) -> None:
    with pytest.raises(UsageError):
        options.seconds(text)


FORMATS = options.Formats(("wide", "json", "jsonpath="))


@pytest.mark.parametrize("text", ["wide", "json", "jsonpath={.a}"])
def test_formats(text: str) -> None:
    assert FORMATS(text) == text


@pytest.mark.parametrize("text", ["", "foo", "jsonpath", "jsonpath=", "json=x", "wide,json"])
def test_no_formats(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        FORMATS(text)


def test_selector_of_services_and_workloads() -> None:
    service = {
        "kind": "Service",
        "metadata": {"name": "s"},
        "spec": {"selector": {"b": "2", "a": "1"}},
    }
    assert options.selector_of(service) == "a=1,b=2"
    expression = {"key": "tier", "operator": "In", "values": ["x", "y"]}
    selector = {"matchLabels": {"a": "1"}, "matchExpressions": [expression]}
    owner = {**service, "kind": "Deployment", "spec": {"selector": selector}}
    assert options.selector_of(owner) == "a=1,tier in (x,y)"
    with pytest.raises(UsageError, match="service/s selects no pods"):
        options.selector_of({**service, "spec": {}})


def test_what_is_not_there_comes_with_the_way_to_what_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    options.complain(NotFound('pods "x" not found', details={"kind": "pods", "name": "x"}))
    assert capsys.readouterr().err == (
        'error: pods "x" not found\n  hint: netlab get pods -A lists those there are\n'
    )


def test_no_objects_where_few_kinds_will_do_gets_an_example() -> None:
    with pytest.raises(UsageError) as refused:
        options.parse_targets([], "deploy/NAME …")
    assert refused.value.hint == "such as deploy/NAME …"
