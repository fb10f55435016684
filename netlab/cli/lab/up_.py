"""Examples:

    sudo netlab up topologies/quickstart.yaml
    sudo netlab up lab.yaml web.yaml --timeout=30s
    sudo netlab up lab.yaml web.yaml --dry-run    what would be built, or changed

Of a lab that runs, a changed file may change nodes, their labels and taints, kube-proxy's mode and
settings, the DNS domain, load balancers' addresses and the world outside.

Waits until all pods that the files ask for are ready, rules and names are in place; says on
standard error for what it waits. Gives up at once on a pod that waiting does not help (it fits on
no node, a ConfigMap is missing), and on one that has crashed three times. The lab stays up then.

Exit code: 0 all is ready, 1 something is not, and is named with the reason; 2 a file is wrong, and
nothing was touched.

-o json: {lab, seconds, changed: [FIELD], deletedNodes: [NAME], applied: [{resource, kind,
namespace, name, uid, result, warnings}], leftOver: [the same, deleted with --prune],
waitingFor: [TEXT]}. With --dry-run the same without seconds and waitingFor; of a lab that does not
run {lab, commands: [TEXT], objects: [{resource, name, namespace}]}.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from msgspec.structs import asdict

from netlab.cli import options, terminal
from netlab.cli.progress import Progress

if TYPE_CHECKING:
    from netlab.errors import NetlabError
    from netlab.lab import Brought
    from netlab.manifest import Manifest
    from netlab.objects.lab import Lab
    from netlab.objects.meta import Object
    from netlab.supervision import Newborn


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The lab's files."""
    parser.add_argument("files", nargs="*", metavar="FILE", help="the lab's files or directories")
    parser.add_argument(
        "-f", "--filename", action="append", default=[], metavar="FILE", help="the same"
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="print what would be built, or changed; touch nothing",
    )
    parser.add_argument(
        "--timeout", default="2m", metavar="TIME", help="how long to wait at most: 30s, 5m (2m)"
    )
    parser.add_argument(
        "--no-wait", action="store_true", help="wait for no pod: netlab status tells how it goes"
    )
    parser.add_argument(
        "--prune",
        action="store_true",
        help="delete what an earlier up applied and the files have no more",
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="print errors alone")
    options.add_output(parser, "json")


def run(arguments: argparse.Namespace) -> int:
    """Bring the lab up; print what was applied and how long it took."""
    from netlab import supervision
    from netlab.errors import UsageError

    files = arguments.files + arguments.filename
    if not files:
        raise UsageError("which lab?", hint="sudo netlab up topologies/quickstart.yaml")
    if arguments.dry_run:
        return _dry_run(_load(files, arguments), arguments)
    with supervision.head_start() as newborn:
        return _bring_up(files, arguments, newborn)


def _load(files: list[str], arguments: argparse.Namespace) -> Manifest:
    from netlab import inventory, manifest

    loaded = manifest.load(files, joined=inventory.joined)
    _refuse_other_lab(arguments.lab, loaded)
    options.warn_of_left_out(loaded)
    return loaded


def _bring_up(files: list[str], arguments: argparse.Namespace, newborn: Newborn | None) -> int:
    from netlab import lab
    from netlab.errors import UsageError

    loaded = _load(files, arguments)
    timeout = None if arguments.no_wait else options.duration(arguments.timeout)
    if timeout is not None and timeout < 0:
        raise UsageError("no time can be less than none", hint="--no-wait does not wait")
    began = time.monotonic()
    with Progress(quiet=arguments.quiet or arguments.output == "json") as progress:
        brought = lab.up(
            loaded,
            files,
            progress=progress,
            timeout=timeout,
            prune=arguments.prune,
            newborn=newborn,
        )
    seconds = time.monotonic() - began
    assert loaded.lab is not None
    _warn(brought, arguments)
    if arguments.output == "json":
        timed = {"seconds": round(seconds, 3), "waitingFor": brought.troubles}
        print(json.dumps(_json(loaded.lab.name, brought) | timed))
    elif not arguments.quiet:
        for line in _lines(loaded.lab.name, brought, arguments):
            print(line)
        if not brought.troubles:
            print(f"lab {loaded.lab.name} is up ({seconds:.2f} s)")
            _say_what_next(loaded)
    if brought.troubles:
        sys.stdout.flush()
        options.complain(_not_ready(loaded.lab.name, seconds, brought))
    return int(bool(brought.troubles))


