"""Examples:

netlab rollout undo deploy/web                     to the revision before
netlab rollout undo deploy/web --to-revision=3
"""

from __future__ import annotations

import argparse
from typing import Any

from netlab.cli import changes, chosen, options, results, rolling
from netlab.client.sync import Client
from netlab.errors import NetlabError
from netlab.objects import meta
from netlab.objects.meta import Object

_KEPT = (
    "kubectl.kubernetes.io/last-applied-configuration",
    "deployment.kubernetes.io/revision",
    "deployment.kubernetes.io/revision-history",
    "deployment.kubernetes.io/desired-replicas",
    "deployment.kubernetes.io/max-replicas",
)
"""Annotations that are the Deployment's or the ReplicaSet's own: a rollback leaves them."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """kubectl's flags."""
    chosen.add_arguments(parser, "deploy/NAME …")
    parser.add_argument(
        "--to-revision", type=int, default=0, metavar="N", help="which one (the one before)"
    )
    results.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Give each Deployment the template it had."""
    with options.client(arguments) as client:
        for obj in chosen.objects(client, arguments, kind_alone=True):
            _undo(client, obj, arguments)
    return 0


def _undo(client: Client, obj: Object, arguments: argparse.Namespace) -> None:
    if meta.spec(obj).get("paused"):
        raise NetlabError(
            "you cannot rollback a paused deployment; resume it first",
            hint=f"netlab rollout resume deploy/{meta.name(obj)}",
        )
    history = rolling.revisions(rolling.owned_sets(client, obj))
    number = target(history, arguments.to_revision, meta.name(obj))
    patch = undo_patch(obj, history[number])
    if patch is None:
        text = f"skipped rollback (current template already matches revision {number})"
        results.report(obj, text, arguments)
        return
    now = changes.change(client, obj, patch, arguments, changes.JSON)
    results.report(now, "rolled back", arguments)


def target(history: dict[int, Object], wanted: int, name: str) -> int:
    """The revision to go back to; `wanted` 0 is the one before the last."""
    if wanted and wanted not in history:
        raise NetlabError(
            f"unable to find specified revision {wanted} in history",
            hint=f"there are: {', '.join(map(str, history)) or 'none'}",
        )
    if not wanted and len(history) < 2:
        raise NetlabError(f'no rollout history found for deployment "{name}"')
    return wanted or list(history)[-2]


def undo_patch(deployment: Object, replica_set: Object) -> list[dict[str, Any]] | None:
    """The JSON patch that brings the template back; None when it is the present one."""
    template = rolling.template_of(replica_set)
    if template == rolling.template_of(deployment):
        return None
    own, old = meta.annotations(deployment), meta.annotations(replica_set)
    kept = {key: value for key, value in own.items() if key in _KEPT}
    annotations = {key: value for key, value in old.items() if key not in _KEPT} | kept
    return [
        {"op": "replace", "path": "/spec/template", "value": template},
        {"op": "add", "path": "/metadata/annotations", "value": annotations},
    ]
