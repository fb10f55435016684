"""Examples:

netlab apply -f web.yaml           netlab apply -f manifests/
cat web.yaml | netlab apply -f -   netlab apply -f web.yaml --dry-run
"""

from __future__ import annotations

import argparse

from netlab.cli import options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The files."""
    options.add_files(parser, required=True)
    options.add_namespace(parser)
    parser.add_argument(
        "--dry-run", action="store_true", help="have the server check everything, change nothing"
    )


def run(arguments: argparse.Namespace) -> int:
    """Apply every object, in the files' order."""
    from netlab.client.apply import apply

    loaded = options.load(arguments)
    with options.client(arguments) as client:
        for obj in loaded.objects:
            suffix = " (server dry run)" if arguments.dry_run else ""
            print(f"{apply(client, obj, dry_run=arguments.dry_run)}{suffix}")
    if loaded.lab is not None or loaded.checks:
        options.note("Lab and PathCheck documents are for `netlab up` and `netlab check`: left out")
    return 0
