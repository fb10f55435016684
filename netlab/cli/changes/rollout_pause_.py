"""Examples:

netlab rollout pause deploy/web
"""

from __future__ import annotations

import argparse

from netlab.cli.changes import rollout_change
from netlab.cli.changes.rollout_change import Step
from netlab.cli.changes.rollouts import PAUSABLE

STEP = Step(
    patch={"spec": {"paused": True}},
    done="paused",
    kinds=PAUSABLE,
    if_paused=True,
    refusal="is already paused",
    gerund="pausing",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """kubectl's flags."""
    rollout_change.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Hold each rollout."""
    return rollout_change.take(arguments, STEP)
