"""`netlab trace --http`, `--payload`, and to a URL: a real connection, and what was answered."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from netlab.cli import options
from netlab.cli.packets import lab_world, trace_options, trace_show
from netlab.cli.packets.trace_options import Asked

if TYPE_CHECKING:
    from netlab.cli.packets.trace_files import Write
    from netlab.pathcheck.calls import Question
    from netlab.trace.calls import Call
    from netlab.trace.doors import IngressObjects


def run(
    wanted: Asked,
    question: Question,
    arguments: argparse.Namespace,
    directory: Path,
    write: Write,
) -> int:
    """Ask, and tell the connection's story."""
    from netlab.trace.call_document import call_document

    call = _called(wanted, question, arguments, directory)
    write(call.story, call_document(call))
    return show(call, arguments)


def show(call: Call, arguments: argparse.Namespace) -> int:
    """Print it; the exit code."""
    from netlab.trace.call_document import call_document
    from netlab.view import trace, trace_calls
    from netlab.view.escape import escape_line

    story = call.story
    if arguments.output == "json":
        print(json.dumps(call_document(call), indent=2))
    else:
        told = trace_calls.lines(call, lambda one: trace_show.told(one, arguments))
        for line in trace.minimal(story) if arguments.minimal else told:
            print(trace_show.fit(escape_line(line)))
        for line in trace.ends(story) if arguments.ends else ():
            print(trace_show.fit(line))
    behind = call.behind.story if call.behind is not None else None
    if story.agreement.difference or (behind is not None and behind.agreement.difference):
        return trace_show.DISAGREE
    return int(bool(arguments.expect) and bool(call.exchange.error))


def _called(
    wanted: Asked, question: Question, arguments: argparse.Namespace, directory: Path
) -> Call:
    from msgspec.structs import replace

    from netlab import inventory
    from netlab.pathcheck.trial import CannotRun
    from netlab.trace.calls import called
    from netlab.trace.doors import entrances
    from netlab.trace.lookup import Unresolved

    lab, world = inventory.read_lab(directory), lab_world.world(arguments, directory)
    objects, wish = _ingress_objects(arguments), trace_options.wish(arguments, directory)

    def ask(target: str) -> Call:
        check = trace_options.check(replace(wanted, target=target), world, arguments)
        return called(check, question, world, lab, objects, wish)

    entered = ""
    try:
        call = ask(wanted.target)
    except (Unresolved, CannotRun):
        # As `curl --resolve` does: who writes a host into an Ingress need not have told any DNS.
        if not wanted.host:
            raise
        port = int(wanted.target.rpartition(":")[2])
        entrance = next(entrances(wanted.host, port, objects, world), None)
        if entrance is None:
            raise
        address, port, whose = entrance
        call = ask(f"[{address}]:{port}" if ":" in address else f"{address}:{port}")
        entered = f"{address}:{port}, {whose}: {wanted.host} is in no DNS that it asks"
    story = lab_world.with_causes(call.story, world, lab, arguments, directory)
    return replace(call, story=story, entered=entered)


def _ingress_objects(arguments: argparse.Namespace) -> IngressObjects:
    from netlab.trace.doors import IngressObjects

    with options.client(arguments) as client:
        return IngressObjects(
            client.list("Ingress"),
            client.list("IngressClass"),
            client.list("ConfigMap"),
            client.list("Namespace"),
        )
