"""Examples:

    netlab create service clusterip web --tcp=80:8080
    netlab create service clusterip db --clusterip=None
    netlab create service nodeport web --tcp=80:8080 --node-port=30080
    netlab create service externalname search --external-name=www.example.com

Its pods are those with the label app=NAME.
"""

from __future__ import annotations

import argparse
from typing import Any

from netlab.cli import options, results
from netlab.cli.objects import creation
from netlab.errors import UsageError
from netlab.objects.meta import Object

TYPES = {
    "clusterip": "ClusterIP",
    "nodeport": "NodePort",
    "loadbalancer": "LoadBalancer",
    "externalname": "ExternalName",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """kubectl's flags."""
    parser.add_argument("type", metavar="TYPE", choices=list(TYPES), help=", ".join(TYPES))
    parser.add_argument("name", metavar="NAME", help="the Service's name")
    parser.add_argument(
        "--tcp",
        action="append",
        default=[],
        metavar="PORT[:TARGET]",
        help="the Service's port and the pods', a number or a name; may be repeated",
    )
    parser.add_argument("--node-port", type=int, metavar="N", help="the nodes' port (nodeport)")
    parser.add_argument("--clusterip", default="", metavar="IP", help="its address, or None")
    parser.add_argument("--external-name", default="", metavar="HOST", help="what it stands for")
    options.add_namespace(parser)
    results.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Create it."""
    creation.create(service_object(arguments), arguments)
    return 0


def service_object(arguments: argparse.Namespace) -> Object:
    """The Service that the command line describes."""
    _check(arguments)
    labels = {"app": arguments.name}
    spec: dict[str, Any] = {"selector": labels, "type": TYPES[arguments.type]}
    if arguments.tcp:
        spec["ports"] = [_port(text) for text in _entries(arguments)]
    if arguments.node_port:
        for port in spec["ports"]:
            port["nodePort"] = arguments.node_port
    if arguments.clusterip:
        spec["clusterIP"] = arguments.clusterip
    if arguments.external_name:
        spec["externalName"] = arguments.external_name
    metadata = {"labels": labels}
    return creation.new("Service", arguments.name, arguments, metadata=metadata, spec=spec)


def _check(arguments: argparse.Namespace) -> None:
    """Which option belongs to which type."""
    type_ = arguments.type
    headless = arguments.clusterip == "None"
    if not arguments.tcp and type_ != "externalname" and not headless:
        raise UsageError("at least one tcp port specifier must be provided", hint="--tcp=80:8080")
    if type_ == "externalname" and not arguments.external_name:
        raise UsageError("the name of what it stands for is missing", hint="--external-name=a.b.c")
    for option, owner in (
        ("node_port", "nodeport"),
        ("clusterip", "clusterip"),
        ("external_name", "externalname"),
    ):
        if getattr(arguments, option) and type_ != owner:
            flag = "--" + option.replace("_", "-")
            raise UsageError(f"{flag} is for `create service {owner}`")


def _entries(arguments: argparse.Namespace) -> list[str]:
    """`--tcp=80,443` is two."""
    return [text for entry in arguments.tcp for text in entry.split(",")]


def _port(text: str) -> dict[str, Any]:
    port, colon, target = text.partition(":")
    return {
        "name": f"{port}-{target}" if colon else port,
        "port": _number(port),
        "protocol": "TCP",
        "targetPort": _target(target) if colon else _number(port),
    }


def _target(text: str) -> int | str:
    return _number(text) if text.isdecimal() or not text else text


def _number(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise UsageError(
            f"'{text}' is no port: must be between 1 and 65535, inclusive", hint="--tcp=80:8080"
        )
    return int(text)
