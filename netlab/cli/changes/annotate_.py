"""Examples:

netlab annotate deploy/web kubernetes.io/change-cause=nginx-1.27
netlab annotate svc web note=try --overwrite
netlab annotate svc/web note-                 removes it
"""

from __future__ import annotations

import argparse

from netlab.cli.changes import metadata

ANNOTATIONS = metadata.Sort("annotations", "annotation", "annotated")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """kubectl's flags."""
    metadata.add_arguments(parser, ANNOTATIONS)


def run(arguments: argparse.Namespace) -> int:
    """Set and remove annotations."""
    return metadata.run(arguments, ANNOTATIONS)
