"""Examples:

netlab create deployment web --image=nginx
netlab create deployment web --image=nginx --replicas=3 --port=80
netlab create deployment idle --image=busybox -- sleep infinity
netlab create deployment web --image=nginx --dry-run=client -o yaml > web.yaml
"""

from __future__ import annotations

import argparse
import re
from typing import Any

from netlab.cli import options, results
from netlab.cli.objects import creation
from netlab.errors import UsageError
from netlab.objects.meta import Object


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """kubectl's flags."""
    parser.add_argument("name", metavar="NAME", help="the Deployment's name")
    options.add_command(parser, creation.COMMAND)
    parser.add_argument(
        "--image", action="append", required=True, help="what to run; may be repeated"
    )
    parser.add_argument("-r", "--replicas", type=int, default=1, metavar="N", help="how many (1)")
    parser.add_argument("--port", type=int, metavar="N", help="the port that the first serves")
    options.add_namespace(parser)
    results.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Create it."""
    creation.require_one_name(arguments, "create deployment")
    creation.create(deployment_object(arguments), arguments)
    return 0


def deployment_object(arguments: argparse.Namespace) -> Object:
    """The Deployment that the command line describes."""
    if len(arguments.image) > 1 and arguments.command_words:
        raise UsageError("cannot specify multiple --image options and command")
    if arguments.replicas < 0:
        raise UsageError("the number of replicas cannot be negative", hint="--replicas=0 is none")
    labels = {"app": arguments.name}
    containers = [_container(image, arguments) for image in arguments.image]
    if arguments.port is not None:
        containers[0]["ports"] = [{"containerPort": arguments.port}]
    return creation.new(
        "Deployment",
        arguments.name,
        arguments,
        metadata={"labels": labels},
        spec={
            "replicas": arguments.replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": containers}},
        },
    )


def _container(image: str, arguments: argparse.Namespace) -> dict[str, Any]:
    container: dict[str, Any] = {"name": container_name(image), "image": image}
    if arguments.command_words:
        container["command"] = arguments.command_words
    return container


def container_name(image: str) -> str:
    """`registry/team/echo_hname:v1@sha256:…` → `echo-hname`."""
    last = image.rsplit("/", 1)[-1]
    return re.split("[:@]", last)[0].replace("_", "-")
