"""Examples:

netlab rollout status deploy/web          netlab rollout history deploy/web
netlab rollout undo deploy/web            netlab rollout restart deploy/web
"""

from __future__ import annotations

import argparse

from netlab.errors import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """None: its parts have them."""


def run(_: argparse.Namespace) -> int:
    """Nothing by itself."""
    raise UsageError(
        "rollout what?", hint="status, history, undo, restart, pause, resume: of deploy/NAME"
    )
