"""Examples:

netlab create secret generic password --from-literal=password=x
netlab create secret generic keys --from-file=id_ed25519 --type=example.com/keys
"""

from __future__ import annotations

import argparse
import base64

from netlab.cli import options, results
from netlab.cli.objects import creation, sources
from netlab.objects.meta import Object


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """kubectl's flags."""
    parser.add_argument("sort", metavar="generic", choices=["generic"], help="values of any sort")
    parser.add_argument("name", metavar="NAME", help="the Secret's name")
    parser.add_argument("--type", default="", metavar="TYPE", help="(Opaque)")
    sources.add_arguments(parser)
    options.add_namespace(parser)
    results.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Create it."""
    creation.create(secret(arguments), arguments)
    return 0


def secret(arguments: argparse.Namespace) -> Object:
    """The Secret that the command line describes."""
    values = sources.read(arguments, "Secret")
    made = creation.new("Secret", arguments.name, arguments)
    if values:
        made["data"] = {key: base64.b64encode(value).decode() for key, value in values.items()}
    if arguments.type:
        made["type"] = arguments.type
    return made
