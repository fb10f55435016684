from typing import Any

import pytest

from netlab.errors import UsageError
from netlab.view.columns import custom_columns, sort_key

PODS: list[dict[str, Any]] = [
    {"metadata": {"name": "b", "labels": {"x": "1", "a": "2"}}, "ip": "10.0.0.10", "n": 10},
    {"metadata": {"name": "a"}, "ip": "10.0.0.9", "n": 9, "c": [{"i": "p"}, {"i": "q"}]},
]


def test_columns_and_what_is_missing() -> None:
    text = custom_columns("NAME:.metadata.name,I:.c[*].i,L:.metadata.labels", PODS)
    assert text.split("\n") == [
        "NAME   I        L",
        "b      <none>   map[a:2 x:1]",
        "a      p,q      <none>",
    ]


def test_comma_inside_brackets_separates_nothing() -> None:
    assert custom_columns("N:['n','ip']", PODS[:1], headers=False) == "10,10.0.0.10"


@pytest.mark.parametrize("spec", ["NAME", "NAME:", "A:.b,C"])
def test_spec_without_a_path_is_refused(spec: str) -> None:
    with pytest.raises(UsageError, match="expected <header>"):
        custom_columns(spec, PODS)


@pytest.mark.parametrize("path", [".ip", ".n", ".metadata.name"])
def test_sorts_numbers_addresses_and_names(path: str) -> None:
    assert [pod["metadata"]["name"] for pod in sorted(PODS, key=sort_key(path))] == ["a", "b"]


def test_objects_without_the_field_come_first() -> None:
    assert sorted(PODS, key=sort_key(".c[0].i"))[0]["metadata"]["name"] == "b"
