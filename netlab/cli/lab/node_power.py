"""What `node stop` and `node start` share: a machine is switched off or on, and that is awaited."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

from msgspec import Struct

from netlab.cli import options, results
from netlab.cli.changes import patching
from netlab.client.sync import Client
from netlab.errors import NetlabError
from netlab.objects import meta
from netlab.objects.lab import Lab
from netlab.objects.meta import Object
from netlab.objects.nodes import COMING, OFF, POWER, is_off, node_of

TIMEOUT = 60.0


class Switch(Struct, frozen=True):
    """`off` says which way; `done` is said of a node in the end, once `holds` is true of it."""

    off: bool
    done: str
    holds: Callable[[Object], bool]

    @property
    def patch(self) -> dict[str, object]:
        """The change of a Node object that does it."""
        return {"metadata": {"annotations": {POWER: OFF if self.off else None}}}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which nodes."""
    parser.add_argument("nodes", nargs="+", metavar="NODE", help="which nodes")
    results.add_arguments(parser)


def turn(arguments: argparse.Namespace, switch: Switch) -> int:
    """Switch each node; exit code 1 if one was refused."""
    from netlab import inventory

    failed, changed = False, []
    spec = inventory.read_lab(inventory.running(arguments.lab))
    with options.client(arguments) as client:
        for name in arguments.nodes:
            try:
                changed.append(_turned(client, spec, name, arguments, switch))
            except NetlabError as error:
                options.complain(error)
                failed = True
        for obj in filter(None, changed):
            if arguments.dry_run == "none":
                obj = awaited(client, meta.name(obj), switch.holds)
            results.report(obj, switch.done, arguments)
    return int(failed)


def _turned(
    client: Client, spec: Lab, name: str, arguments: argparse.Namespace, switch: Switch
) -> Object | None:
    """The Node as it is to be; None if it is so already."""
    live = client.get("Node", "", name)
    if node_of(spec, live) is None:
        raise NetlabError(
            f'node "{name}" is no machine of lab {spec.name}: somebody made the object alone',
            hint=f"kubectl delete node {name}",
        )
    if is_off(live) == switch.off:
        results.report(live, f"already {switch.done}", arguments)
        return None
    return patching.change(client, live, switch.patch, arguments)


def awaited(client: Client, name: str, holds: Callable[[Object], bool]) -> Object:
    """The Node once the lab has done what was asked and this is true of it."""
    deadline = time.monotonic() + TIMEOUT
    while True:
        coming = _coming(client)
        obj: Object = client.get("Node", "", name)
        if not coming and holds(obj):
            return obj
        _have_time(deadline, name, coming or "it is not Ready")


def away(client: Client, name: str) -> None:
    """Return once nothing is left of a node whose object was deleted."""
    deadline = time.monotonic() + TIMEOUT
    while coming := _coming(client):
        _have_time(deadline, name, coming)


def _coming(client: Client) -> str:
    """What the lab is at with its nodes."""
    from netlab.client import settled

    at_work = settled.look(client, 0.05).at_work
    return next((line for line in at_work if line.startswith(COMING)), "")


def _have_time(deadline: float, name: str, why: str) -> None:
    if time.monotonic() > deadline:
        raise NetlabError(f"node {name}: not done after {TIMEOUT:g} s: {why}", hint="netlab status")
    time.sleep(0.02)
