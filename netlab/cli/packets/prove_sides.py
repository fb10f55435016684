"""The two sides of `netlab prove diff`: a node's rules in files, the lab of manifests, the running
lab."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from netlab.cli.packets import paper_lab, prove_input
from netlab.errors import InputError, Problem, UsageError

if TYPE_CHECKING:
    from netlab.cli.packets.prove_input import Input
    from netlab.onpaper import Given
    from netlab.prove.ground import Node

Pair = tuple["Node", "Node"]


def sides(arguments: argparse.Namespace) -> tuple[Input, Input]:
    """What `--before` and `--after` name; without `--after` that is the running lab. Of two labs
    the second one's Services and pods have what the first one's were given by chance."""
    from netlab.onpaper import Given

    if are_rules(arguments.before):
        return _side(arguments.before, arguments), _side(arguments.after, arguments)
    if arguments.after:
        first = paper_lab.settled(arguments.before)
        given = Given(first.services, first.pods)
        return prove_input.of_paper(first, arguments), _side(arguments.after, arguments, given)
    running = prove_input.running(arguments)
    given = Given(running.services or (), running.running)
    return _side(arguments.before, arguments, given), running


def _side(files: Sequence[str], arguments: argparse.Namespace, given: Given | None = None) -> Input:
    if not files:
        return prove_input.running(arguments)
    if are_rules(files):
        return prove_input.saved(files, arguments)
    return prove_input.of_paper(paper_lab.settled(files, given), arguments)


def are_rules(files: Sequence[str]) -> bool:
    """Whether all are saves, and none manifests; `InputError` for some of each."""
    found = {file: _is_rules(file) for file in files}
    if len(set(found.values())) > 1:
        odd = next(file for file in files if not found[file])
        text = "holds no rules, as the other files of that side do"
        raise InputError(
            [Problem(odd, 1, "", text, "one side is a node's rules, or a lab's files")]
        )
    return all(found.values())


def _is_rules(file: str) -> bool:
    """Whether it is no manifest: what is neither is refused as rules are."""
    if file == "-":
        return True
    if Path(file).is_dir():
        return False
    from netlab.cli.packets.proxy_input import read_text

    text = read_text(file)
    return not any(
        line.startswith(("kind:", "apiVersion:", "items:")) for line in text.splitlines()
    )


def pairs(before: Input, after: Input) -> Iterator[Pair]:
    """Each node on both sides. Rules in files are those of the node that is named, or the only
    one."""
    if not before.is_lab and not after.is_lab:
        yield before.nodes[0], after.nodes[0]
    elif before.is_lab and after.is_lab:
        there = {one.name: one for one in after.asked}
        for one in before.asked:
            if one.name in there:
                yield one, there[one.name]
    else:
        lab, saved = (before, after) if before.is_lab else (after, before)
        if len(lab.asked) > 1:
            names = ", ".join(one.name for one in lab.asked)
            raise UsageError("which node's are these rules?", hint=f"--node, one of {names}")
        (mine,) = lab.asked
        one = replace(saved.nodes[0], name=mine.name, local=mine.local, routes=mine.routes)
        yield (mine, one) if before.is_lab else (one, mine)


def alone(before: Input, after: Input) -> Iterator[str]:
    """The nodes that only one of two labs has, in words."""
    if before.is_lab and after.is_lab:
        had, has = ({one.name for one in side.nodes} for side in (before, after))
        yield from (f"node {name} is no more" for name in sorted(had - has))
        yield from (f"node {name} was not there before" for name in sorted(has - had))
