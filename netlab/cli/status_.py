"""Shows what a lab consists of and how to reach it. Exit code 1 if something does not work yet."""

from __future__ import annotations

import argparse
import json
from typing import Any

from netlab.cli import options
from netlab.objects.lab import Lab

Status = tuple[Lab, dict[str, Any]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """How to show it."""
    options.add_output(parser, "json")


def run(arguments: argparse.Namespace) -> int:
    """Print the lab; with several and none named, a line for each."""
    from netlab import lab
    from netlab.view.status import overview

    labs = lab.names()
    if not arguments.lab and len(labs) > 1:
        return _list(labs, arguments)
    name = lab.choose(arguments.lab)
    spec, state = lab.status(name)
    if arguments.output == "json":
        print(json.dumps({"lab": spec.to_object(), **state}, indent=2))
    else:
        print("\n".join(overview(spec, state)))
    return int(bool(state["waitingFor"]))


def _list(labs: list[str], arguments: argparse.Namespace) -> int:
    from netlab.view.table import align

    states = {name: found for name in labs if (found := _status(name))}
    if arguments.output == "json":
        print(json.dumps({name: state for name, (_, state) in states.items()}, indent=2))
    else:
        print(
            align([["LAB", "STATE", "NODES"], *([name, *_row(states.get(name))] for name in labs)])
        )
    return int(any(state["waitingFor"] for _, state in states.values()))


def _status(name: str) -> Status | None:
    """None for a lab that is another user's."""
    from netlab import lab
    from netlab.errors import EnvironmentLacks

    try:
        return lab.status(name)
    except (EnvironmentLacks, PermissionError):
        return None


def _row(found: Status | None) -> tuple[str, str]:
    if found is None:
        return "another user's", "?"
    spec, state = found
    return "running" if state["running"] else "no controller", str(len(spec.nodes))
