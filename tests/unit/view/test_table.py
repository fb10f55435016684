from typing import Any

from netlab.view.table import Style, align, render

TABLE: dict[str, Any] = {
    "columnDefinitions": [
        {"name": "Name", "priority": 0},
        {"name": "Ready", "priority": 0},
        {"name": "IP", "priority": 1},
    ],
    "rows": [
        {
            "cells": ["web", True, None],
            "object": {"metadata": {"namespace": "ns", "labels": {"b": "2", "a": "1"}}},
        }
    ],
}


def test_usual_columns() -> None:
    assert render(TABLE, Style()) == "NAME   READY\nweb    true"


def test_wide_with_namespace_and_labels() -> None:
    lines = render(TABLE, Style(wide=True, namespace=True, labels=True)).split("\n")
    assert lines[0].split() == ["NAMESPACE", "NAME", "READY", "IP", "LABELS"]
    assert lines[1].split() == ["ns", "web", "true", "<none>", "a=1,b=2"]


def test_prefix_and_no_headers() -> None:
    assert render(TABLE, Style(headers=False, prefix="pod/")) == "pod/web   true"


def test_the_last_column_is_not_padded() -> None:
    assert align([["a", "b"], ["ccc", "d"]]) == "a     b\nccc   d"
