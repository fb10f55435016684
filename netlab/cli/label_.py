"""Examples:

netlab label pod web-abc12 tier=front
netlab label node worker001 disk=ssd
netlab label pods -l app=web canary=yes --overwrite
netlab label svc/web tier-                    removes it
"""

from __future__ import annotations

import argparse

from netlab.cli import marks

LABELS = marks.Sort("labels", "label", "labeled")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """kubectl's flags."""
    marks.add_arguments(parser, LABELS)


def run(arguments: argparse.Namespace) -> int:
    """Set and remove labels."""
    return marks.run(arguments, LABELS)
