"""Examples:

netlab set image deploy/web web=nginx:1.27
"""

from __future__ import annotations

import argparse

from netlab.errors import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """None: its parts have them."""


def run(_: argparse.Namespace) -> int:
    """Nothing by itself."""
    raise UsageError("set what?", hint="netlab set image deploy/web web=nginx:1.27")
