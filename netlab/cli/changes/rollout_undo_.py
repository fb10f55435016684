"""Examples:

netlab rollout undo deploy/web                     to the revision before
netlab rollout undo sts/db --to-revision=3
"""

from __future__ import annotations

import argparse
from typing import Any

from netlab.cli import options, results, selection
from netlab.cli.changes import patching, revisions
from netlab.cli.changes.revisions import Revision, Revisions
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
    selection.add_arguments(parser, "deploy/NAME, sts/NAME, ds/NAME …")
    parser.add_argument(
        "--to-revision", type=int, default=0, metavar="N", help="which one (the one before)"
    )
    results.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Give each workload the template it had."""
    with options.client(arguments) as client:
        for obj in selection.objects(client, arguments, kind_alone=True):
            _undo(client, obj, arguments)
    return 0


def _undo(client: Client, obj: Object, arguments: argparse.Namespace) -> None:
    one = target(revisions.of(client, obj, "no rollbacker"), arguments.to_revision, obj)
    if arguments.dry_run == "client" and not arguments.output:
        results.report(obj, foretold(obj, one), arguments)
        return
    if meta.spec(obj).get("paused"):
        raise NetlabError(
            "you cannot rollback a paused deployment; resume it first",
            hint=f"netlab rollout resume deploy/{meta.name(obj)}",
        )
    if is_present(obj, one):
        number = arguments.to_revision
        text = f"skipped rollback (current template already matches revision {number})"
        results.report(obj, text, arguments)
        return
    patch, content_type = undo_patch(obj, one)
    now = patching.change(client, obj, patch, arguments, content_type)
    results.report(now, "rolled back", arguments)


def target(history: Revisions, wanted: int, obj: Object) -> Revision:
    """The revision to go back to; `wanted` 0 is the one before the last."""
    if wanted:
        refusal = f"unable to find specified revision {wanted} in history"
        return revisions.find(history, wanted, refusal)
    if len(history) < 2:
        raise NetlabError(
            f'no rollout history found for deployment "{meta.name(obj)}"'
            if obj["kind"] == "Deployment"
            else "no last revision to roll back to"
        )
    return list(history.values())[-2]


def is_present(obj: Object, one: Object) -> bool:
    """Whether the revision's template is what the workload has already."""
    return bool(revisions.template_of(one) == meta.spec(obj)["template"])


def foretold(obj: Object, one: Object) -> str:
    """What a trial that asks nobody says."""
    will = "" if obj["kind"] == "Deployment" else "will roll back to "
    return f"{will}{revisions.template_text(revisions.as_kept(one))}\n"


def undo_patch(obj: Object, one: Object) -> tuple[Any, str]:
    """The patch that brings the revision's template back, and its content type."""
    if obj["kind"] != "Deployment":
        return one["data"], patching.STRATEGIC
    own, old = meta.annotations(obj), meta.annotations(one)
    kept = {key: value for key, value in own.items() if key in _KEPT}
    annotations = {key: value for key, value in old.items() if key not in _KEPT} | kept
    patch = [
        {"op": "replace", "path": "/spec/template", "value": revisions.template_of(one)},
        {"op": "add", "path": "/metadata/annotations", "value": annotations},
    ]
    return patch, patching.JSON
