"""Examples:

netlab patch svc web -p '{"spec":{"type":"NodePort"}}'
netlab patch deploy/web --type=merge -p '{"spec":{"replicas":4}}'
netlab patch svc/web --type=json -p '[{"op":"remove","path":"/spec/selector"}]'
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from netlab import given
from netlab.cli import options, results, selection
from netlab.cli.changes import patching
from netlab.errors import UsageError

TYPES = {"strategic": patching.STRATEGIC, "merge": patching.MERGE, "json": patching.JSON}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """kubectl's flags."""
    selection.add_arguments(parser)
    parser.add_argument("-p", "--patch", metavar="PATCH", help="the patch, as JSON or YAML")
    parser.add_argument("--patch-file", metavar="FILE", help="a file with the patch; - is stdin")
    parser.add_argument(
        "--type", choices=list(TYPES), default="strategic", help="the patch's rules (strategic)"
    )
    parser.add_argument("--subresource", default="", choices=["status", "scale"], help="that alone")
    results.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Patch each object."""
    patch = decoded(_text(arguments), arguments.type)
    with options.client(arguments) as client:
        for obj in selection.objects(client, arguments):
            now = patching.change(
                client, obj, patch, arguments, TYPES[arguments.type], arguments.subresource
            )
            done = "patched (no change)" if now == obj else "patched"
            results.report(now, done, arguments)
    return 0


def _text(arguments: argparse.Namespace) -> str:
    if (arguments.patch is None) == (arguments.patch_file is None):
        raise UsageError(
            "must specify --patch or --patch-file containing the contents of the patch",
            hint="""-p '{"spec": {"replicas": 2}}'""",
        )
    if arguments.patch is not None:
        return str(arguments.patch)
    if arguments.patch_file == "-":
        return sys.stdin.read()
    with given.opened(arguments.patch_file) as stream:
        return stream.read().decode()


def decoded(text: str, type_: str) -> Any:
    """The patch; `UsageError` for what is neither JSON nor YAML, or of the wrong shape."""
    try:
        patch = json.loads(text)
    except ValueError:
        patch = _from_yaml(text)
    if not isinstance(patch, list if type_ == "json" else dict):
        wanted = "a list of operations" if type_ == "json" else "an object"
        raise UsageError(
            f"unable to parse {text!r}: a patch of type {type_} is {wanted}",
            hint=f"--type={'json' if isinstance(patch, list) else 'merge'}",
        )
    return patch


def _from_yaml(text: str) -> Any:
    from netlab.objects.yamltext import read

    documents, troubles = read(text)
    troubles = [*troubles, *(one for document in documents for one in document.troubles)]
    if troubles or len(documents) != 1:
        why = troubles[0].message if troubles else "it is not one document"
        raise UsageError(f"unable to parse {text!r}: {why}", hint="in quotes for the shell")
    return documents[0].value
