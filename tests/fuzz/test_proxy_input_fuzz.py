"""Whatever stands in the objects: they are used, or named and left out; never a traceback."""

import contextlib
import copy
import io
import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from netlab.cli import main as entry

GOLDEN = Path(__file__).parents[1] / "golden" / "proxy"
OBJECTS = [
    obj
    for case in sorted(GOLDEN.iterdir())
    for obj in yaml.safe_load_all((case / "objects.yaml").read_text())
    if obj
]

junk = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-1, 70000),
    st.sampled_from(["", "banana", "10.0.0.1", "fd00::1", "10.0.0.0/33", "::/0", "None", "TCP"]),
    st.sampled_from([[], {}, [None], [""], [{}], {"a": "b"}, [[]], [80], {"ip": 5}]),
    st.just("gone"),
)


def places(value, path=()):
    """Every place in an object where something could be wrong, but for what names it."""
    if path not in ((), ("metadata",)):
        yield path
    if isinstance(value, dict):
        for key, item in value.items():
            if (*path, key) not in (("kind",), ("apiVersion",), ("metadata", "name")):
                yield from places(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from places(item, (*path, index))


@st.composite
def spoilt(draw):
    obj = copy.deepcopy(draw(st.sampled_from(OBJECTS)))
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from([*places(obj), ("spec",)]))
        value = copy.deepcopy(draw(junk))
        inner = obj
        for part in path[:-1]:
            inner = inner[part]
        if value == "gone":
            inner.pop(path[-1], None) if isinstance(inner, dict) else inner.pop(path[-1])
        else:
            inner[path[-1]] = value
    return obj


def spoken(*words):
    """The exit code and all that is said."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = entry.main([str(word) for word in words])
    return code, said.getvalue()


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return tmp_path_factory.mktemp("spoilt") / "objects.json"


@settings(max_examples=400)
@given(st.lists(spoilt(), min_size=1, max_size=3), st.sampled_from(["iptables", "nftables"]))
def test_no_object_makes_it_fall_over(file, objects, mode):
    file.write_text(json.dumps({"kind": "List", "items": objects}))
    words = ["proxy", "render", "-f", file, "--node", "", "--mode", mode]
    config = GOLDEN / "cluster-ip" / "proxy.yaml"
    code, said = spoken(*words, "--config", config)
    assert code in (0, 2), said
    assert "Traceback" not in said
