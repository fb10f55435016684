"""Examples:

netlab node stop worker002     as if its power failed
netlab node start worker002
netlab node add worker003
netlab node remove worker003
netlab get nodes -w            what the cluster makes of it
"""

from __future__ import annotations

import argparse

from netlab.errors import UsageError


def add_arguments(_: argparse.ArgumentParser) -> None:
    """None: the parts have their own."""


def run(_: argparse.Namespace) -> int:
    """Nothing by itself."""
    raise UsageError("node what?", hint="stop, start, add, remove; netlab get nodes lists them")
