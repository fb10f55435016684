"""Examples:

netlab apply -f web.yaml
netlab apply -f manifests/
cat web.yaml | netlab apply -f -
netlab apply -f web.yaml --dry-run
"""

from __future__ import annotations

import argparse

from netlab.cli import options, results


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The files."""
    options.add_files(parser, required=True)
    options.add_namespace(parser)
    results.add_dry_run(parser, bare="server")


def run(arguments: argparse.Namespace) -> int:
    """Apply every object, in the files' order."""
    from netlab.client.apply import apply

    loaded = options.load(arguments)
    with options.client(arguments) as client:
        for obj in loaded.objects:
            applied = apply(client, obj, dry_run=arguments.dry_run != "none")
            print(f"{applied}{results.DRY_RUNS[arguments.dry_run]}")
    options.note_left_out(loaded)
    return 0
