"""A picture as values: boxes with text, in groups, and arrows between them. Pure.

Text in them is anybody's; whoever writes a language of pictures (`dot`, `mermaid`) quotes it.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from msgspec import Struct

from netlab.view.escape import escape_line

BoxKind = Literal[
    "node", "pod", "service", "outside", "network", "chain", "end", "hop", "rules", "good", "bad"
]
GroupKind = Literal["node", "pods", "outside", "plain"]
ArrowKind = Literal["way", "answer", "backs", "wire", "jump"]

_LONGEST = 160
"""Characters of a line; a rule with a long comment is longer."""

_WIDE = 64
"""Characters of a line as it is shown."""


class Box(Struct, frozen=True):
    """A box: its lines of text, the first of which is its name. `key` is unique in a picture."""

    key: str
    lines: tuple[str, ...]
    kind: BoxKind


class Group(Struct, frozen=True):
    """Boxes, and groups, with a frame and a title around them."""

    key: str
    title: str
    kind: GroupKind
    boxes: tuple[Box, ...] = ()
    groups: tuple[Group, ...] = ()


class Arrow(Struct, frozen=True):
    """From the box with one key to that with another."""

    tail: str
    head: str
    label: str = ""
    kind: ArrowKind = "way"


class Picture(Struct, frozen=True):
    """A whole picture. It goes `down`, or else to the right.

    Of `columns`, each is boxes that are to stand beside one another, further on than those of the
    one before; nothing is drawn of that. The boxes of `last` stand behind all others.
    """

    title: str
    groups: tuple[Group, ...] = ()
    boxes: tuple[Box, ...] = ()
    arrows: tuple[Arrow, ...] = ()
    down: bool = False
    columns: tuple[tuple[str, ...], ...] = ()
    last: tuple[str, ...] = ()


def boxes(picture: Picture) -> Iterator[Box]:
    """All boxes, wherever they stand."""
    yield from picture.boxes
    for group in picture.groups:
        yield from _boxes(group)


def _boxes(group: Group) -> Iterator[Box]:
    yield from group.boxes
    for inner in group.groups:
        yield from _boxes(inner)


def plain(text: str) -> str:
    """Text that is one line, and no line too long, without what steers a terminal or is no XML."""
    shown = escape_line(text).replace("\ufffe", "?").replace("\uffff", "?")
    return shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 1]}…"


def folded(lines: Iterable[str]) -> Iterator[str]:
    """Lines of a box as they are shown: `plain`, and long ones on several."""
    for line in lines:
        parts = textwrap.wrap(plain(line), _WIDE, break_on_hyphens=False) or [""]
        yield parts[0]
        yield from (f"    {part}" for part in parts[1:])


def numbered(items: Sequence[str], prefix: str) -> dict[str, str]:
    """A name of letters and digits for each, by which a language may call it."""
    return {item: f"{prefix}{number}" for number, item in enumerate(items)}
