"""Examples:

    netlab prove lint --save node.save
    netlab prove lint -f lab.yaml                 every node's rules, as manifests come to them
    netlab prove lint --save node.save -o json

Rules that no packet reaches since those before take all of theirs, chains that no hook leads to,
jumps to chains that are not there, addresses that two Services claim.

-o json: [{node, family, kind, place, message}]

Exit code: 0 nothing found; 1 something; 2 unreadable input.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from netlab.cli import options
from netlab.cli.packets import prove_input

if TYPE_CHECKING:
    from netlab.prove.ground import Grounds
    from netlab.prove.lint import Finding


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Whose rules."""
    options.add_namespace(parser)
    prove_input.add_rules(parser)
    options.add_output(parser, "json")


def run(arguments: argparse.Namespace) -> int:
    """Look, and print what is found."""
    with prove_input.proving():
        found = list(_found(arguments))
    if arguments.output == "json":
        print(json.dumps([_document(*one) for one in found], indent=2))
        return int(bool(found))
    for grounds, one in found:
        where = f"{grounds.told(one.place)}: " if one.place.table else ""
        node = f"{grounds.node.name}: " if grounds.node.name else ""
        print(f"{node}{where}{one.kind}: {one.message}")
    print(f"{len(found)} finding{'s' * (len(found) != 1)}" if found else "nothing found")
    return int(bool(found))


def _found(arguments: argparse.Namespace) -> Iterator[tuple[Grounds, Finding]]:
    from netlab.prove.ground import Grounds
    from netlab.prove.lint import findings

    for node in prove_input.read_input(arguments).asked:
        for family in node.families():
            grounds = Grounds(node, family)
            for one in findings(grounds):
                yield grounds, one


def _document(grounds: Grounds, one: Finding) -> dict[str, object]:
    return {
        "node": grounds.node.name,
        "family": grounds.space.family,
        "kind": one.kind,
        "place": grounds.told(one.place) if one.place.table else None,
        "message": one.message,
    }
