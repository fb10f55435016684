"""`netlab trace --from-save FILE`: by the rules of a real node, without lab and root."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from netlab.cli.packets import trace_dry
from netlab.errors import InputError, Problem, UsageError

if TYPE_CHECKING:
    from netlab.cli.packets.trace_files import Write
    from netlab.pathcheck.packets import ProbePacket
    from netlab.trace.story import Story

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

    story = _story(arguments)
    write(story, document(story))
    return trace_dry.show(story, arguments)


def _story(arguments: argparse.Namespace) -> Story:
    from netlab.cli.packets import node_save
    from netlab.simulation.hooks import DanglingJump
    from netlab.trace.onsave import told

    given = node_save.read(arguments)
    probe = _probe(arguments)
    rules = given.rules_for(probe.dst)
    node = given.node(arguments.comes_in_by, arguments.leaves_by)
    try:
        return told(probe, rules, node, given.world, given.save.files, given.find)
    except DanglingJump as error:
        files = ", ".join(given.save.files)
        raise InputError([Problem(files, 0, "", error.message, _WHOLE)]) from None


def _probe(arguments: argparse.Namespace) -> ProbePacket:
    from netlab.trace.packet_words import packet

    if not arguments.packet:
        raise UsageError("which packet?", hint=_EXAMPLE)
    return packet(arguments.packet)
