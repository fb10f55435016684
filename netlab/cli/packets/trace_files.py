"""What `netlab trace` writes beside what it tells, and reads to tell it again."""

from __future__ import annotations

import argparse
import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netlab.errors import UsageError

if TYPE_CHECKING:
    from netlab.trace.story import Story

Write = Callable[["Story", Mapping[str, Any]], None]
"""Writes the files that were asked for, of a story and its document."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("--show", metavar="FILE", help="tell a trace that was saved; - reads it")
    parser.add_argument("--save", metavar="FILE", help="also write it, to be shown again")
    parser.add_argument("--pcap", metavar="FILE", help="also write its packets as pcapng")
    parser.add_argument("--svg", metavar="FILE", help="also draw its way")


def check(arguments: argparse.Namespace) -> None:
    """`UsageError` for what makes no sense together."""
    if arguments.pcap and arguments.dry:
        raise UsageError("--dry sends nothing: there are no packets", hint="leave --pcap out")
    if arguments.follow and (arguments.save or arguments.pcap or arguments.svg):
        raise UsageError(
            "--follow tells of many: a file has one",
            hint="netlab capture --from FROM --to TO -o x.pcapng writes what passes",
        )
    asked = (arguments.words, arguments.sender, arguments.target, arguments.selector)
    if arguments.show and any((*asked, arguments.dry, arguments.http, arguments.payload)):
        raise UsageError("--show tells of what was sent", hint="netlab trace --show FILE")


@contextlib.contextmanager
def files(arguments: argparse.Namespace) -> Iterator[Write]:
    """What writes the files that are asked for: whether they can be is known by now."""
    from netlab.kernel.results import PRIVATE, PUBLIC, result

    if arguments.svg:
        from netlab.graph.render import require

        require("svg")
    wanted = (
        (arguments.save, PRIVATE, _document),
        (arguments.pcap, PRIVATE, _capture),
        (arguments.svg, PUBLIC, _drawing),
    )
    with contextlib.ExitStack() as stack:
        opened = [
            (stack.enter_context(result(Path(path), mode)), form)
            for path, mode, form in wanted
            if path
        ]

        def write(story: Story, document: Mapping[str, Any]) -> None:
            for file, form in opened:
                file.write(form(story, document))

        yield write


def _document(_: Story, document: Mapping[str, Any]) -> bytes:
    return f"{json.dumps(document, indent=2)}\n".encode()


def _capture(story: Story, _: Mapping[str, Any]) -> bytes:
    from netlab.view.packets import capture

    return capture(story)


def _drawing(story: Story, _: Mapping[str, Any]) -> bytes:
    from netlab.graph.journey import journey
    from netlab.graph.render import rendered

    return rendered(journey(story), "svg")
