import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from netlab.objects import yamlout
from netlab.objects.yamltext import read, resolve

_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**12), 10**12)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text("abcdefg-_./ ", min_size=1, max_size=8), inner, max_size=4)
    ),
    max_leaves=20,
)


def values(text):
    documents, troubles = read(text)
    assert troubles == []
    assert [trouble for document in documents for trouble in document.troubles] == []
    return [document.value for document in documents]


@given(_JSON)
@example(["0E0", "1e5", "0o17", "y", "1_000", "08", "", {"1e5": "~"}])
def test_reads_back_what_is_written(value):
    assert values(yamlout.dump(value)) == [value]
    assert values(yamlout.dump(value, flow=True)) == [value]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("yes", True),
        ("Off", False),
        ("y", "y"),
        ("0", 0),
        ("-12", -12),
        ("+3", 3),
        ("010", 8),
        ("0o10", 8),
        ("0x1F", 31),
        ("0b101", 5),
        ("1_000", 1000),
        ("080", "080"),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("1e999", "1e999"),
        ("9" * 2000, "9" * 2000),
        ("12:30", "12:30"),
        ("2024-01-01", "2024-01-01"),
        ("1.2.3", "1.2.3"),
        ("10.0.0.1", "10.0.0.1"),
        ("-", "-"),
        (".inf", ".inf"),
        ("._", "._"),
    ],
)
def test_scalars(text, value):
    found = resolve(text)
    assert found == value
    assert type(found) is type(value)


@given(st.text(st.sampled_from("0123456789_+-.eExXoObabcdef:"), min_size=1, max_size=12))
def test_any_scalar_resolves(text):
    value = resolve(text)
    assert not (isinstance(value, float) and math.isinf(value))


def test_documents_and_lines():
    documents, _ = read("# first\na: 1\n---\n---\nb:\n- c\n- d: {e: f}\n...\n---\ng: h\n")
    assert [document.value for document in documents if document.value is not None] == [
        {"a": 1},
        {"b": ["c", {"d": {"e": "f"}}]},
        {"g": "h"},
    ]
    second = next(one for one in documents if one.value and "b" in one.value)
    assert second.line(()) == 5
    assert second.line(("b", 1, "d", "e")) == 7
    assert second.line(("b", 0)) == 6
    assert second.line(("b", 9, "nope")) == 5
    assert documents[-1].line(("g",)) == 10


def test_quoted_scalars_are_text():
    assert values("a: '1'\nb: \"yes\"\nc: !!str 3\nd: |\n  yes\n") == [
        {"a": "1", "b": "yes", "c": "3", "d": "yes\n"}
    ]


def test_anchors_do_not_reach_into_the_next_document():
    _, troubles = read("a: &x 1\n---\nb: *x\n")
    assert [trouble.line for trouble in troubles] == [3]
