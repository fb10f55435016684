"""Examples:

    netlab describe pod client-pod
    netlab describe svc/web deploy/web
    netlab describe pods -l app=web
    netlab describe node

A name that fits no object stands for all whose names begin with it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from functools import cache
from typing import Any

from netlab.cli import options, server
from netlab.client.sync import Client
from netlab.diagnosis.facts import Facts
from netlab.errors import NotFound
from netlab.objects import meta
from netlab.objects.kinds import Kind
from netlab.objects.kinds.events import EVENT
from netlab.objects.kinds.networking import SERVICE
from netlab.objects.meta import Object
from netlab.view.describing import belonging
from netlab.view.describing.described import Related


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to describe."""
    options.add_targets(parser, "pod NAME, svc/web, nodes …")
    options.add_namespace(parser, all_namespaces=True)
    options.add_selector(parser)


def run(arguments: argparse.Namespace) -> int:
    """Describe each object; exit 1 if something named is not there."""
    from netlab.view.describing import describe

    targets = options.parse_targets(arguments.targets)
    shown = failed = 0
    with options.client(arguments) as client:
        for kind, name in targets:
            try:
                found = _objects(client, kind, name, arguments)
            except NotFound as error:
                options.complain(error)
                failed += 1
                continue
            for obj in found:
                print("\n\n" if shown else "", end="")
                print(describe(obj, related(client, obj, arguments)))
                shown += 1
    if not shown and not failed:
        options.say_nothing_found(arguments, targets)
    return int(bool(failed))


def _objects(
    client: Client, kind: Kind, name: str, arguments: argparse.Namespace
) -> Sequence[Object]:
    namespace = options.space(kind, arguments)
    if not name:
        query = {"labelSelector": arguments.selector} if arguments.selector else None
        return client.list(kind.kind, namespace or None, query=query)
    options.refuse_name_everywhere(name, kind, arguments)
    try:
        return [client.get(kind.kind, namespace, name)]
    except NotFound:
        found = client.list(kind.kind, namespace or None)
        begun = [obj for obj in found if meta.name(obj).startswith(name)]
        if not begun:
            raise
        return begun


def related(client: Client, obj: Object, arguments: argparse.Namespace) -> Related:
    """What the description of `obj` tells besides it: its events, and what belongs to it."""
    about = f"involvedObject.name={meta.name(obj)},involvedObject.uid={meta.uid(obj)}"
    events = client.list(EVENT.kind, meta.namespace(obj) or None, query={"fieldSelector": about})
    causes = _causes(client, obj, arguments) if obj["kind"] == SERVICE.kind else ()
    beside = [
        other
        for wanted in belonging(obj)
        for other in client.list(wanted.kind.kind, wanted.namespace, query=wanted.query or None)
    ]
    return Related(time.time(), events, beside, causes)


def _causes(client: Client, service: Any, arguments: argparse.Namespace) -> Sequence[str]:
    """Why a Service fails, folded at the terminal's width as nothing else here is."""
    from netlab.cli import diagnosing, terminal
    from netlab.diagnosis.service import causes

    width = terminal.width()
    lines = list(
        map(str, causes(service, _facts(client, arguments.lab, server.is_elsewhere(arguments))))
    )
    return list(diagnosing.folded(lines, "", width - 2 if width else None))


@cache
def _facts(client: Client, name: str | None, is_elsewhere: bool) -> Facts:
    """What causes are found from, once for all Services that are described."""
    from netlab import inventory
    from netlab.cli import diagnosing
    from netlab.kernel import paths

    if is_elsewhere:  # what its pods listen on nobody here can see
        return diagnosing.told(client)
    directory = paths.lab_dir(inventory.choose(name))
    return diagnosing.facts(client, inventory.read_lab(directory), directory)
