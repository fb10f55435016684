"""Switches nodes on again that were stopped; returns when they are Ready.

Pods that are still theirs start anew, and find what they have written into emptyDirs, unless these
are in memory; what was evicted meanwhile is removed.

Examples:

netlab node start worker002
"""

from __future__ import annotations

import argparse

from netlab.cli.lab import node_power
from netlab.cli.lab.node_power import Switch
from netlab.objects import meta

START = Switch(off=False, done="started", holds=meta.is_ready)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which nodes."""
    node_power.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Switch them on."""
    return node_power.turn(arguments, START)
