"""A picture in Mermaid's language, which GitHub and others draw in Markdown. Pure.

Its names are numbers, and of others' text there are quoted labels alone, in which whatever is no
letter, digit or harmless mark is written by its number.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from netlab.graph.model import Arrow, Box, Group, Picture, boxes, folded, numbered, plain

_SETTINGS = '%%{init: {"flowchart": {"wrappingWidth": 700}}}%%'
"""Lines are folded here already."""

_STYLE = "stroke:#7a8190,color:#1b1f27,text-align:left"
_HARMLESS = frozenset(" .,:/()=+-_")

_FILLS: Mapping[str, str] = {
    "node": "#cfe0fb", "pod": "#d9f2dc", "service": "#fde7b8", "outside": "#ece3f7",
    "network": "#e3e6eb", "chain": "#e3e6eb", "end": "#d9f2dc", "hop": "#cfe0fb",
    "rules": "#fff6d6", "good": "#bfe8c5", "bad": "#f9c9c4",
}  # fmt: skip
_ARROWS: Mapping[str, str] = {
    "way": "-->", "answer": "-.->", "backs": "-->", "wire": "---", "jump": "-->",
}  # fmt: skip


MOST_ARROWS, MOST_CHARACTERS = 500, 50_000
"""More than these Mermaid does not draw, unless who uses it says so; nobody can, to GitHub."""


def is_too_much(picture: Picture) -> bool:
    """Whether there are more than Mermaid draws."""
    return len(picture.arrows) > MOST_ARROWS or len(mermaid(picture)) > MOST_CHARACTERS


def mermaid(picture: Picture) -> str:
    """The picture as a flowchart."""
    return "".join(f"{line}\n" for line in _lines(picture))


def _lines(picture: Picture) -> Iterator[str]:
    everything = list(boxes(picture))
    names = numbered([box.key for box in everything], "b")
    yield _SETTINGS
    yield f"flowchart {'TB' if picture.down else 'LR'}"
    groups = (f"g{number}" for number in range(len(names) + 10_000))
    framed = (line for group in picture.groups for line in _group(group, names, groups, "  "))
    bare = (_box(box, names, "  ") for box in picture.boxes)
    # What is named first stands first where arrows lead both ways: a packet's sender.
    yield from (*bare, *framed) if picture.down else (*framed, *bare)
    for arrow in picture.arrows:
        yield _arrow(arrow, names)
    for kind in dict.fromkeys(box.kind for box in everything):
        yield f"  classDef {kind}Box fill:{_FILLS[kind]},{_STYLE}"


def _group(
    group: Group, names: Mapping[str, str], groups: Iterator[str], indent: str
) -> Iterator[str]:
    yield f'{indent}subgraph {next(groups)}["{_escaped(group.title)}"]'
    for inner in group.groups:
        yield from _group(inner, names, groups, f"{indent}  ")
    for box in group.boxes:
        yield _box(box, names, f"{indent}  ")
    yield f"{indent}end"


def _box(box: Box, names: Mapping[str, str], indent: str) -> str:
    label = "<br/>".join(map(_escaped, folded(box.lines)))
    return f'{indent}{names[box.key]}["{label}"]:::{box.kind}Box'


def _arrow(arrow: Arrow, names: Mapping[str, str]) -> str:
    label = f'|"{_escaped(arrow.label)}"|' if arrow.label else ""
    tail, head = names[arrow.tail], names[arrow.head]
    if arrow.kind == "backs":
        tail, head = head, tail
    return f"  {tail} {_ARROWS[arrow.kind]}{label} {head}"


def _escaped(text: str) -> str:
    """An empty label is none: a space stands for it."""
    return "".join(map(_character, plain(text))) or " "


def _character(one: str) -> str:
    return one if one.isalnum() or one in _HARMLESS or one in "→…" else f"#{ord(one)};"
