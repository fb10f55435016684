"""Examples:

    netlab prove diff --before old.save --after new.save
    netlab prove diff --before node.save --after nft-ruleset.txt    one mode against the other
    netlab prove diff --before old.save --after new.save -o json
    netlab prove diff --before lab.yaml --after new.yaml     two revisions of a lab, node by node
    sudo netlab prove diff --before lab.yaml                 the running lab, against its files
    sudo netlab prove diff --before saved --node worker001   that node now, against its rules then
    netlab prove diff -f lab.yaml          what kube-proxy's two modes do with packets to Services

Every class of packets that the two treat otherwise, the smallest first, and nothing else: how rules
are written, named and ordered is no difference. --before and --after take a node's rules or a lab's
manifests; Services and pods of the second lab have the addresses that the first one's were given.

-o json: [{family, from, packets, headers, before, after, open, packet}]

Exit code: 0 they do the same with every packet; 1 they do not; 2 unreadable input.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

from netlab.cli import options
from netlab.cli.packets import prove_input
from netlab.errors import UsageError

if TYPE_CHECKING:
    from netlab.prove.compared import Compared

_SHOWN = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which two."""
    for name in ("before", "after"):
        parser.add_argument(
            f"--{name}", metavar="FILE", action="append", default=[],
            help=f"rules {name}: iptables-save, nft list ruleset, a lab's files; may be repeated",
        )  # fmt: skip
    options.add_files(parser)
    parser.add_argument("--node", metavar="NODE", help="of a lab: on this node alone (all)")
    prove_input.add_local(parser)
    options.add_output(parser, "json")


def run(arguments: argparse.Namespace) -> int:
    """Compare, and print what differs."""
    if arguments.filename and (arguments.before or arguments.after):
        raise UsageError("-f or --before and --after, not both", hint="-f is for both modes")
    if not arguments.filename and not arguments.before:
        raise UsageError("which two?", hint="--before old.save --after new.save")
    with prove_input.proving():
        found, alone = _compared(arguments)
    if arguments.output == "json":
        from netlab.prove.compared import document

        print(json.dumps([document(one, each) for each in found for one in each.found], indent=2))
    else:
        for line in alone:
            print(line)
        show(found, ("iptables", "nftables") if arguments.filename else ("was", "is"))
    return int(bool(alone) or any(each.found for each in found))


def _compared(arguments: argparse.Namespace) -> tuple[list[Compared], list[str]]:
    """What differs on each node, and which nodes are only on one side."""
    from netlab.cli.packets import prove_sides
    from netlab.prove.compared import compare

    if arguments.filename:
        return list(_modes(arguments)), []
    before, after = prove_sides.sides(arguments)
    found, alike = [], False
    for one, other in prove_sides.pairs(before, after):
        for family in one.families():
            if family in other.families():
                alike = True
                found.append(compare(one, other, family))
    if not alike:
        raise UsageError(
            "the two are of different families", hint="compare IPv4 rules with IPv4 rules"
        )
    return found, list(prove_sides.alone(before, after))


def _modes(arguments: argparse.Namespace) -> Iterable[Compared]:
    """Both modes of kube-proxy on each node of a lab on paper, for all packets to its Services."""
    from netlab.prove.compared import compare
    from netlab.prove.serving import boxes

    first, second = prove_input.in_both_modes(arguments)
    for before, after in zip(first.asked, second.asked, strict=True):
        for family in before.families():
            to = boxes(first.services or (), family, before.local)
            if to:
                yield compare(before, after, family, to)


def show(
    found: Iterable[Compared],
    sides: tuple[str, str] = ("was", "is"),
    total: str = "treated otherwise",
) -> None:
    """All that differs, in words."""
    from netlab.prove.compared import lines

    count = 0
    for each in found:
        if each.before.name and each.found:
            print(f"on {each.before.name}, {each.family}:")
        for one in each.found[:_SHOWN]:
            for line in lines(one, each, sides):
                print(line)
        if len(each.found) > _SHOWN:
            print(f"and {len(each.found) - _SHOWN} more (-o json has all)")
        count += len(each.found)
    what = f"{count} class{'es' * (count != 1)} of packets {total}"
    print(what if count else f"no packet is {total}")
