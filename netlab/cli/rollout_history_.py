"""Examples:

netlab rollout history deploy/web
netlab rollout history deploy/web --revision=2       its pod template

The cause of a change is the annotation kubernetes.io/change-cause, which you set:
netlab annotate deploy/web kubernetes.io/change-cause='a newer nginx'
"""

from __future__ import annotations

import argparse

from netlab.cli import chosen, options, results, rolling
from netlab.errors import NetlabError
from netlab.objects import meta
from netlab.objects.meta import Object


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """kubectl's flags."""
    chosen.add_arguments(parser, "deploy/NAME")
    parser.add_argument("--revision", type=int, default=0, metavar="N", help="this one in full")
    options.add_output(parser, "yaml", "json", "name")


def run(arguments: argparse.Namespace) -> int:
    """List the revisions of each Deployment, or show one."""
    with options.client(arguments) as client:
        for obj in chosen.objects(client, arguments, kind_alone=True):
            history = rolling.revisions(rolling.owned_sets(client, obj))
            if arguments.revision and arguments.revision not in history:
                raise NetlabError(
                    "unable to find the specified revision",
                    hint=f"there are: {', '.join(map(str, history)) or 'none'}",
                )
            _show(obj, history, arguments)
    return 0


def _show(obj: Object, history: dict[int, Object], arguments: argparse.Namespace) -> None:
    name = results.resource_name(obj)
    chosen_set = history.get(arguments.revision)
    if arguments.output:
        results.show(chosen_set or list(history.values())[-1], arguments.output)
    elif chosen_set is not None:
        print(f"{name} with revision #{arguments.revision}")
        print(template_text(chosen_set) + "\n")
    else:
        print(f"{name} \n{table(history)}\n")


def template_text(replica_set: Object) -> str:
    """The pod template as `describe` shows it, in kubectl's form with tabs."""
    from netlab.view.describe_pod import template

    metadata = replica_set["metadata"]
    pod = dict(meta.spec(replica_set)["template"])
    cause = (metadata.get("annotations") or {}).get(rolling.CAUSE)
    if cause:
        own = dict(pod.get("metadata") or {})
        own["annotations"] = {**(own.get("annotations") or {}), rolling.CAUSE: cause}
        pod["metadata"] = own
    return "\n".join(template(pod))


def table(history: dict[int, Object]) -> str:
    """REVISION and CHANGE-CAUSE."""
    from netlab.view.tabs import align

    causes = {n: meta.annotations(s).get(rolling.CAUSE) or "<none>" for n, s in history.items()}
    return align(["REVISION\tCHANGE-CAUSE", *(f"{n}\t{cause}" for n, cause in causes.items())])