def _warn(brought: Brought, arguments: argparse.Namespace) -> None:
    for entry in brought.applied:
        for text in entry.warnings:
            options.warn(f"{entry.resource}/{entry.name}: {text}")
    if "dns" in brought.changes.fields:
        options.warn("pods that run go on with the DNS domain and servers that they began with")
    if brought.left_over and not arguments.prune:
        names = ", ".join(map(str, brought.left_over))
        options.warn(f"not in the files any more, and left as it is: {names} (--prune deletes it)")


def _lines(name: str, brought: Brought, arguments: argparse.Namespace) -> Iterator[str]:
    """What became of the lab, its nodes and its objects, or would become, in kubectl's words."""
    if brought.changes:
        yield f"lab/{name} configured ({', '.join(brought.changes.fields)})"
    for was, _ in brought.changes.changed:
        yield f"node/{was.name} configured"
    for gone in brought.changes.removed:
        yield f"node/{gone} deleted"
    yield from map(str, brought.applied)
    for left in brought.left_over if arguments.prune else ():
        yield f"{left} pruned"


def _refuse_other_lab(named: str | None, loaded: Manifest) -> None:
    """`--lab` chooses among labs that run; the one to bring up is named by its file."""
    from netlab.errors import UsageError

    if named and loaded.lab and named != loaded.lab.name:
        raise UsageError(
            f"the files hold lab {loaded.lab.name}, not {named}",
            hint=f"leave --lab out, or write metadata: {{name: {named}}} in the Lab",
        )


def _json(name: str, brought: Brought) -> dict[str, Any]:
    return {
        "lab": name,
        "changed": list(brought.changes.fields),
        "deletedNodes": list(brought.changes.removed),
        "applied": [asdict(entry) for entry in brought.applied],
        "leftOver": [asdict(entry) for entry in brought.left_over],
    }


def _not_ready(name: str, seconds: float, brought: Brought) -> NetlabError:
    """Each thing that does not work and why, and how to see more of the first."""
    from netlab.errors import NetlabError

    how = "and waiting does not help" if brought.settled else "this did not get ready"
    lines = "".join(f"\n  {line}" for line in brought.troubles)
    text = f"lab {name} is up, but after {seconds:.0f} s {how}:{lines}"
    return NetlabError(text, hint=_closer_look(brought.troubles[0]))


def _closer_look(line: str) -> str:
    kind, _, rest = line.partition(" ")
    key = rest.partition(":")[0]
    space, slash, pod = key.partition("/")
    if kind != "pod" or not slash:
        return "netlab status shows how it goes on"
    where = "" if space == "default" else f" -n {space}"
    return f"netlab describe pod {pod}{where}"


def _say_what_next(loaded: Manifest) -> None:
    from netlab.view.next_steps import next_steps
    from netlab.view.table import align

    width = terminal.width()
    if width is not None and loaded.lab is not None:
        found = list(
            next_steps(
                loaded.lab,
                loaded.objects,
                checks=bool(loaded.checks),
                sudo="SUDO_USER" in os.environ,
                named=_must_be_named(loaded.lab.name),
            )
        )
        steps = align([["", *step] for step in found]).split("\n")
        if max(map(len, steps)) > width:  # then the purpose goes below the command
            steps = [f"   {command}\n       {purpose}" for command, purpose in found]
        print("\nnext:\n" + "\n".join(steps))


def _must_be_named(name: str) -> bool:
    """Whether commands that say no --lab are about another lab, or about none."""
    from netlab import inventory

    return inventory.names() != [name] or os.environ.get("NETLAB_LAB", name) != name


def _dry_run(loaded: Manifest, arguments: argparse.Namespace) -> int:
    from netlab import rehearsal
    from netlab.errors import UsageError

    if loaded.lab is None:
        raise UsageError("the files hold no `kind: Lab` object", hint="netlab apply --dry-run")
    brought = rehearsal.rehearse(loaded)
    if brought is None:
        _show_plan(loaded.lab, loaded.objects, arguments)
        return 0
    _warn(brought, arguments)
    if arguments.output == "json":
        print(json.dumps(_json(loaded.lab.name, brought)))
    elif not arguments.quiet:
        unchanged = [] if brought.changes else [f"lab/{loaded.lab.name} unchanged"]
        for line in (*unchanged, *_lines(loaded.lab.name, brought, arguments)):
            print(f"{line} (server dry run)")
    return 0


def _show_plan(lab: Lab, objects: Sequence[Object], arguments: argparse.Namespace) -> None:
    """All that would be built of a lab that does not run."""
    from netlab.view import plan

    if arguments.output == "json":
        print(json.dumps(plan.as_json(lab, objects), indent=2))
    elif not arguments.quiet:
        print("\n".join(plan.describe(lab, objects)))
