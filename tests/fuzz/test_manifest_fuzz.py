"""Whatever bytes stand in a file: a manifest, or complaints. Never a traceback."""

import os
import random
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netlab.errors import InputError
from netlab.manifest import Manifest, load, loads

ROOT = Path(__file__).parents[2]
SEEDS = [path.read_bytes() for path in sorted((ROOT / "topologies").glob("*.yaml"))]
SEEDS += [
    path.read_bytes() for path in sorted((ROOT / "tests/golden/manifest").glob("*/input.yaml"))
]
PIECES = [
    b"\t", b"  ", b"\n", b"---\n", b": ", b"- ", b"{", b"}", b"[", b"]", b"&a ", b"*a", b"<<: ",
    b"!!int ", b"|\n", b">\n", b"'", b'"', b"#", b"? ", b"null", b"yes", b"080", b"0x", b"1e9",
    b"99999999999999999999", b"-1", b"\xff", b"\x00", "é".encode(), b"%YAML 1.2\n", b"...\n",
    b"kind: Service\n", b"kind: Lab\n", b"kind: List\nitems:\n", b"spec:\n", b"metadata:\n",
]  # fmt: skip
EXAMPLES = int(os.environ.get("NETLAB_FUZZ_EXAMPLES", "150"))


def survives(text_or_path):
    try:
        manifest = loads(text_or_path) if isinstance(text_or_path, str) else load([text_or_path])
    except InputError as error:
        assert error.problems
        assert all(problem.file and problem.message for problem in error.problems)
    else:
        assert isinstance(manifest, Manifest)


def mutated(seed: bytes, chance: random.Random, times: int) -> bytes:
    data = bytearray(seed)
    for _ in range(times):
        at = chance.randrange(len(data) + 1)
        match chance.randrange(4):
            case 0:
                data[at:at] = chance.choice(PIECES)
            case 1:
                del data[at : at + chance.randrange(1, 12)]
            case 2:
                start = chance.randrange(len(data) + 1)
                data[at:at] = data[start : start + chance.randrange(1, 60)]
            case 3 if data:
                data[at % len(data)] = chance.randrange(256)
    return bytes(data)


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.sampled_from(SEEDS), st.randoms(use_true_random=False), st.integers(1, 12))
def test_mutated_manifests(tmp_path, seed, chance, times):
    path = tmp_path / "mutated.yaml"
    path.write_bytes(mutated(seed, chance, times))
    survives(path)


@settings(max_examples=EXAMPLES)
@given(st.sampled_from(SEEDS), st.randoms(use_true_random=False), st.data())
def test_manifests_with_values_exchanged(seed, chance, data):
    """Well-formed YAML whose structure is wrong: subtrees swapped, dropped, replaced."""
    try:
        documents = [one for one in yaml.safe_load_all(seed) if isinstance(one, dict)]
    except (yaml.YAMLError, UnicodeDecodeError):
        return
    places = [place for document in documents for place in _places(document)]
    if not places:
        return
    for _ in range(data.draw(st.integers(1, 6))):
        container, key = chance.choice(places)
        other, other_key = chance.choice(places)
        if isinstance(container, list) and key >= len(container):
            continue
        replacement = chance.choice([None, True, -1, 1.5, "", "x" * 300, [], {}, [None], {"a": []}])
        if chance.random() < 0.5 and _has(other, other_key):
            replacement = yaml.safe_load(yaml.safe_dump(other[other_key]))
        container[key] = replacement
    survives(yaml.safe_dump_all(documents))


def _places(value):
    """Every (container, key) within a value."""
    if isinstance(value, dict | list):
        keys = value if isinstance(value, dict) else range(len(value))
        for key in list(keys):
            yield value, key
            yield from _places(value[key])


def _has(container, key):
    return key in container if isinstance(container, dict) else key < len(container)


@settings(max_examples=EXAMPLES)
@given(st.text(max_size=80))
def test_any_text(text):
    survives(text)


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.binary(max_size=80))
def test_any_bytes(tmp_path, data):
    path = tmp_path / "any.yaml"
    path.write_bytes(data)
    survives(path)


@pytest.mark.parametrize("name", ["/proc/self/mem", "/dev/full", "/proc/self/environ"])
def test_odd_files(name):
    if not Path(name).exists() or name == "/dev/full":
        return
    survives(Path(name))
