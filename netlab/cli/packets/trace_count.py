"""`netlab trace --count N`: where so many packets went, against what the rules foresee."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from netlab.cli import terminal
from netlab.cli.packets import lab_world, trace_options
from netlab.cli.packets.trace_options import Asked

_DISAGREE = 4


def run(wanted: Asked, arguments: argparse.Namespace, directory: Path) -> int:
    """Send them, tell the first one's story and the end of all."""
    from netlab import inventory
    from netlab.trace.counting import counted
    from netlab.trace.document import document
    from netlab.trace.session import traced
    from netlab.view import trace, trace_counts
    from netlab.view.escape import escape_line

    world = lab_world.world(arguments, directory)
    check = trace_options.check(wanted, world, arguments)
    story = traced(check, world, inventory.read_lab(directory), trace_options.wish(arguments))
    ends = counted(story, world, arguments.count)
    if story.journey.outcome != "reachable":
        story = story.with_causes(world, lab_world.facts(arguments, directory))
    if arguments.output == "json":
        counts = {"counts": [end.json() for end in ends]}
        print(json.dumps(document(story) | counts, indent=2))
    else:
        if not arguments.minimal:
            for line in trace.lines(story, explain=arguments.explain):
                print(terminal.fit(line))
        for line in trace_counts.lines(ends):
            print(terminal.fit(escape_line(line)))
    if story.agreement.difference or any(end.far for end in ends):
        return _DISAGREE
    lost = any(end.packets and end.verdict != "delivered" for end in ends)
    return int(bool(arguments.expect) and lost)
