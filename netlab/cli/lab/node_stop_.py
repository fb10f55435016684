"""As if its power failed: what runs there ends at once, and nothing tells the cluster of it.

The node is NotReady when its Lease has run out (nodeLifecycle.nodeMonitorGracePeriod of the lab's
file, 2s); its pods go elsewhere when they bear that no longer (5 s, unless they say otherwise).

Examples:

netlab node stop worker002
netlab get nodes,pods -o wide -w
netlab node start worker002
"""

from __future__ import annotations

import argparse

from netlab.cli.lab import node_power
from netlab.cli.lab.node_power import Switch

STOP = Switch(off=True, done="stopped", holds=lambda _: True)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which nodes."""
    node_power.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Switch them off; returns when they are."""
    return node_power.turn(arguments, STOP)
