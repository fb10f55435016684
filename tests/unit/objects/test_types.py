"""Types are for mypy: at run time there is nothing of them."""

import ast
from pathlib import Path

import pytest

from netlab.objects import schema, types

STUB = Path(types.__file__).with_suffix(".pyi")


def test_every_kind_of_the_schema_has_a_type():
    classes = {node.name for node in ast.parse(STUB.read_text()).body if hasattr(node, "name")}
    assert classes >= set(schema.definitions()["kinds"].values())


def test_at_run_time_all_are_dicts():
    assert types.Pod is types.ServiceSpec is dict


def test_nothing_else_is_pretended():
    with pytest.raises(AttributeError):
        _ = types.__wrapped__
