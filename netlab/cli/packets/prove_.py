"""Examples:

    netlab prove --save node.save --from any --to svc/web:80 --expect reachable
    netlab prove --save node.save --from external --to 10.96.0.0/12 --expect none
    netlab prove -f lab.yaml --from pods --to svc/web --expect spread-equal    no lab is needed
    sudo netlab prove --to 10.0.0.11:30080 --expect reachable                  the running lab's
    netlab prove --save node.save --objects objects.yaml     what its Services ask, for every packet
    netlab prove diff --before old.save --after new.save
    netlab prove lint --save node.save

For every packet that the question is about, not for one: on each node what becomes of it by the
rules, in a lab also by those of the nodes that it comes to next. `netlab help proofs` says what is
understood. --save takes iptables-save, ip6tables-save and nft list ruleset.

-o json: {expect, from, to, judgement, nodes: [{node, family, judgement, classes, notCovered}]}

Exit code: 0 proved; 1 some packet is not treated so, or it stays open; 2 unreadable input.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from netlab.cli import options
from netlab.cli.packets import prove_input
from netlab.errors import UsageError

if TYPE_CHECKING:
    from netlab.cli.packets.prove_input import Input
    from netlab.prove.answer import Answer
    from netlab.prove.question import Verdict

_EXPECTATIONS = ("reachable", "none", "spread-equal")
_SHOWN = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The question, and whose rules answer it."""
    parser.add_argument(
        "--from", dest="source", default="any", metavar="WHO",
        help="any (as without it), external, pods, node, or a network",
    )  # fmt: skip
    parser.add_argument(
        "--to", dest="target", metavar="WHAT", help="svc/NAME[:PORT], IP:PORT[/udp], a network"
    )
    parser.add_argument("--expect", choices=_EXPECTATIONS, help="of all these packets")
    options.add_namespace(parser)
    parser.add_argument(
        "--objects", metavar="FILE", action="append", default=[],
        help="with --save: a cluster's Services, EndpointSlices and Nodes, which the rules are for",
    )  # fmt: skip
    parser.add_argument(
        "--config", metavar="FILE", help="with --objects: kube-proxy's settings, as YAML"
    )
    prove_input.add_rules(parser)
    options.add_output(parser, "json")


def run(arguments: argparse.Namespace) -> int:
    """Ask, and print the answer."""
    if arguments.objects:
        from netlab.cli.packets import prove_objects

        return prove_objects.run(arguments)
    if not arguments.target or not arguments.expect:
        raise UsageError(
            "what is to be proved?", hint="--from any --to svc/web:80 --expect reachable"
        )
    with prove_input.proving():
        found = _answers(prove_input.read_input(arguments), arguments)
    failed = any(answer.judgement != "holds" for answer in found)
    if arguments.output == "json":
        print(json.dumps(_document(found, arguments), indent=2))
    else:
        for line in _told(found, arguments):
            print(line)
    return int(failed)


def _answers(given: Input, arguments: argparse.Namespace) -> list[Answer]:
    from netlab.prove import asking
    from netlab.prove.answer import answer
    from netlab.prove.ground import service_doors

    found, every = [], []
    for node in given.asked:
        for family in node.families():
            grounds = given.grounds(node, family)
            doors = (
                grounds.doors
                if given.services is None
                else list(service_doors(given.services, family))
            )
            every += doors
            space = grounds.space
            target = asking.target(arguments.target, space, doors, _namespace(arguments))
            sources = asking.sources(arguments.source, space, given.pods, node.pods)
            if target.boxes and sources:
                found.append(answer(grounds, arguments.expect, sources, target))
    if not any(one.found for one in found):
        raise asking.missing(arguments.target, every, _namespace(arguments))
    return found


def _namespace(arguments: argparse.Namespace) -> str:
    return arguments.namespace or "default"


def _document(found: Sequence[Answer], arguments: argparse.Namespace) -> dict[str, object]:
    from netlab.prove.answer import document, not_covered

    judgements = {answer.judgement for answer in found}
    return {
        "expect": arguments.expect,
        "from": arguments.source,
        "to": arguments.target,
        "judgement": next(one for one in ("fails", "open", "holds") if one in judgements),
        "nodes": [
            {
                "node": answer.grounds.node.name,
                "family": answer.grounds.space.family,
                "judgement": answer.judgement,
                "classes": [document(one, answer.grounds) for one in answer.found],
                "notCovered": not_covered(answer),
            }
            for answer in found
        ],
    }


# -- in words ------------------------------------------------------------------------------


def _told(found: Sequence[Answer], arguments: argparse.Namespace) -> Iterator[str]:
    from netlab.prove.answer import not_covered

    for answer in found:
        node, family = answer.grounds.node.name, answer.grounds.space.family
        where = f"on {node}, {family}" if node else family
        asked = f"{arguments.source} to {arguments.target}: {arguments.expect}"
        yield f"{asked}: {_SAID[answer.judgement]} ({where}, {_count(len(answer.found))})"
        bad = answer.of("fails") or answer.of("open")
        for one in bad[:_SHOWN]:
            yield from _class(one, answer)
        if len(bad) > _SHOWN:
            yield f"  and {len(bad) - _SHOWN} classes more (-o json has all)"
        if not bad:
            for one in answer.found[:_SHOWN]:
                yield from _class(one, answer)
    yield from dict.fromkeys(line for answer in found for line in not_covered(answer))


_SAID = {
    "holds": "holds for every packet",
    "fails": "does not hold",
    "open": "stays open",
}


def _count(number: int) -> str:
    return f"{number} class{'es' * (number != 1)} of packets"


def _class(one: Verdict, answer: Answer) -> Iterator[str]:
    from netlab.prove import words
    from netlab.prove.answer import said

    grounds = answer.grounds
    parts = said(one, grounds)
    for part in parts[:2]:
        yield f"  {part}"
    if len(parts) > 2:
        yield f"  and {len(parts) - 2} more such parts"
    yield f"    {words.ends(one.found.ends, grounds.space, grounds.told)}"
    if one.judgement != "holds":
        packet = words.packet(words.example(one.found.regions[0], grounds.space))
        yield f"    such as {packet}"
