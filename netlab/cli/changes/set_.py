"""Examples:

netlab set image deploy/web web=nginx:1.27
"""

from __future__ import annotations

import argparse

from netlab.cli import options
from netlab.errors import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """None but what may stand before any part: the parts have their own."""
    options.add_namespace(parser)


def run(_: argparse.Namespace) -> int:
    """Nothing by itself."""
    raise UsageError("set what?", hint="netlab set image deploy/web web=nginx:1.27")
