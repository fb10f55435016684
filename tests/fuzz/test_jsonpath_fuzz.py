"""JSONPath templates: `view.jsonpath` prints what kubectl does, and refuses what kubectl refuses.

kubectl fills them in without a cluster: `label --local --dry-run=client -o jsonpath=…`. A call
costs 40 ms, so one has many templates. NETLAB_FUZZ=40 tries forty times as many examples.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from typing import Any

from e2e.kubectls import installed
from hypothesis import given, settings
from hypothesis import strategies as st

from netlab.errors import NetlabError
from netlab.view import jsonpath

TIMES = int(os.environ.get("NETLAB_FUZZ", "1"))
BETWEEN = "\x1e"
HEAD = {"apiVersion": "x.y/v1", "kind": "Thing", "metadata": {"name": "n", "labels": {"l": "v"}}}

# -- what templates are filled in with -------------------------------------------------------

NAMES = st.sampled_from(["a", "b", "n", "a.b", "x.y/z", "é", "end"])
TEXTS = st.sampled_from(["", "a", "b", "<&>é\u2028", 'q"\\', "1", "true"])
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-2, 3)
    | TEXTS
    | st.sampled_from([0.0, 0.5, -1.5, 1e-5, 1e-7, 999999.5, 1e6, 123456789.5, 1e20, 1e21, 1e300])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=12,
)
ROWS = st.lists(
    st.fixed_dictionaries(
        {}, optional={"a": VALUES, "b": SCALARS, "n": st.integers(0, 2), "a.b": TEXTS}
    ),
    max_size=3,
)
OBJECTS = st.fixed_dictionaries({"o": VALUES, "rows": ROWS}).map(lambda given: {**HEAD, **given})

# -- templates -------------------------------------------------------------------------------

FIELDS = (
    st.sampled_from(["a", "b", "n", "o", "rows", "é", r"a\.b", r"x\.y/z", "a.b", ""]).map(
        ".{}".format
    )
    | st.sampled_from(["a", "b", "n", r"a\.b", "a.b", "kind"]).map("['{}']".format)
    | st.sampled_from(["['a.b','kind']", "['a','n']", "['n' , 'b']", r"['a\.b','rows']"])
)
ARRAYS = st.sampled_from(
    ["[*]", "[0]", "[1]", "[-1]", "[-2]", "[0:2]", "[1:]", "[:1]", "[::2]", "[-1:]", "[0,1]",
     "[0,-1]", "[2:1]", "[1:1]", "[5]", "[]"]
)  # fmt: skip
OPERANDS = st.sampled_from(
    ["@.n", "@.a", "@.b", "@.a.b", "1", "0", "-1", "0.5", "true", "'a'", '"1"', "@['a','n']",
     "@.a[0]"]
)  # fmt: skip
OPERATORS = st.sampled_from(["==", "!=", "<", "<=", ">", ">=", " == ", "=", "=~"])
FILTERS = st.builds("[?({}{}{})]".format, OPERANDS, OPERATORS, OPERANDS) | OPERANDS.map(
    "[?({})]".format
)
PATHS = st.builds(
    "{}{}".format,
    st.sampled_from(["", "$", "@", ".o"] + [".rows", ".rows[*]", ".rows[0]"] * 2),
    st.lists(FIELDS | ARRAYS | FILTERS, max_size=3).map("".join),
)
# Go goes through a mapping in any order: behind these is nothing for which that matters.
SCATTERED = st.builds(
    "{}{}{}".format,
    PATHS,
    st.sampled_from(["..a", "..n", "..", ".*", "..['a']"]),
    st.lists(st.sampled_from([".a", ".n", "['b']"]), max_size=1).map("".join),
)
QUOTED = st.sampled_from(
    [r'"\n"', r"'\t'", '"a}b"', r"'it\'s'", r'"\x41\u00e9\101"', r'"\q"', '"', "' '", r'"\'"']
)
WORDS = st.sampled_from(
    ["1", "-2", "1.5", "1.2.3", "true", "false", "kind", "end", "a-b", "]", ","]
)
ACTIONS = st.lists(PATHS | SCATTERED | QUOTED | WORDS, min_size=1, max_size=2).map(
    lambda parts: "{" + " ".join(parts) + "}"
)
PIECES = ACTIONS | st.sampled_from(["text", " ", "}", "[", "é", "{}", "{end}", "{"])
LOOPS = st.builds(
    "{{range {}}}{}{{end}}".format,
    PATHS | SCATTERED,
    st.lists(
        st.sampled_from(["{.n}", "{.a.b}", "{.a[*]}", "-", "{range .a[*]}<{.n}>{end}"]), max_size=3
    ).map("".join),
)
TEMPLATES = st.lists(PIECES | LOOPS, min_size=1, max_size=2).map("".join)


def ours(template: str, value: Any) -> str | None:
    """What we print; None when we refuse."""
    try:
        return jsonpath.render(template, value)
    except NetlabError:
        return None


def theirs(template: str, value: Any) -> str | None:
    """What kubectl prints; None when it refuses."""
    command = [str(list(installed().values())[-1]), "label", "--local", "--dry-run=client"]
    command += ["-f", "-", "l=v", "-o", f"jsonpath={template}"]
    environment = {"HOME": "/nonexistent", "KUBECONFIG": os.devnull}
    done = subprocess.run(
        command, input=json.dumps(value), capture_output=True, text=True, env=environment
    )
    return done.stdout if done.returncode == 0 else None


def in_order(template: str, printed: str | None) -> Any:
    """What is printed; its characters, where Go goes through a mapping."""
    return sorted(printed or "") if ".." in template or ".*" in template else printed


@settings(max_examples=25 * TIMES, deadline=None)
@given(OBJECTS, st.lists(TEMPLATES, min_size=1, max_size=30))
def test_templates_print_what_kubectl_prints(value: Any, templates: Sequence[str]) -> None:
    filled = {template: ours(template, value) for template in templates}
    good = [template for template in filled if filled[template] is not None]
    refused = [template for template in filled if filled[template] is None]
    found = theirs(BETWEEN.join([" ", *good]), value)
    assert found is not None, good
    for template, printed in zip(good, found.split(BETWEEN)[1:], strict=True):
        assert in_order(template, printed) == in_order(template, filled[template]), template
    for template in refused[:1]:
        assert theirs(template, value) is None, template
