"""A packet's story as it is printed, as much of it as was asked for, and the exit code it gives."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from netlab.cli import terminal

if TYPE_CHECKING:
    from netlab.trace.story import Story

DISAGREE = 4
"""The kernel did otherwise than its rules say."""


def told(story: Story, arguments: argparse.Namespace) -> Iterator[str]:
    """Its lines, by --minimal, --summary, --detailed, --explain."""
    from netlab.view import trace

    if arguments.minimal:
        return trace.minimal(story)
    if arguments.summary:
        return trace.summary(story)
    return trace.lines(story, explain=arguments.explain, detailed=arguments.detailed)


def fit(line: str) -> str:
    """A line folded for the terminal; a command that is to be typed as it is."""
    from netlab.view.trace import MEND

    return line if line.lstrip().startswith(MEND) else terminal.fit(line)


def show(story: Story, arguments: argparse.Namespace, *, indent: int | None = 2) -> int:
    """Print it; the exit code."""
    from netlab.trace.agreement import observed

    if arguments.output == "json":
        from netlab.trace.document import document

        print(json.dumps(document(story), indent=indent))
    else:
        from netlab.view import trace

        for line in (*told(story, arguments), *(trace.ends(story) if arguments.ends else ())):
            print(fit(line))
    if story.agreement.difference:
        return DISAGREE
    return int(bool(arguments.expect) and observed(story.journey) != "delivered")
