"""How `netlab graph` and `netlab trace --svg` give out their pictures."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from netlab.cli import options, terminal
from netlab.cli.options import Formats
from netlab.errors import UsageError

if TYPE_CHECKING:
    from netlab.graph.model import Picture
    from netlab.graph.render import Form

_SUFFIXES: dict[str, Form] = {
    "dot": "dot", "gv": "dot", "svg": "svg", "png": "png", "mermaid": "mermaid", "mmd": "mermaid",
}  # fmt: skip


class PictureFormats(Formats, frozen=True):
    """`svg`, or a file whose name says as what: `lab.svg`."""

    def __call__(self, text: str) -> str:
        """The word as it was given; argparse's error for one that says nothing."""
        return text if text.rpartition(".")[2] in _SUFFIXES else super().__call__(text)


_FORMATS = PictureFormats(("dot", "svg", "png", "mermaid"))


def add_output(parser: argparse.ArgumentParser) -> None:
    """`-o FORMAT`, or a file; read it with `output`."""
    parser.add_argument(
        "-o",
        "--output",
        metavar="FORMAT",
        type=_FORMATS,
        default="dot",
        help=f"{_FORMATS}, or a FILE that ends so (dot)",
    )


@contextlib.contextmanager
def output(word: str) -> Iterator[Callable[[Picture], None]]:
    """What draws, as the word says: whether it can be drawn, and written, is known by now."""
    from netlab.graph.render import require

    stem, dot, suffix = word.rpartition(".")
    form = _SUFFIXES[suffix]
    require(form)
    if stem or dot:
        with drawn_into(word, form) as draw:
            yield draw
    else:
        yield lambda picture: _print(picture, form)


@contextlib.contextmanager
def drawn_into(path: str, form: Form) -> Iterator[Callable[[Picture], None]]:
    """What draws into a file."""
    from netlab.graph.render import rendered, require
    from netlab.kernel.results import result

    require(form)
    with result(Path(path)) as file:

        def draw(picture: Picture) -> None:
            _note_of_size(picture, form)
            file.write(rendered(picture, form))

        yield draw


def _note_of_size(picture: Picture, form: Form) -> None:
    from netlab.graph.mermaid import MOST_ARROWS, MOST_CHARACTERS, is_too_much

    if form == "mermaid" and is_too_much(picture):
        most = f"{MOST_ARROWS} arrows and {MOST_CHARACTERS:,} characters"
        options.note(
            f"Mermaid draws up to {most}, as on GitHub, and these are more: "
            "take one namespace (-n), --fold, or -o svg"
        )


def _print(picture: Picture, form: Form) -> None:
    from netlab.graph.render import rendered

    _note_of_size(picture, form)
    stream = terminal.raw(sys.stdout)
    if form == "png" and stream.isatty():
        raise UsageError("a picture is nothing for a terminal", hint="name a file: -o lab.png")
    stream.flush()
    stream.buffer.write(rendered(picture, form))
    stream.buffer.flush()
