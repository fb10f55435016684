"""What others write cannot steer a terminal, wherever it is shown."""

from __future__ import annotations

import json
import unicodedata
from typing import Any

import pytest

from netlab.view.columns import custom_columns
from netlab.view.describing import describe
from netlab.view.describing.described import Related
from netlab.view.escape import escape, escape_json, escape_line, first_line
from netlab.view.rules import Branch, Look
from netlab.view.rules import render as tree_lines
from netlab.view.table import Style, align, render

RED = "\x1b[31m"
BIDI = ["LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"]


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("\x1b[31mred", "^[[31mred"),  # as kubectl shows these two
        ("over\rwritten", "over\\rwritten"),
        ("\x00\x07\x08\x0b\x0c\x7f", "^@^G^H^K^L^?"),
        ("\x9b31m \x85", "\\u009b31m \\u0085"),
        ("\u202egnp.exe\u2069\u200f", "\\u202egnp.exe\\u2069\\u200f"),
        ("\ud800", "\\ud800"),
        (
            "lines\nand\ttabs stay, as do é, 汉, 😀, └─",
            "lines\nand\ttabs stay, as do é, 汉, 😀, └─",
        ),
    ],
)
def test_what_steers_is_shown(raw: str, shown: str) -> None:
    assert escape(raw) == shown
    assert escape(shown) == shown


def test_nothing_that_steers_is_left_out() -> None:
    steering = [
        character
        for character in map(chr, range(0x110000))
        if unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")
        or unicodedata.bidirectional(character) in BIDI
    ]
    assert [one for one in steering if escape(one) == one] == ["\t", "\n"]


def test_a_line_stays_one() -> None:
    assert escape_line("a\nb\tc") == "a\\nb\\tc"
    assert first_line("a\nb") == first_line("a\rb") == first_line("a\fb") == "a..."
    assert first_line("a\tb") == "a\\tb"


def test_json_means_the_same() -> None:
    value = {"a\x9b": ["\x1b\r\n\t\x7f", "\u202e", "\ud800", "é😀"]}
    text = escape_json(json.dumps(value, indent=2, ensure_ascii=False))
    assert json.loads(text) == value
    assert "é😀" in text
    assert escape(text) == text


def pod(text: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": "d", "annotations": {"a": text, "long": text * 40}},
        "spec": {"containers": [{"name": "c", "image": text, "args": [text]}]},
        "status": {"phase": "Failed", "message": text, "reason": text},
    }


@pytest.mark.parametrize("kind", ["Pod", "ConfigMap", "Lease"])
def test_descriptions(kind: str) -> None:
    event = {"type": "Normal", "reason": RED, "message": f"x{RED}\r"}
    obj = {**pod(RED + "\r\x9b"), "kind": kind, "data": {"k": RED}}
    text = describe(obj, Related(0, [event]))
    assert escape(text) == text
    assert text.count("^[[31m") > 3


def test_columns_are_as_wide_as_what_is_shown() -> None:
    text = custom_columns("A:.metadata.annotations.a,N:.metadata.name", [pod(RED + "\nforged row")])
    assert text.split("\n") == ["A                    N", "^[[31m\\nforged row   p"]
    assert align([["a\tb", RED]]) == "a\\tb   ^[[31m"


def test_tables() -> None:
    row = {"cells": [RED, "x\ny"], "object": {"metadata": {"namespace": RED, "labels": {"a": RED}}}}
    table = {"columnDefinitions": [{"name": "Name"}, {"name": "Why"}], "rows": [row]}
    text = render(table, Style(namespace=True, labels=True))
    assert text.split("\n")[1].split() == ["^[[31m", "^[[31m", "x...", "a=^[[31m"]


def test_rules_are_painted_by_us_alone() -> None:
    branch = Branch("nat", "KUBE-SERVICES", f'--comment "{RED}"', f"to {RED}\n", None)
    lines = list(tree_lines([branch], Look(dim=lambda text: f"<{text}>")))
    assert lines[1:] == [" └─ to ^[[31m\\n", '         <--comment "^[[31m">']
