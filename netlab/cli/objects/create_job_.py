"""Examples:

netlab create job pi --image=perl -- perl -Mbignum=bpi -wle "print bpi(200)"
netlab create job now --from=cronjob/nightly
netlab create job pi --image=perl --dry-run=client -o yaml > pi.yaml
"""

from __future__ import annotations

import argparse
from typing import Any

from netlab.cli import options, results
from netlab.cli.objects import creation
from netlab.errors import UsageError
from netlab.objects import meta
from netlab.objects.meta import Object
from netlab.objects.types import CronJob

MANUAL = "cronjob.kubernetes.io/instantiate"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """kubectl's flags."""
    parser.add_argument("name", metavar="NAME", help="the Job's name")
    options.add_command(parser, creation.COMMAND)
    parser.add_argument("--image", default="", help="what to run")
    parser.add_argument(
        "--from", dest="origin", default="", metavar="cronjob/NAME", help="what it is made after"
    )
    options.add_namespace(parser)
    results.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Create it."""
    creation.require_one_name(arguments, "create job")
    if bool(arguments.image) == bool(arguments.origin):
        raise UsageError(
            "either --image or --from must be specified",
            hint=f"netlab create job {arguments.name} --image=busybox -- date",
        )
    creation.create(_after(arguments) if arguments.origin else job_object(arguments), arguments)
    return 0


def job_object(arguments: argparse.Namespace) -> Object:
    """The Job of an image that the command line describes."""
    return creation.new(
        "Job",
        arguments.name,
        arguments,
        spec={"template": template(arguments, arguments.name, "Never")},
    )


def template(arguments: argparse.Namespace, container: str, restarts: str) -> dict[str, Any]:
    """The pods: of the image, with the command behind `--`."""
    entry: dict[str, Any] = {"name": container, "image": arguments.image}
    if arguments.command_words:
        entry["command"] = arguments.command_words
    return {"spec": {"containers": [entry], "restartPolicy": restarts}}


def _after(arguments: argparse.Namespace) -> Object:
    kind, name = options.slashed(arguments.origin)
    if kind.kind != "CronJob":
        raise UsageError(
            f"from must be an existing cronjob: {arguments.origin}", hint="--from=cronjob/NAME"
        )
    if arguments.command_words:
        raise UsageError("cannot specify --from and command")
    with options.client(arguments) as client:
        return manual(client.get(kind.kind, arguments.namespace, name), arguments)


def manual(origin: CronJob, arguments: argparse.Namespace) -> Object:
    """The Job that a CronJob would make now."""
    below = meta.spec(origin)["jobTemplate"]
    given = below.get("metadata") or {}
    metadata: dict[str, Any] = {
        "labels": given.get("labels") or {},
        "annotations": {MANUAL: "manual", **(given.get("annotations") or {})},
        "ownerReferences": [meta.owner_reference(origin)],
    }
    del metadata["ownerReferences"][0]["blockOwnerDeletion"]
    return creation.new("Job", arguments.name, arguments, metadata=metadata, spec=meta.spec(below))
