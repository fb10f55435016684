"""Examples:

    sudo netlab trace client-pod svc/web:80      which rules send its packet where, and why
    sudo netlab trace --from node/worker001 --to 10.96.0.10:53 --udp
    sudo netlab trace client-pod web --explain   each rule that did not match, too

FROM is a pod, a node, a client; TO a Service (svc/NAME:PORT, or its name, as DNS knows it), a pod,
a node's port (node/NAME:PORT), an address.

Exit code: 0 told, 1 not delivered where --expect delivered was said, 2 wrong usage or nothing could
be seen, 4 the kernel did otherwise than its rules say.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from netlab.cli import options, terminal
from netlab.errors import UsageError

if TYPE_CHECKING:
    from netlab.objects.pathcheck import Protocol
    from netlab.trace.story import Story

_DISAGREE = 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """From where to where, by what, and how much to tell."""
    parser.add_argument("words", nargs="*", metavar="FROM TO", help="who sends, and to whom")
    parser.add_argument("--from", dest="sender", metavar="FROM", help="the same")
    parser.add_argument("--to", dest="target", metavar="TO", help="the same")
    options.add_namespace(parser)
    kinds = parser.add_mutually_exclusive_group()
    for name in ("tcp", "udp", "icmp"):
        kinds.add_argument(
            f"--{name}", dest="protocol", action="store_const", const=name.upper(),
            help=f"by {name.upper()}" + (" (which it is by default)" if name == "tcp" else ""),
        )  # fmt: skip
    parser.add_argument(
        "--expect", choices=("delivered",), help="exit with 1 if it is not delivered"
    )
    parser.add_argument("--explain", action="store_true", help="tell all that did not match")


def run(arguments: argparse.Namespace) -> int:
    """Send one packet, and tell its story."""
    from netlab import inventory, lab
    from netlab.trace.agreement import observed
    from netlab.view.trace import lines

    sender, target = _ends(arguments)
    lab.need_root("trace")
    with inventory.in_use(arguments.lab) as directory:
        story = _traced(sender, target, directory, arguments)
    for line in lines(story, explain=arguments.explain):
        print(terminal.fit(line))
    if story.agreement.difference:
        return _DISAGREE
    return int(bool(arguments.expect) and observed(story.journey) != "delivered")


def _ends(arguments: argparse.Namespace) -> tuple[str, str]:
    words = list(arguments.words)
    sender = arguments.sender or (words.pop(0) if words else "")
    target = arguments.target or (words.pop(0) if words else "")
    if not sender or not target or words:
        raise UsageError("from where to where?", hint="sudo netlab trace client-pod svc/web:80")
    return sender, target


def _traced(sender: str, target: str, directory: Path, arguments: argparse.Namespace) -> Story:
    from netlab import inventory
    from netlab.cli.packets import lab_world
    from netlab.trace.ends import check_of
    from netlab.trace.session import traced

    world = lab_world.world(arguments, directory)
    protocol: Protocol = arguments.protocol or "TCP"
    space = arguments.namespace or "default"
    check = check_of(sender, target, world, namespace=space, protocol=protocol)
    story = traced(check, world, inventory.read_lab(directory))
    if story.journey.outcome == "reachable":
        return story
    return story.with_causes(world, lab_world.facts(arguments, directory))
