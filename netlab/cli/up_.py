"""Examples:

sudo netlab up topologies/quickstart.yaml
sudo netlab up lab.yaml web.yaml --dry-run     what would be built, as commands; touches nothing
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from typing import TYPE_CHECKING

from netlab.cli import options
from netlab.cli.progress import Progress

if TYPE_CHECKING:
    from netlab.manifest import Manifest


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The lab's files."""
    parser.add_argument("files", nargs="*", metavar="FILE", help="the lab's files or directories")
    parser.add_argument(
        "-f", "--filename", action="append", default=[], metavar="FILE", help="the same"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="print what would be built; touch nothing"
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="print errors alone")
    options.add_output(parser, "json")


def run(arguments: argparse.Namespace) -> int:
    """Bring the lab up; print what was applied and how long it took."""
    from netlab import lab, manifest
    from netlab.errors import UsageError

    files = arguments.files + arguments.filename
    if not files:
        raise UsageError("which lab?", hint="netlab up topologies/quickstart.yaml")
    loaded = manifest.load(files)
    if arguments.dry_run:
        return _dry_run(loaded)
    began = time.monotonic()
    with Progress(quiet=arguments.quiet or arguments.output == "json") as progress:
        applied, unsettled = lab.up(loaded, files, progress=progress)
    seconds = time.monotonic() - began
    for entry in applied:
        for text in entry.warnings:
            options.warn(f"{entry.resource}/{entry.name}: {text}")
    assert loaded.lab is not None
    if arguments.output == "json":
        print(
            json.dumps(
                {
                    "lab": loaded.lab.name,
                    "seconds": round(seconds, 3),
                    "applied": [vars(entry) for entry in applied],
                    "waitingFor": unsettled,
                }
            )
        )
    elif not arguments.quiet:
        for entry in applied:
            print(entry)
        print(f"lab {loaded.lab.name} is up ({seconds:.2f} s)")
        _say_what_next(loaded)
    return 0


def _say_what_next(loaded: Manifest) -> None:
    from netlab.view.next_steps import next_steps
    from netlab.view.table import align

    if sys.stdout.isatty() and loaded.lab is not None:
        sudo = "SUDO_USER" in os.environ
        steps = next_steps(loaded.lab, loaded.objects, checks=bool(loaded.checks), sudo=sudo)
        print("\nnext:\n" + align([["", *step] for step in steps]))


def _dry_run(loaded: Manifest) -> int:
    from netlab.errors import UsageError
    from netlab.view.plan import describe

    if loaded.lab is None:
        raise UsageError("the files hold no `kind: Lab` object", hint="netlab apply --dry-run")
    print("\n".join(describe(loaded.lab, loaded.objects)))
    return 0
