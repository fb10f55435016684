"""A picture in Graphviz' language. Pure.

Its names are numbers, its attributes ours; of others' text there are quoted labels alone, in which
neither a quote, a backslash (`\\G`) nor an entity (`&#60;`) has a meaning. Colours are such that
light pages and dark ones may lie behind it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from netlab.graph.model import Arrow, Box, Group, Picture, boxes, folded, numbered, plain

_LINE = "#7a8190"  # seen on white and on black alike
_INK = "#1b1f27"

_BOXES: Mapping[str, tuple[str, str]] = {
    "node": ("#cfe0fb", "box"),
    "pod": ("#d9f2dc", "box"),
    "service": ("#fde7b8", "box"),
    "outside": ("#ece3f7", "box"),
    "network": ("#e3e6eb", "box"),
    "chain": ("#e3e6eb", "box"),
    "end": ("#d9f2dc", "box"),
    "hop": ("#cfe0fb", "box"),
    "rules": ("#fff6d6", "note"),
    "good": ("#bfe8c5", "box"),
    "bad": ("#f9c9c4", "box"),
}
"""Fill and shape; text on them is dark, whatever lies behind the picture."""

_GROUPS: Mapping[str, str] = {
    "node": "#f1f5fc", "pods": "#fafcfa", "outside": "#f7f4fb", "plain": "#f4f5f7",
}  # fmt: skip

_ARROWS: Mapping[str, str] = {
    "way": f'color="{_LINE}", penwidth=1.6',
    "answer": 'color="#4f9d69", style=dashed, penwidth=1.4, constraint=false',
    "backs": 'color="#c28f2c", dir=back, penwidth=1.1',
    "wire": f'color="{_LINE}", dir=none, penwidth=1.4',
    "jump": f'color="{_LINE}", penwidth=1.2',
}


def dot(picture: Picture) -> str:
    """The picture as a digraph."""
    return "".join(f"{line}\n" for line in _lines(picture))


def _lines(picture: Picture) -> Iterator[str]:
    names = numbered([box.key for box in boxes(picture)], "b")
    yield "digraph {"
    yield f"  graph [{_settings(picture)}]"
    yield (
        f'  node [fontname="DejaVu Sans, sans-serif", fontsize=11, fontcolor="{_INK}", '
        f'style="filled,rounded", color="{_LINE}", margin="0.12,0.06", height=0.3]'
    )
    yield (
        '  edge [fontname="DejaVu Sans, sans-serif", fontsize=10, '
        f'fontcolor="{_LINE}", arrowsize=0.7]'
    )
    clusters = (f"cluster{number}" for number in range(len(names) + 10_000))
    for group in picture.groups:
        yield from _group(group, names, clusters, "  ")
    for box in picture.boxes:
        yield _box(box, names, "  ")
    for arrow in picture.arrows:
        yield _arrow(arrow, names)
    yield from _columns(picture, names)
    yield "}"


def _settings(picture: Picture) -> str:
    direction = "TB" if picture.down else "LR"
    return (
        f'rankdir={direction}, bgcolor="transparent", pad=0.3, nodesep=0.16, ranksep=0.55, '
        f'newrank=true, compound=true, fontname="DejaVu Sans, sans-serif", fontsize=13, '
        f'fontcolor="{_LINE}", labelloc=t, labeljust=l, label={_quoted((plain(picture.title),))}'
    )


def _group(
    group: Group, names: Mapping[str, str], clusters: Iterator[str], indent: str
) -> Iterator[str]:
    yield f"{indent}subgraph {next(clusters)} {{"
    yield (
        f"{indent}  label={_quoted((plain(group.title),))}; labeljust=l; fontsize=11; "
        f'fontcolor="{_INK}"; style="filled,rounded"; color="{_LINE}"; '
        f'fillcolor="{_GROUPS[group.kind]}"; margin=10'
    )
    for inner in group.groups:
        yield from _group(inner, names, clusters, f"{indent}  ")
    for box in group.boxes:
        yield _box(box, names, f"{indent}  ")
    yield f"{indent}}}"


def _box(box: Box, names: Mapping[str, str], indent: str) -> str:
    fill, shape = _BOXES[box.kind]
    style = ', style="filled"' if shape == "note" else ""
    lines = tuple(folded(box.lines))
    label = _quoted(lines, left=len(lines) > 1)
    return f'{indent}{names[box.key]} [label={label}, shape={shape}, fillcolor="{fill}"{style}]'


def _arrow(arrow: Arrow, names: Mapping[str, str]) -> str:
    label = f", label={_quoted(tuple(folded((arrow.label,))))}" if arrow.label else ""
    return f"  {names[arrow.tail]} -> {names[arrow.head]} [{_ARROWS[arrow.kind]}{label}]"


def _columns(picture: Picture, names: Mapping[str, str]) -> Iterator[str]:
    """Boxes that nothing is drawn between, one behind the other all the same."""
    for before, after in zip(picture.columns, picture.columns[1:], strict=False):
        for tail, head in zip(before, after, strict=False):
            yield f"  {names[tail]} -> {names[head]} [style=invis]"
    if picture.last:
        yield f"  {{ rank=sink; {'; '.join(names[key] for key in picture.last)} }}"


def _quoted(lines: tuple[str, ...], *, left: bool = False) -> str:
    end = "\\l" if left else ""
    return '"' + ("" if left else "\\n").join(f"{_escaped(line)}{end}" for line in lines) + '"'


def _escaped(text: str) -> str:
    shown = text.replace("&", "&amp;")
    return shown.replace("\\", "\\\\").replace('"', '\\"')
