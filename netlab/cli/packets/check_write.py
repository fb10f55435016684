"""`netlab check --write FILE`: today's paths, as PathChecks that pass."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from netlab.cli import options
from netlab.cli.packets import lab_world
from netlab.cli.progress import Progress
from netlab.errors import NetlabError, UsageError

if TYPE_CHECKING:
    from netlab.objects.pathcheck import PathCheck

_WIDTH = 100


def run(arguments: argparse.Namespace) -> int:
    """Try all paths, write what is seen, and try that."""
    from netlab import inventory, lab
    from netlab.kernel.results import result
    from netlab.pathcheck.check import run_checks
    from netlab.pathcheck.today import record

    _refuse_others(arguments)
    lab.need_root("check")
    with result(Path(arguments.write)) as file, inventory.in_use(arguments.lab) as directory:
        world = lab_world.world(arguments, directory)
        with Progress() as progress:
            progress("trying all paths to Services, and trying again what is recorded")
            found = record(world, lambda checks: run_checks(checks, world))
        if not found.checks:
            raise NetlabError(
                f"lab {directory.name} has no path to a Service's port that could be recorded",
                hint="; ".join(found.left_out)
                or "it has no Service with a port but Kubernetes' own",
            )
        file.write(_text(directory.name, found.checks).encode())
    for line in found.left_out:
        options.warn(f"left out: {line}")
    many = "paths" if len(found.checks) > 1 else "path"
    print(f"{len(found.checks)} {many} written to {arguments.write}")
    return 0


def _refuse_others(arguments: argparse.Namespace) -> None:
    given = arguments.files + arguments.filename + arguments.only
    if given or arguments.junit or arguments.output:
        raise UsageError(
            "--write records what is there, and goes with no checks or reports of any",
            hint=f"sudo netlab check --write {arguments.write}",
        )


def _text(lab: str, checks: Iterable[PathCheck]) -> str:
    import yaml

    from netlab.objects.pathcheck import object_of

    head = (
        f"# The paths to the Services of lab {lab} as they were, by `netlab check --write`.\n"
        "# `sudo netlab check` with this file tells which are otherwise.\n"
    )
    documents = (
        yaml.safe_dump(object_of(check), sort_keys=False, default_flow_style=None, width=_WIDTH)
        for check in checks
    )
    return head + "---\n".join(documents)
