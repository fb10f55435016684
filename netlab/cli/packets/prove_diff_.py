"""Examples:

    netlab prove diff --before old.save --after new.save
    netlab prove diff --before node.save --after nft-ruleset.txt    one mode against the other
    netlab prove diff --before old.save --after new.save -o json
    netlab prove diff -f lab.yaml          what kube-proxy's two modes do with packets to Services

Every class of packets that the two treat otherwise, the smallest first, and nothing else: how rules
are written, named and ordered is no difference.

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
            help=f"a node's rules {name}: iptables-save, nft list ruleset; may be repeated",
        )  # fmt: skip
    options.add_files(parser)
    parser.add_argument("--node", metavar="NODE", help="with -f: on this node alone (all)")
    prove_input.add_local(parser)
    options.add_output(parser, "json")


def run(arguments: argparse.Namespace) -> int:
    """Compare, and print what differs."""
    from netlab.proxy.compile import no_collection

    if arguments.filename and (arguments.before or arguments.after):
        raise UsageError("-f or --before and --after, not both", hint="-f is for both modes")
    if not arguments.filename and not (arguments.before and arguments.after):
        raise UsageError("which two?", hint="--before old.save --after new.save")
    with no_collection():
        found = list(_compared(arguments))
    if arguments.output == "json":
        from netlab.prove.compared import document

        print(json.dumps([document(one, each) for each in found for one in each.found], indent=2))
    else:
        show(found, ("iptables", "nftables") if arguments.filename else ("was", "is"))
    return int(any(each.found for each in found))


def _compared(arguments: argparse.Namespace) -> Iterable[Compared]:
    from netlab.prove.compared import compare

    if arguments.filename:
        yield from _modes(arguments)
        return
    before = prove_input.saved(arguments.before, arguments).nodes[0]
    after = prove_input.saved(arguments.after, arguments).nodes[0]
    families = [one for one in before.families() if one in after.families()]
    if not families:
        raise UsageError(
            "the two are of different families", hint="compare IPv4 rules with IPv4 rules"
        )
    for family in families:
        yield compare(before, after, family)


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
