"""Shows what a lab consists of and how to reach it. Exit code 1 if something does not work yet.

-o json: {lab, running, waitingFor: [TEXT], pods: [POD], nodes: {NAME: STATUS}}; of several labs
{NAME: the same}.
"""

from __future__ import annotations

import argparse
import json
import os
from typing import Any

from netlab.cli import options, terminal
from netlab.errors import EnvironmentLacks
from netlab.objects.lab import Lab

_NOT_OURS = (EnvironmentLacks, PermissionError)

Status = tuple[Lab, dict[str, Any]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """How to show it."""
    options.add_output(parser, "json")


def run(arguments: argparse.Namespace) -> int:
    """Print the lab; with several and none named, a line for each."""
    from netlab import inventory, lab
    from netlab.view.status import overview

    labs = inventory.names()
    named = arguments.lab or os.environ.get("NETLAB_LAB")
    if not named and len(labs) > 1:
        return _list(labs, arguments)
    try:
        spec, state = lab.status(inventory.choose(named))
    except _NOT_OURS:
        if named:
            raise
        return _list(labs, arguments)
    if arguments.output == "json":
        print(json.dumps(_json(spec, state), indent=2))
    else:
        print(options.unsudoed(_folded("\n".join(overview(spec, state)))))
    return int(bool(state["waitingFor"]))


def _json(spec: Lab, state: dict[str, Any]) -> dict[str, Any]:
    return {"lab": spec.to_object(), **state}


def _folded(text: str) -> str:
    """What is no table: the reasons why something is not ready."""
    lines = text.split("\n")
    return "\n".join(terminal.fit(one) if one[:2] == "- " else one for one in lines)


def _list(labs: list[str], arguments: argparse.Namespace) -> int:
    from netlab.view.table import align

    states = {name: found for name in labs if (found := _status(name))}
    if arguments.output == "json":
        print(json.dumps({name: _json(*found) for name, found in states.items()}, indent=2))
    else:
        print(
            align([["LAB", "STATE", "NODES"], *([name, *_row(states.get(name))] for name in labs)])
        )
    if len(states) < len(labs):
        options.note("sudo netlab status shows other users' labs as well")
    return int(any(state["waitingFor"] for _, state in states.values()))


def _status(name: str) -> Status | None:
    """None for a lab that is another user's."""
    from netlab import lab

    try:
        return lab.status(name)
    except _NOT_OURS:
        return None


def _row(found: Status | None) -> tuple[str, str]:
    if found is None:
        return "another user's", "?"
    spec, state = found
    return "running" if state["running"] else "no controller", str(len(spec.nodes))
