"""What `rollout restart`, `pause` and `resume` share: a patch, and when it makes no sense."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from netlab.cli import options, results, selection
from netlab.cli.changes import patching
from netlab.cli.changes.rollouts import PAUSABLE
from netlab.errors import NetlabError
from netlab.objects import meta
from netlab.objects.kinds import BY_KIND, Kind
from netlab.objects.meta import Object


class Step(Struct, frozen=True):
    """A change to a workload, what is said when it is done, and kubectl's refusals."""

    patch: dict[str, Any]
    done: str
    kinds: Sequence[Kind]
    if_paused: bool
    """Refused of what is paused (True) or of what is not (False)."""

    refusal: str
    gerund: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """kubectl's flags."""
    selection.add_arguments(parser, "deploy/NAME …")
    results.add_arguments(parser)


def take(arguments: argparse.Namespace, step: Step) -> int:
    """Take the step with each object; exit code 1 if one was refused."""
    failed = False
    with options.client(arguments) as client:
        for obj in selection.objects(client, arguments, kind_alone=True):
            try:
                check(obj, step)
                now = patching.change(client, obj, step.patch, arguments)
                results.report(now, step.done, arguments)
            except NetlabError as error:
                options.complain(error)
                failed = True
    return int(failed)


def check(obj: Object, step: Step) -> None:
    """Raise if the step makes no sense for the object as it is."""
    kind = BY_KIND[obj["kind"]]
    subject = f'{kind.resource} "{meta.name(obj)}"'
    if kind not in step.kinds:
        raise NetlabError(f"{subject} {step.gerund} is not supported")
    if kind in PAUSABLE and bool(meta.spec(obj).get("paused")) == step.if_paused:
        raise NetlabError(f"{subject} {step.refusal}")
