"""Prometheus' text format: the pages that say what somebody counts. Pure.

Source: prometheus.io/docs/instrumenting/exposition_formats, text format 0.0.4.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import Literal

from msgspec import Struct, field

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


class Histogram(Struct):
    """How many values fell below each of the bounds, and their sum."""

    bounds: tuple[float, ...]
    counts: list[int] = field(default_factory=list)
    total: float = 0.0

    def __post_init__(self) -> None:
        self.counts = [0] * (len(self.bounds) + 1)

    def observe(self, value: float) -> None:
        """One value more."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def lines(self, name: str, labels: Labels) -> Iterator[str]:
        """As Prometheus reads it: each bucket counts what the lesser ones do, too."""
        below = 0
        for bound, count in zip((*self.bounds, float("inf")), self.counts, strict=True):
            below += count
            le = "+Inf" if bound == float("inf") else number(bound)
            yield sample(f"{name}_bucket", (*labels, ("le", le)), below)
        yield sample(f"{name}_sum", labels, self.total)
        yield sample(f"{name}_count", labels, below)
