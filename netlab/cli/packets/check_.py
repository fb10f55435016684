"""Examples:

    sudo netlab check                        the PathChecks of the files the lab was brought up from
    sudo netlab check checks.yaml            those of other files
    sudo netlab check --only NAME -o json    one check, with every hop
    sudo netlab check --junit report.xml
    sudo netlab check --write today.yaml     today's paths to all Services, as PathChecks

What --write writes passes now, and is in the same order each time: kept beside the lab's files, it
tells when a path is another one.

Exit code: 0 all passed, 1 one failed, 2 one could not be run.

-o json: {checks: [CHECK]}, with name, description, status (pass, fail, error), passed, outcome,
reasons, causes, path, hops, dnat, masquerade, sourceSeen, endpoints, resolved, said, seconds.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from netlab.cli import options, terminal
from netlab.cli.packets import lab_world
from netlab.cli.progress import Progress
from netlab.errors import UsageError
from netlab.view.escape import escape

if TYPE_CHECKING:
    from netlab.objects.pathcheck import PathCheck
    from netlab.pathcheck.result import CheckResult
    from netlab.pathcheck.world import World


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which checks, and how to report."""
    parser.add_argument("files", nargs="*", metavar="FILE", help="files with PathCheck documents")
    parser.add_argument(
        "-f", "--filename", action="append", default=[], metavar="FILE", help="the same"
    )
    parser.add_argument("--only", action="append", default=[], metavar="CHECK", help="this check")
    parser.add_argument("--junit", metavar="FILE", help="also write JUnit XML")
    parser.add_argument("--write", metavar="FILE", help="record today's paths as PathChecks there")
    options.add_output(parser, "json")


def run(arguments: argparse.Namespace) -> int:
    """Run the checks all at once; a line each. Or write them."""
    if arguments.write:
        from netlab.cli.packets import check_write

        return check_write.run(arguments)
    return _run(arguments)


def _run(arguments: argparse.Namespace) -> int:
    from netlab import inventory, lab
    from netlab.pathcheck.check import run_checks
    from netlab.pathcheck.result import exit_code

    lab.need_root("check")
    checks = _chosen(arguments)
    with _junit(arguments) as write, inventory.in_use(arguments.lab) as directory:
        world = lab_world.world_of_checks(checks, arguments, directory)
        with Progress(quiet=arguments.output == "json") as progress:
            progress(f"running {len(checks)} check{'s' * (len(checks) != 1)}")
            results = run_checks(checks, world)
            if not all(result.passed for result in results):
                results = _explained(checks, results, world.whole, directory, arguments)
        write(results)
    _report(results, arguments)
    return exit_code(results)


@contextlib.contextmanager
def _junit(arguments: argparse.Namespace) -> Iterator[Callable[[Sequence[CheckResult]], None]]:
    """What writes the report, if one is asked for: whether it can be is known before all else."""
    if not arguments.junit:
        yield lambda _: None
        return
    from netlab.kernel.results import result
    from netlab.pathcheck.junit import junit

    with result(Path(arguments.junit)) as file:
        yield lambda results: file.write(junit(results).encode())


def _chosen(arguments: argparse.Namespace) -> Sequence[PathCheck]:
    from netlab import inventory, manifest

    files = arguments.files + arguments.filename
    _refuse_names(files)
    if not files:
        files = inventory.sources(inventory.choose(arguments.lab))
    checks = manifest.load(files, joined=inventory.joined).checks
    unknown = sorted(set(arguments.only) - {check.name for check in checks})
    if unknown:
        raise UsageError(
            f"there is no check named {', '.join(unknown)}",
            hint="there are: " + (", ".join(check.name for check in checks) or "none"),
        )
    chosen = [check for check in checks if not arguments.only or check.name in arguments.only]
    if not chosen:
        raise UsageError(
            f"no PathCheck stands in {', '.join(map(str, files))}",
            hint="see topologies/quickstart.yaml for some",
        )
    return chosen


def _refuse_names(files: Sequence[str]) -> None:
    """`netlab check web-answers` is meant for a check, and a file is looked for."""
    for word in files:
        if not Path(word).suffix and os.sep not in word and word != "-" and not Path(word).exists():
            raise UsageError(
                f"{word}: there is no such file", hint=f"for the check of that name: --only {word}"
            )


def _explained(
    checks: Sequence[PathCheck],
    results: Sequence[CheckResult],
    world: World,
    directory: Path,
    arguments: argparse.Namespace,
) -> list[CheckResult]:
    """The results, those that are no pass with their causes."""
    from netlab import inventory
    from netlab.cli.packets.reasons import of_check
    from netlab.pathcheck.why import explained

    facts, lab = lab_world.facts(arguments, directory), inventory.read_lab(directory)
    found = []
    for check, result in zip(checks, results, strict=True):
        told = explained(check, result, world, facts)
        found.append(of_check(check, told, world, lab, directory))
    return found


def _print(result: CheckResult) -> None:
    """The line: on a terminal with its verdict in colour, and folded between words."""
    from netlab.cli import diagnosing

    verdict, space, rest = terminal.fit(escape(result.line)).partition(" ")
    colour = terminal.good if result.passed else terminal.bad
    terminal.raw(sys.stdout).write(f"{colour(verdict)}{space}{rest}\n")
    for why in diagnosing.why(result.causes, terminal.width()):
        print(why)
    if not result.passed and result.hint:
        print(terminal.fit(f"  hint: {result.hint}"))


def _report(results: Sequence[CheckResult], arguments: argparse.Namespace) -> None:
    if arguments.output == "json":
        print(json.dumps({"checks": [result.json() for result in results]}, indent=2))
        return
    for result in results:
        _print(result)
    sys.stdout.flush()
    sys.stderr.write(f"{_verdict([result.status for result in results])}\n")


def _verdict(statuses: Sequence[str]) -> str:
    """`1 of 3 failed, 1 of 3 could not run`, or that all is well."""
    words = {"fail": "failed", "error": "could not run"}
    counts = [(statuses.count(status), what) for status, what in words.items()]
    said = [f"{count} of {len(statuses)} {what}" for count, what in counts if count]
    return ", ".join(said) or ("all " * (len(statuses) > 1) + f"{len(statuses)} passed")
