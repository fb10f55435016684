"""Examples:

    netlab rollout status deploy/web
    netlab rollout status deploy/web --timeout=30s
    netlab rollout status deploy/web --watch=false      how far it is, without waiting

Exit code 1 when the rollout failed, or was not done in time.
"""

from __future__ import annotations

import argparse

from netlab.cli import options, selection, watching
from netlab.cli.changes import rollouts
from netlab.cli.whynot import whynot
from netlab.client.sync import Client
from netlab.controllers.rollout import revision
from netlab.errors import NetlabError, UsageError
from netlab.objects import meta
from netlab.objects.kinds import BY_KIND
from netlab.objects.meta import Object


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """kubectl's flags."""
    selection.add_arguments(parser, "deploy/NAME …")
    parser.add_argument(
        "-w",
        "--watch",
        nargs="?",
        const="true",
        default="true",
        choices=["true", "false"],
        help="until it is done (true)",
    )
    parser.add_argument("--timeout", default="0", metavar="TIME", help="30s, 5m; 0 is no limit (0)")
    parser.add_argument(
        "--revision", type=int, default=0, metavar="N", help="fail unless it is this revision's"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print how far each rollout is until it is done."""
    seconds = options.duration(arguments.timeout) or watching.FOREVER
    with options.client(arguments) as client:
        for obj in selection.objects(client, arguments, kind_alone=True):
            _follow(client, obj, seconds if arguments.watch == "true" else 0.0, arguments)
    return 0


def _follow(client: Client, obj: Object, seconds: float, arguments: argparse.Namespace) -> None:
    kind, said = BY_KIND[obj["kind"]], ""
    for now in watching.states(client, kind, meta.namespace(obj), meta.name(obj), seconds):
        if now is None:
            raise NetlabError("object has been deleted")
        if arguments.revision:
            _check_revision(now, arguments.revision)
        try:
            state = rollouts.progress(now)
        except UsageError:
            raise
        except NetlabError as error:
            raise NetlabError(f"{error.message}{whynot(client, now)}", hint=error.hint) from None
        if state.line != said:
            print(state.line, flush=True)
            said = state.line
        if state.done or not seconds:
            return
        obj = now
    raise NetlabError(
        f"timed out waiting for the condition{whynot(client, obj)}", hint="netlab get pods"
    )


def _check_revision(obj: Object, wanted: int) -> None:
    running = revision(obj)
    if running != wanted:
        raise NetlabError(
            f"desired revision ({wanted}) is different from the running revision ({running})"
        )
