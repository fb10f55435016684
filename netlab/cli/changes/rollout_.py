"""Examples:

netlab rollout status deploy/web
netlab rollout history sts/db
netlab rollout undo deploy/web
netlab rollout restart deploy/web
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
    raise UsageError(
        "rollout what?",
        hint="status, history, undo, restart, pause, resume: of deploy/NAME, sts/NAME, ds/NAME",
    )
