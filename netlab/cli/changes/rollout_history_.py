"""Examples:

    netlab rollout history deploy/web
    netlab rollout history sts/db --revision=2           its pod template

The cause of a change is the annotation kubernetes.io/change-cause, which you set:

    netlab annotate deploy/web kubernetes.io/change-cause=nginx-1.27
"""

from __future__ import annotations

import argparse

from netlab.cli import options, results, selection
from netlab.cli.changes import revisions
from netlab.cli.changes.revisions import Revisions
from netlab.errors import UsageError
from netlab.objects import meta
from netlab.objects.meta import Object


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """kubectl's flags."""
    selection.add_arguments(parser, "deploy/NAME, sts/NAME, ds/NAME")
    parser.add_argument("--revision", type=int, default=0, metavar="N", help="this one in full")
    options.add_output(parser, "yaml", "json", "name")


def run(arguments: argparse.Namespace) -> int:
    """List the revisions of each workload, or show one."""
    if arguments.revision < 0:
        raise UsageError(f"revision must be a positive integer: {arguments.revision}")
    with options.client(arguments) as client:
        for obj in selection.objects(client, arguments, kind_alone=True):
            history = revisions.of(client, obj)
            if arguments.output:
                _show(obj, picked(history, arguments.revision), arguments.output)
            else:
                print(text(obj, history, arguments.revision))
    return 0


def picked(history: Revisions, number: int) -> Revisions:
    """The revision of that number alone, or with 0 all of them."""
    if not number:
        return history
    return {number: revisions.find(history, number, "unable to find the specified revision")}


def _show(obj: Object, history: Revisions, output: str) -> None:
    for index, one in enumerate(history.values()):
        if index and output == "yaml":
            print("---")
        results.show(revisions.as_it_was(obj, one), output)


def text(obj: Object, history: Revisions, number: int) -> str:
    """What is printed of an object: its revisions, or the template of one."""
    name = results.resource_name(obj)
    if not history:
        return f"{name} \nNo rollout history found."
    if number:
        template = revisions.with_cause(picked(history, number)[number])
        return f"{name} with revision #{number}\n{revisions.template_text(template)}\n"
    return f"{name} \n{table(history)}\n"


def table(history: Revisions) -> str:
    """REVISION and CHANGE-CAUSE."""
    from netlab.view.tabs import align

    causes = {n: meta.annotations(s).get(revisions.CAUSE) or "<none>" for n, s in history.items()}
    return align(["REVISION\tCHANGE-CAUSE", *(f"{n}\t{cause}" for n, cause in causes.items())])
