"""Examples:

    netlab wait --for=condition=Ready pod/client
    netlab wait --for=delete pod -l app=web
    netlab wait --for=condition=Available deploy --all --timeout=60s
    netlab wait --for=jsonpath='{.status.phase}'=Running pod/client
    netlab wait --for=create svc/web

Exit code 1 when the time is over first.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

from msgspec import Struct

from netlab.cli import options, results, selection, watching
from netlab.cli.whynot import whynot
from netlab.client.sync import Client
from netlab.errors import NetlabError, NotFound, UsageError
from netlab.objects import meta
from netlab.objects.kinds import BY_KIND, Kind
from netlab.objects.meta import Object


class Awaited(Struct, frozen=True):
    """What is waited for: a test of an object (None once it is gone), and how to speak of it."""

    holds: Callable[[Object | None], bool]
    absent: bool = False
    """True when there need not be such an object to begin with."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """kubectl's flags."""
    selection.add_arguments(parser, "pod/NAME, deploy/web …")
    parser.add_argument(
        "--for",
        dest="awaited",
        required=True,
        metavar="WHAT",
        help="condition=NAME[=VALUE], jsonpath={PATH}[=VALUE], delete or create",
    )
    parser.add_argument(
        "--timeout",
        default="30s",
        metavar="TIME",
        help="for each object; 0 looks once, -1s waits a week (30s)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Wait for one object after the other."""
    awaited = parse(arguments.awaited)
    seconds = options.duration(arguments.timeout)
    seconds = watching.FOREVER if seconds < 0 else seconds
    failed = False
    with options.client(arguments) as client:
        for kind, namespace, name, obj in _targets(client, arguments, awaited):
            if not _wait(client, (kind, namespace, name), obj, awaited, seconds):
                failed = True
                pods = whynot(client, obj) if obj is not None and not awaited.absent else ""
                options.complain(_timed_out(kind, name, awaited, seconds, pods))
    return int(failed)


Target = tuple[Kind, str, str, Object | None]


def _targets(client: Client, arguments: argparse.Namespace, awaited: Awaited) -> Sequence[Target]:
    if awaited.absent and not arguments.filename:
        asked = options.parse_targets(arguments.targets)
        if all(name for _, name in asked):
            return [
                (kind, space, name, _live(client, kind, space, name))
                for kind, name in asked
                for space in [options.space(kind, arguments)]
            ]
    try:
        found = selection.objects(client, arguments)
    except NotFound:
        if awaited.holds(None):  # what is to be deleted is not there
            return []
        raise
    if not found and not awaited.holds(None):
        raise NetlabError(
            "no matching resources found", hint="to wait until there is one: --for=create KIND/NAME"
        )
    return [(BY_KIND[o["kind"]], meta.namespace(o), meta.name(o), o) for o in found]


def _live(client: Client, kind: Kind, namespace: str, name: str) -> Object | None:
    try:
        live: Object = client.get(kind.kind, namespace, name)
    except NotFound:
        return None
    return live


def _wait(
    client: Client,
    target: tuple[Kind, str, str],
    obj: Object | None,
    awaited: Awaited,
    seconds: float,
) -> bool:
    """Whether it came true in time; says so."""
    if obj is None and awaited.holds(None):
        return True  # there was nothing to delete, and kubectl says nothing either
    for now in watching.states(client, *target, seconds):
        replaced = obj is not None and now is not None and meta.uid(now) != meta.uid(obj)
        if awaited.holds(None if replaced and awaited.holds(None) else now):
            print(f"{results.resource_name(now or obj or {})} condition met", flush=True)
            return True
        if now is None and not awaited.absent:
            raise NotFound(f'{target[0].resource} "{target[2]}" was deleted meanwhile')
    return False


def _timed_out(kind: Kind, name: str, awaited: Awaited, seconds: float, pods: str) -> NetlabError:
    what = f"{kind.plural}/{name}"
    if not seconds and not awaited.absent:
        return NetlabError(f"condition not met for {what}{pods}")
    return NetlabError(
        f"timed out waiting for the condition on {what}{pods}",
        hint=f"netlab get {kind.plural}"
        if awaited.absent
        else f"netlab describe {kind.singular} {name}",
    )


# -- what may be waited for ----------------------------------------------------------------


def parse(text: str) -> Awaited:
    """What `--for` says. `UsageError` for what it cannot mean."""
    sort, _, rest = text.partition("=")
    match sort.lower():
        case "delete" if not rest:
            return Awaited(lambda obj: obj is None, absent=True)
        case "create" if not rest:
            return Awaited(lambda obj: obj is not None, absent=True)
        case "condition" if rest:
            name, _, value = rest.partition("=")
            return Awaited(lambda obj: obj is not None and has_condition(obj, name, value))
        case "jsonpath" if rest:
            path, wanted = _path_and_value(rest)
            return Awaited(lambda obj: obj is not None and has_value(obj, path, wanted))
    raise UsageError(
        f'unrecognized condition: "{text}"',
        hint="condition=Ready, jsonpath='{.status.phase}'=Running, delete or create",
    )


def has_condition(obj: Object, name: str, value: str = "") -> bool:
    """Whether the object's condition has that value (True), upper or lower case alike.

    A status that was written before the last change to the spec does not count.
    """
    generation = int(obj["metadata"].get("generation") or 0)
    status = meta.status(obj)
    for entry in status.get("conditions") or []:
        if entry.get("type", "").lower() == name.lower():
            observed = entry.get("observedGeneration") or status.get("observedGeneration")
            if observed is not None and int(observed) < generation:
                return False
            return bool(str(entry.get("status", "")).lower() == (value or "True").lower())
    return False


def has_value(obj: Object, path: str, value: str | None) -> bool:
    """Whether the path finds that value; with None, whether it finds any."""
    from netlab.view.jsonpath import find, text

    found = find(path, obj)
    if len(found) > 1:
        raise NetlabError(f"the jsonpath {path} matches more than one value", hint="pick one: [0]")
    return bool(found) and (value is None or text(found[0]) == value)


def _path_and_value(text: str) -> tuple[str, str | None]:
    """`{.a}=b` → ({.a}, b)."""
    if text.startswith("{") and "}" in text:
        at = text.rindex("}") + 1 if "}=" not in text else text.index("}=") + 1
        path, rest = text[:at], text[at:]
    else:
        path, equals, value = text.partition("=")
        rest = equals + value
    if rest and (not rest.startswith("=") or rest == "="):
        raise UsageError(f"'{text}' is not of the form {{PATH}}=VALUE", hint="jsonpath={.a.b}=c")
    return path, rest[1:] if rest else None
