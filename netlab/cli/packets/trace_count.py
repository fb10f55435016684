"""`netlab trace --count N`: where so many packets went, against what the rules foresee."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from netlab.cli import terminal
from netlab.cli.packets import lab_world, trace_options, trace_show
from netlab.cli.packets.trace_options import Asked

if TYPE_CHECKING:
    from netlab.cli.packets.trace_files import Write
    from netlab.trace.counting import End
    from netlab.trace.story import Story


def run(wanted: Asked, arguments: argparse.Namespace, directory: Path, write: Write) -> int:
    """Send them, tell the first one's story and the end of all."""
    from netlab import inventory
    from netlab.trace.call_document import count_document
    from netlab.trace.counting import counted
    from netlab.trace.session import traced

    world, lab = lab_world.world(arguments, directory), inventory.read_lab(directory)
    check = trace_options.check(wanted, world, arguments)
    story = traced(check, world, lab, trace_options.wish(arguments, directory))
    ends = counted(story, world, arguments.count)
    story = lab_world.with_causes(story, world, lab, arguments, directory)
    write(story, count_document(story, ends))
    return show(story, ends, arguments)


def show(story: Story, ends: Sequence[End], arguments: argparse.Namespace) -> int:
    """Print them; the exit code."""
    from netlab.trace.call_document import count_document
    from netlab.view import trace_counts
    from netlab.view.escape import escape_line

    if arguments.output == "json":
        print(json.dumps(count_document(story, ends), indent=2))
    else:
        if not arguments.minimal:
            for line in trace_show.told(story, arguments):
                print(terminal.fit(line))
        for line in trace_counts.lines(ends):
            print(terminal.fit(escape_line(line)))
    if story.agreement.difference or any(end.far for end in ends):
        return trace_show.DISAGREE
    lost = any(end.packets and end.verdict != "delivered" for end in ends)
    return int(bool(arguments.expect) and lost)
