"""Examples:

    sudo netlab trace client-pod svc/web:80 --save web.json
    netlab graph trace web.json -o web.svg
    sudo netlab trace client-pod svc/web:80 -o json | netlab graph trace - -o svg > web.svg

`netlab trace --svg FILE` draws it at once.
"""

from __future__ import annotations

import argparse

from netlab.cli.packets import pictures, traces


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which trace, as what."""
    parser.add_argument("file", metavar="FILE", help="a trace that was saved; - reads it")
    pictures.add_output(parser)


def run(arguments: argparse.Namespace) -> int:
    """Draw the journey."""
    from netlab.graph.journey import journey

    with pictures.output(arguments.output) as draw:
        draw(journey(traces.read(arguments.file).story))
    return 0
