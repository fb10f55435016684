"""Examples:

    sudo netlab why svc/web                    does it answer, and if not, why
    sudo netlab why svc/web --from client      asked from outside, by its nodePort
    sudo netlab why web:8443 -o json           one port of several
    sudo netlab why web.shop --from box        by the name that a pod asks for

Looks at the Service's objects, then sends a packet: from the one named, else from a pod that is not
behind it, else from a node; and looks at what is in force on the nodes of its way. Ends with one
sentence, what shows it, and what to do. `netlab help causes` lists what it knows.

Exit code: 0 it answers, 1 it does not, 2 wrong usage, or nothing could be seen.

-o json: {service, answers, sentence, evidence: [TEXT], causes: [{reason, message, port, nodes,
pods, remedy, line}], remedies: [COMMAND]}
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from netlab.cli import options, terminal
from netlab.errors import NetlabError, UsageError
from netlab.view.escape import escape_line

if TYPE_CHECKING:
    from netlab.pathcheck.world import World
    from netlab.trace.answer import Answer

_MOST_PODS = 3
"""Of so many that have ended it is said what they said: one is mostly like the other."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which Service, and for whom."""
    parser.add_argument(
        "service", metavar="SERVICE", help="svc/NAME, NAME, NAME:PORT, or NAME.NAMESPACE"
    )
    parser.add_argument("--from", dest="sender", metavar="FROM", help="a pod, a node, a client")
    options.add_namespace(parser)
    options.add_output(parser, "json")


def run(arguments: argparse.Namespace) -> int:
    """Say whether it answers, and if not, why."""
    from netlab import inventory, lab

    lab.need_root("why")
    with inventory.in_use(arguments.lab) as directory:
        found = _answered(directory, arguments)
    if arguments.output == "json":
        print(json.dumps(found.json(), indent=2))
    else:
        _print(found)
    return int(not found.answers)


def _answered(directory: Path, arguments: argparse.Namespace) -> Answer:
    from netlab import inventory
    from netlab.cli.packets import lab_world, reasons
    from netlab.diagnosis.names import no_such_service
    from netlab.trace.answer import answer, of_name, usual_sender
    from netlab.trace.ends import check_of_service

    world = lab_world.world(arguments, directory)
    word, _, port = options.service_name(arguments.service, "why").partition(":")
    name, dot, rest = word.partition(".")
    space = rest.partition(".")[0] or arguments.namespace or "default"
    service = world.services.get(f"{space}/{name}")
    if service is None:
        cause = no_such_service(name, space, list(world.services.values())) if dot else None
        if cause is None:
            raise _unknown(name, space, world)
        return of_name(word, f"{space}/{name}", cause)
    facts = lab_world.facts(arguments, directory)
    sender = arguments.sender or usual_sender(service, world)
    check = check_of_service(sender, service, port, world)
    lab, silent = inventory.read_lab(directory), lab_world.silent(arguments)
    seen = reasons.seen(check, service, world, facts, lab, directory, silent)
    found = answer(service, facts, replace(seen, named=bool(arguments.sender)))
    return replace(found, evidence=(*found.evidence, *_last_words(found, space, arguments)))


def _last_words(found: Answer, space: str, arguments: argparse.Namespace) -> Iterator[str]:
    """What pods that do not run have said before they ended, as `up` tells it."""
    from netlab import waiting

    ended = [cause.pods for cause in found.causes if cause.reason == "ContainersNotRunning"]
    names = [f"{space}/{pod}" for pods in ended for pod in pods][:_MOST_PODS]
    if names:
        with options.client(arguments) as client:
            yield from waiting.reasons(client, names)


def _unknown(name: str, space: str, world: World) -> NetlabError:
    from netlab.objects import meta
    from netlab.objects.problems import did_you_mean

    known = [meta.split_key(key) for key in sorted(world.services)]
    elsewhere = [found for found, each in known if each == name]
    if elsewhere:
        hint = f"one is in namespace {elsewhere[0]}: -n {elsewhere[0]}"
    else:
        meant = did_you_mean(name, [each for found, each in known if found == space])
        hint = f"did you mean {meant}?" if meant else f"netlab get svc -n {space}"
    return UsageError(f"there is no Service {name} in namespace {space}", hint=hint)


def _print(found: Answer) -> None:
    colour = terminal.good if found.answers else terminal.bad
    head, space, rest = terminal.fit(escape_line(found.sentence)).partition(" ")
    terminal.raw(sys.stdout).write(f"{colour(head)}{space}{rest}\n")
    for number, cause in enumerate(found.causes):
        if number:
            print(terminal.fit(escape_line(f"  also: {cause}"), indent=" " * 8))
    for text in found.evidence:
        print(terminal.fit(escape_line(f"  seen: {text}"), indent=" " * 8))
    for command in found.remedies:
        print(f"  do:   {escape_line(command)}")
