from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.serving.answers import to_json

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ({"b": [1, None, True], "a": "ü"}, '{"b":[1,null,true],"a":"ü"}'),
        (["a > b && c < d"], '["a \\u003e b \\u0026\\u0026 c \\u003c d"]'),
        ({"&": "\u2028\u2029"}, '{"\\u0026":"\\u2028\\u2029"}'),
        ('\\u003c \n\t\x01\x7f"', '"\\\\u003c \\n\\t\\u0001\x7f\\""'),
    ],
)
def test_strings_are_written_as_go_writes_them(value: Any, written: str) -> None:
    assert to_json(value).decode() == written


@given(_JSON)
def test_what_is_written_reads_the_same(value: Any) -> None:
    assert json.loads(to_json(value)) == value
