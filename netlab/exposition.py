"""Prometheus' text format: the pages that say what somebody counts. Pure.

Source: prometheus.io/docs/instrumenting/exposition_formats, text format 0.0.4.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

FORMAT = "text/plain; version=0.0.4; charset=utf-8"
"""The Content-Type of a page."""

Labels = tuple[tuple[str, str], ...]
Type = Literal["counter", "gauge", "histogram"]


def page(lines: Iterable[str]) -> str:
    """The whole, each line ended."""
    return "".join(f"{each}\n" for each in lines)


def family(
    name: str, kind: Type, samples: Iterable[tuple[Labels, float]], words: str = ""
) -> Iterator[str]:
    """One metric: its head, then a line for each combination of labels."""
    yield from head(name, kind, words)
    for labels, value in samples:
        yield sample(name, labels, value)


def head(name: str, kind: Type, words: str = "") -> Iterator[str]:
    """What a metric is, in `words` if it has some."""
    if words:
        yield f"# HELP {name} {words}"
    yield f"# TYPE {name} {kind}"


def sample(name: str, labels: Labels, value: float) -> str:
    """`name{label="value"} 1`."""
    inner = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels)
    return f"{name}{{{inner}}} {number(value)}" if inner else f"{name} {number(value)}"


def number(value: float) -> str:
    """A number as Prometheus' clients write it: no `.0`."""
    return str(int(value)) if value == int(value) else repr(float(value))


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
