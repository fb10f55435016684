"""`netlab trace --from-save FILE`: by the rules of a real node, without lab and root."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from netlab.cli import options
from netlab.cli.packets import trace_dry
from netlab.errors import InputError, NetlabError, Problem, UsageError

if TYPE_CHECKING:
    from netlab.cli.packets.node_save import Given
    from netlab.cli.packets.trace_files import Write
    from netlab.pathcheck.packets import ProbePacket
    from netlab.trace.story import Story

_NAMED = "netlab trace --from-save node.save --objects objects.yaml pod/box svc/web:80"
_WHOLE = "no kernel has such rules: save all of them, unchanged"
_EXAMPLE = "netlab trace --from-save node.save --packet 'tcp 10.0.0.5:40000 > 10.96.0.10:80'"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument(
        "--packet", metavar="TEXT", help="with --from-save: 'tcp 10.0.0.5:40000 > 10.96.0.10:80'"
    )
    parser.add_argument(
        "--in", dest="comes_in_by", metavar="LINK", default="", help="the packet comes in by it"
    )
    parser.add_argument(
        "--out", dest="leaves_by", metavar="LINK", default="", help="it leaves by that one"
    )


def run(arguments: argparse.Namespace, write: Write) -> int:
    """Tell what a real node's rules would do."""
    from netlab.trace.document import document

    _check(arguments)
    story = _story(arguments)
    write(story, document(story))
    return trace_dry.show(story, arguments)


_SENDING = (
    "dry", "follow", "count", "http", "payload", "pcap", "lab", "filename", "selector",
)  # fmt: skip


def _check(arguments: argparse.Namespace) -> None:
    """A save is no lab: nothing is sent."""
    for option in _SENDING:
        if getattr(arguments, option, None):
            name = {"filename": "f"}.get(option, option)
            dashes = "-" if len(name) == 1 else "--"
            raise UsageError(f"{dashes}{name} does not go with --from-save", hint=_EXAMPLE)
    named = bool(arguments.words or arguments.sender or arguments.target)
    if named and arguments.packet:
        raise UsageError("--packet says from where to where", hint=_EXAMPLE)
    if named and not arguments.objects:
        raise UsageError("who has which name, --objects tells", hint=_NAMED)
    if not named and not arguments.packet:
        raise UsageError("which packet?", hint=_EXAMPLE)


def _story(arguments: argparse.Namespace) -> Story:
    from netlab.cli.packets import node_save
    from netlab.simulation.hooks import DanglingJump
    from netlab.trace.onsave import told

    given = node_save.read(arguments)
    try:
        with _of_files(arguments, given):
            probe = _probe(arguments, given)
            rules = given.rules_for(probe.dst)
            node = given.node(arguments.comes_in_by, arguments.leaves_by)
            story = told(
                probe, rules, node, given.world, given.save.files, given.find, arguments.ct
            )
            return _with_turns(story, arguments, given) if arguments.about else story
    except DanglingJump as error:
        files = ", ".join(given.save.files)
        raise InputError([Problem(files, 0, "", error.message, _WHOLE)]) from None


@contextlib.contextmanager
def _of_files(arguments: argparse.Namespace, given: Given) -> Iterator[None]:
    """What there is not has a hint to the files, as there is no lab to ask."""
    try:
        yield
    except NetlabError as error:
        hint = error.hint or ""
        if "netlab get services" in hint:
            error.hint = _there_are("Services", given.world.services, arguments)
        elif "netlab get pods" in hint:
            error.hint = _there_are("pods", given.world.pods, arguments)
        elif hint == "sudo netlab rules":
            error.hint = f"netlab rules --from-save {given.save.files[0]}"
        raise


def _there_are(what: str, known: Iterable[str], arguments: argparse.Namespace) -> str:
    """The names that the objects have, and their files."""
    if not arguments.objects:
        return f"which {what} there are, --objects tells: {_NAMED}"
    names = sorted(known)
    more = f", and {len(names) - _FEW} more" if len(names) > _FEW else ""
    listed = ", ".join(names[:_FEW]) or "none"
    return f"{what} in {', '.join(arguments.objects)}: {listed}{more}"


_FEW = 10


def _with_turns(story: Story, arguments: argparse.Namespace, given: Given) -> Story:
    """With why the packet did not come by what it is asked about."""
    from msgspec.structs import replace

    from netlab.trace.saved_rules import RulesOfSave
    from netlab.trace.whynot import why_not

    rules = RulesOfSave(given.rules_for(story.probe.src))
    namespace = arguments.namespace or "default"
    about, visits = arguments.about, story.there
    turns = why_not(about, visits, lambda _: rules, given.world, namespace)
    return replace(story, turns=tuple(turns))


def _probe(arguments: argparse.Namespace, given: Given) -> ProbePacket:
    from netlab.trace.packet_words import packet

    return packet(arguments.packet) if arguments.packet else _named(arguments, given)


def _named(arguments: argparse.Namespace, given: Given) -> ProbePacket:
    """From a pod or a node of the objects to what they name."""
    from netlab.cli.packets import trace_options
    from netlab.pathcheck.trial import plan
    from netlab.trace.packet_words import probe

    check = trace_options.check(trace_options.asked(arguments), given.world, arguments)
    trial = plan(check, given.world)
    address, port = trial.targets[0]
    if not address:
        raise UsageError(f"no DNS is asked for {trial.name}", hint=_NAMED)
    place = trial.place
    source = next((one for one in place.addresses if (":" in one) == (":" in address)), "")
    if not source:
        raise UsageError(f"{place.name} has no address of the family of {address}", hint=_NAMED)
    if trial.node != given.name:
        options.note(f"{place.name} is on {trial.node}, whose rules its packets meet first")
    return probe(trial.protocol.name, source, arguments.source_port, address, port)
