"""Examples:

netlab rollout resume deploy/web
"""

from __future__ import annotations

import argparse

from netlab.cli.changes import rollout_change
from netlab.cli.changes.rollout_change import Step
from netlab.cli.changes.rollouts import PAUSABLE

STEP = Step(
    patch={"spec": {"paused": None}},
    done="resumed",
    kinds=PAUSABLE,
    if_paused=False,
    refusal="is not paused",
    gerund="resuming",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """kubectl's flags."""
    rollout_change.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Let each rollout go on."""
    return rollout_change.take(arguments, STEP)
