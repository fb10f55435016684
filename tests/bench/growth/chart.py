"""A chart of lines over two logarithmic axes, as SVG: what grows linearly has a slope of one."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from xml.sax.saxutils import escape

Point = tuple[float, float]

_WIDTH, _HEIGHT = 640, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 208, 44, 44
_COLOURS = ("#1f6feb", "#d1570f", "#1a7f37", "#8250df")
_STYLE = """<style>
text { font: 13px sans-serif; fill: #24292f } .grid { stroke: #d0d7de } .back { fill: #ffffff }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .grid { stroke: #3d444d } .back { fill: #0d1117 }
}
</style>"""


def chart(title: str, across: str, lines: Mapping[str, Sequence[Point]]) -> str:
    """The picture; all values are above zero."""
    points = [point for line in lines.values() for point in line]
    x = _Axis([each for each, _ in points], _LEFT, _WIDTH - _RIGHT)
    y = _Axis([each for _, each in points], _HEIGHT - _BOTTOM, _TOP)
    body = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}">',
        _STYLE,
        f'<rect class="back" width="{_WIDTH}" height="{_HEIGHT}"/>',
        _text(_LEFT, 24, title, "start"),
        *_grid(x, y),
        _text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 8, across, "middle"),
    ]
    for number, (name, line) in enumerate(lines.items()):
        body += _line(name, line, x, y, _COLOURS[number % len(_COLOURS)], number)
    return "\n".join([*body, "</svg>\n"])


class _Axis:
    """From the power of ten below the least value to that above the greatest."""

    def __init__(self, values: Sequence[float], start: float, end: float) -> None:
        self.low = math.floor(math.log10(min(values)))
        self.high = max(math.ceil(math.log10(max(values))), self.low + 1)
        self._start, self._end = start, end

    def at(self, value: float) -> float:
        share = (math.log10(value) - self.low) / (self.high - self.low)
        return self._start + share * (self._end - self._start)

    @property
    def marks(self) -> list[float]:
        return [10.0**power for power in range(self.low, self.high + 1)]


def _grid(x: _Axis, y: _Axis) -> Iterator[str]:
    for mark in x.marks:
        at = x.at(mark)
        yield _stroke(at, _TOP, at, _HEIGHT - _BOTTOM, 'class="grid"')
        yield _text(at, _HEIGHT - _BOTTOM + 18, f"{mark:,g}", "middle")
    for mark in y.marks:
        at = y.at(mark)
        yield _stroke(_LEFT, at, _WIDTH - _RIGHT, at, 'class="grid"')
        yield _text(_LEFT - 8, at + 4, f"{mark:,g} s", "end")


def _line(
    name: str, line: Sequence[Point], x: _Axis, y: _Axis, colour: str, number: int
) -> Iterator[str]:
    places = [(x.at(across), y.at(up)) for across, up in line]
    way = " ".join(f"{left:.1f},{top:.1f}" for left, top in places)
    yield f'<polyline points="{way}" fill="none" stroke="{colour}" stroke-width="2"/>'
    for left, top in places:
        yield f'<circle cx="{left:.1f}" cy="{top:.1f}" r="3" fill="{colour}"/>'
    left, top = _WIDTH - _RIGHT + 16, _TOP + 12 + 22 * number
    yield _stroke(left, top, left + 20, top, f'stroke="{colour}" stroke-width="2"')
    yield _text(left + 26, top + 4, name, "start")


def _stroke(x1: float, y1: float, x2: float, y2: float, how: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" {how}/>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def exponent(line: Sequence[Point]) -> float:
    """By which power a line grows, from its first point to its last."""
    (x1, y1), (x2, y2) = line[0], line[-1]
    return math.log(y2 / y1) / math.log(x2 / x1)
