"""Examples:

netlab create configmap settings --from-literal=colour=blue --from-file=nginx.conf
netlab create configmap page --from-file=index.html=hello.html
netlab create configmap settings --from-env-file=.env
"""

from __future__ import annotations

import argparse
import base64

from netlab.cli import options, results
from netlab.cli.objects import creation, sources
from netlab.objects.meta import Object


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """kubectl's flags."""
    parser.add_argument("name", metavar="NAME", help="the ConfigMap's name")
    sources.add_arguments(parser)
    options.add_namespace(parser)
    results.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Create it."""
    creation.create(config_map(arguments), arguments)
    return 0


def config_map(arguments: argparse.Namespace) -> Object:
    """The ConfigMap that the command line describes."""
    data: dict[str, str] = {}
    binary: dict[str, str] = {}
    for key, value in sources.read(arguments, "ConfigMap").items():
        try:
            data[key] = value.decode()
        except UnicodeDecodeError:
            binary[key] = base64.b64encode(value).decode()
    fields = {"data": data, "binaryData": binary}
    filled = {name: values for name, values in fields.items() if values}
    return creation.new("ConfigMap", arguments.name, arguments, **filled)
