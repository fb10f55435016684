"""The live objects that a command line is about: `deploy/web`, `pods -l app=web`, `-f web.yaml`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from netlab.cli import options
from netlab.client.sync import Client
from netlab.errors import UsageError
from netlab.objects import meta
from netlab.objects.meta import Object


def add_arguments(
    parser: argparse.ArgumentParser, examples: str = "deploy/web, pod NAME …"
) -> None:
    """Targets, files, labels, `--all`."""
    options.add_targets(parser, examples)
    parser.set_defaults(such_as=examples)
    options.add_files(parser)
    options.add_namespace(parser)
    options.add_selector(parser)
    parser.add_argument("--all", action="store_true", help="all of that kind in the namespace")


def objects(
    client: Client, arguments: argparse.Namespace, *, kind_alone: bool = False
) -> list[Object]:
    """The objects, all of which must exist; `kind_alone` lets `deploy` mean every Deployment."""
    if arguments.filename:
        return [_live(client, obj) for obj in options.load(arguments).objects]
    found: list[Object] = []
    for target in options.parse_targets(arguments.targets, arguments.such_as):
        found += _of_target(client, target, arguments, kind_alone)
    return found


def _live(client: Client, obj: Object) -> Object:
    live: Object = client.get(obj["kind"], meta.namespace(obj), meta.name(obj))
    return live


def _of_target(
    client: Client, target: options.Target, arguments: argparse.Namespace, kind_alone: bool
) -> Sequence[Object]:
    kind, name = target
    space = options.space(kind, arguments)
    if name:
        return [client.get(kind.kind, space, name)]
    if not (arguments.all or arguments.selector or kind_alone):
        raise UsageError(f"which {kind.plural}?", hint="a name, -l LABELS, or --all")
    query = {"labelSelector": arguments.selector} if arguments.selector else None
    items = client.list(kind.kind, space or None, query=query)
    # A list does not repeat in its items what they are.
    return [{"apiVersion": kind.api_version, "kind": kind.kind, **obj} for obj in items]
