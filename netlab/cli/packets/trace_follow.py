"""`netlab trace --follow`: each flow that FROM begins to TO, told as it comes."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from netlab.cli import options
from netlab.cli.packets import lab_world, trace_options, trace_show
from netlab.cli.packets.trace_options import Asked


def run(wanted: Asked, arguments: argparse.Namespace, directory: Path) -> int:
    """Until Ctrl-C, or --count of them."""
    found = 0
    told = 0
    try:
        while arguments.count is None or told < arguments.count:
            found = max(found, _next(wanted, arguments, directory))
            told += 1
    except KeyboardInterrupt:
        sys.stderr.write("\n")
    return found


def _next(wanted: Asked, arguments: argparse.Namespace, directory: Path) -> int:
    """Tell of the next one: the exit code that it alone would have."""
    from msgspec.structs import replace

    from netlab import inventory
    from netlab.trace.following import Follower
    from netlab.trace.session import traced

    world, lab = lab_world.world(arguments, directory), inventory.read_lab(directory)
    check = trace_options.check(wanted, world, arguments)
    what = "send to" if arguments.protocol == "UDP" else "connect to"
    options.note(f"waiting for {wanted.sender} to {what} {wanted.target} (Ctrl-C ends it)")
    wish = replace(trace_options.wish(arguments, directory), watch=Follower)
    story = traced(check, world, lab, wish)
    story = lab_world.with_causes(story, world, lab, arguments, directory)
    code = trace_show.show(story, arguments, indent=None)
    sys.stdout.flush()
    return code
