"""Examples:

netlab create namespace team-a
"""

from __future__ import annotations

import argparse

from netlab.cli import options, results
from netlab.cli.objects import creation


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Its name."""
    parser.add_argument("name", metavar="NAME", help="the Namespace's name")
    options.add_namespace(parser)
    results.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Create it."""
    creation.create(creation.new("Namespace", arguments.name, arguments), arguments)
    return 0
