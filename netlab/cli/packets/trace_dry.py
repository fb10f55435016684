"""`netlab trace --dry -f FILE`: by the rules that manifests come to, without lab and root."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

from netlab.cli.packets import paper_lab, trace_options, trace_show
from netlab.cli.packets.trace_options import Asked
from netlab.errors import UsageError

if TYPE_CHECKING:
    from netlab.cli.packets.trace_files import Write
    from netlab.onpaper import PaperLab
    from netlab.trace.node_rules import NodeRules
    from netlab.trace.story import Story


def run(wanted: Asked, arguments: argparse.Namespace, write: Write) -> int:
    """Tell what the rules would do."""
    from netlab.trace.document import document

    if wanted.question is not None:
        raise UsageError("--dry sends nothing, so nobody answers", hint="name svc/NAME:PORT")
    story = _story(wanted, arguments)
    write(story, document(story))
    return show(story, arguments)


def show(story: Story, arguments: argparse.Namespace) -> int:
    """Print it; the exit code."""
    from netlab.trace.document import document
    from netlab.view import trace

    if arguments.output == "json":
        print(json.dumps(document(story), indent=2))
    else:
        for line in trace_show.told(story, arguments):
            print(trace_show.fit(line))
        if arguments.ends or len(story.ends) > 1:
            for line in trace.ends(story):
                print(trace_show.fit(line))
    lost = story.verdict != "delivered" or any(end.verdict != "delivered" for end in story.ends)
    return int(bool(arguments.expect) and lost)


def _story(wanted: Asked, arguments: argparse.Namespace) -> Story:
    from netlab.trace.dry import Asking, rehearsed
    from netlab.trace.routing import router_of

    paper = paper_lab.settled(arguments.filename)
    world = paper_lab.world(paper)
    check = trace_options.check(wanted, world, arguments)
    asked = Asking(arguments.source_port, arguments.about, arguments.ct)
    return rehearsed(check, world, paper.lab, router_of(world, paper.lab), _rules(paper), asked)


def _rules(paper: PaperLab) -> Callable[[str, bool], NodeRules]:
    from netlab import onpaper

    @cache
    def rules(node: str, ipv6: bool) -> NodeRules:
        return onpaper.rules(paper, node, "ipv6" if ipv6 else "ipv4")

    return rules
