"""Examples:

netlab delete pod NAME
netlab delete svc/web deploy/web
netlab delete -f web.yaml
netlab delete pods -l app=web
netlab delete pods --all
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

from netlab.cli import options
from netlab.client.sync import Client
from netlab.errors import NetlabError, NotFound, UsageError
from netlab.objects import meta
from netlab.objects.kinds import BY_KIND, Kind

Target = tuple[Kind, str, str]  # kind, namespace, name

WAIT = 60.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to delete, and how."""
    options.add_targets(parser, "pod NAME, svc/web …")
    options.add_files(parser)
    options.add_namespace(parser)
    options.add_selector(parser)
    parser.add_argument("--all", action="store_true", help="all of that kind in the namespace")
    parser.add_argument(
        "--grace-period", type=int, metavar="SECONDS", help="how long pods may take"
    )
    parser.add_argument("--force", action="store_true", help="at once (with --grace-period=0)")
    parser.add_argument("--now", action="store_true", help="in one second")
    parser.add_argument("--ignore-not-found", action="store_true", help="what is gone is fine")
    parser.add_argument(
        "--cascade",
        choices=["background", "foreground", "orphan"],
        default="background",
        metavar="HOW",
        help="what becomes of what it owns: background, foreground, orphan (background)",
    )
    parser.add_argument(
        "--wait",
        nargs="?",
        const="true",
        choices=["true", "false"],
        default="true",
        help="until it is gone (true)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Delete, and wait until it is gone."""
    asked = [] if arguments.filename else options.parse_targets(arguments.targets)
    with options.client(arguments) as client:
        targets = _from_files(arguments) or _named(client, asked, arguments)
        if not targets:
            print("No resources found")
        gone = [(target, _delete(client, target, arguments)) for target in targets]
        if arguments.wait == "true":
            for target, uid in gone:
                if uid:
                    _wait(client, target, uid)
    return int(any(uid is None for _, uid in gone))


def _from_files(arguments: argparse.Namespace) -> list[Target]:
    if not arguments.filename:
        return []
    loaded = options.load(arguments)
    return [
        (BY_KIND[obj["kind"]], meta.namespace(obj), meta.name(obj))
        for obj in reversed(loaded.objects)
    ]


def _named(
    client: Client, asked: Sequence[options.Target], arguments: argparse.Namespace
) -> list[Target]:
    targets: list[Target] = []
    for kind, name in asked:
        space = arguments.namespace if kind.namespaced else ""
        if name:
            targets.append((kind, space, name))
        elif arguments.all or arguments.selector:
            query = {"labelSelector": arguments.selector} if arguments.selector else None
            found = client.list(kind.kind, space or None, query=query)
            targets += [(kind, space, meta.name(obj)) for obj in found]
        else:
            raise UsageError(
                f"which {kind.plural}?", hint=f"a name, -l LABELS, or --all: delete {kind.plural} …"
            )
    return targets


def _delete(client: Client, target: Target, arguments: argparse.Namespace) -> str | None:
    """The uid of what was deleted; "" for what was gone already, None when that is a failure."""
    kind, space, name = target
    try:
        answer = client.delete(
            kind.kind,
            space,
            name,
            grace_period=_grace(arguments),
            propagation=arguments.cascade.capitalize(),
        )
    except NotFound as error:
        # Of many, some may have gone with their owners.
        if arguments.ignore_not_found or arguments.all or arguments.selector:
            return ""
        options.complain(error)
        return None
    group = f".{kind.group}" if kind.group else ""
    print(f'{kind.singular}{group} "{name}" {"force deleted" if arguments.force else "deleted"}')
    about = answer.get("details") or answer["metadata"]
    return str(about.get("uid") or "")


def _grace(arguments: argparse.Namespace) -> int | None:
    if arguments.grace_period is None and (arguments.force or arguments.now):
        return 0 if arguments.force else 1
    period: int | None = arguments.grace_period
    return period


def _wait(client: Client, target: Target, uid: str) -> None:
    """Until it is gone; another one of that name is none of ours."""
    kind, space, name = target
    deadline = time.monotonic() + WAIT
    pause = 0.005
    while time.monotonic() < deadline:
        try:
            if meta.uid(client.get(kind.kind, space, name)) != uid:
                return
        except NotFound:
            return
        time.sleep(pause)
        pause = min(pause * 1.5, 0.2)
    raise NetlabError(
        f'{kind.singular} "{name}" is still there after {WAIT:.0f} s',
        hint="its finalizers or its pods' grace period hold it; see netlab get -o yaml",
    )
