"""Examples:

netlab label pod web-abc12 tier=front
netlab label node worker001 disk=ssd
netlab label pods -l app=web canary=yes --overwrite
netlab label svc/web tier-                    removes it
"""

from __future__ import annotations

import argparse

from netlab.cli.changes import metadata

LABELS = metadata.Sort("labels", "label", "labeled")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """kubectl's flags."""
    metadata.add_arguments(parser, LABELS)


def run(arguments: argparse.Namespace) -> int:
    """Set and remove labels."""
    return metadata.run(arguments, LABELS)
