"""Examples:

netlab rollout restart deploy/web
netlab rollout restart deploy -l app=web
"""

from __future__ import annotations

import argparse
import time

from netlab.cli.changes import rollout_change
from netlab.cli.changes.rollout_change import Step
from netlab.cli.changes.rollouts import ROLLOUTS

RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """kubectl's flags."""
    rollout_change.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Note the time in each template, which makes it another one."""
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return rollout_change.take(arguments, step(now))


def step(now: str) -> Step:
    """The step, at the time `now`."""
    metadata = {"annotations": {RESTARTED_AT: now}}
    return Step(
        patch={"spec": {"template": {"metadata": metadata}}},
        done="restarted",
        kinds=tuple(ROLLOUTS),
        if_paused=True,
        refusal="can't restart paused deployment (run rollout resume first)",
        gerund="restarting",
    )
