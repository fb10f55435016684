"""What verbs that make or change objects print: kubectl's line, or the object in full."""

from __future__ import annotations

import argparse
import json
import sys

from netlab.cli import options, terminal
from netlab.errors import UsageError
from netlab.objects.kinds import BY_KIND
from netlab.objects.meta import Object
from netlab.view.escape import escape_json

DRY_RUNS = {"none": "", "client": " (dry run)", "server": " (server dry run)"}


def add_arguments(parser: argparse.ArgumentParser, *, bare: str = "client") -> None:
    """`--dry-run` and `-o`; read them with `query` and `report`."""
    add_dry_run(parser, bare=bare)
    options.add_output(parser, "yaml", "json", "name")


def add_dry_run(parser: argparse.ArgumentParser, *, bare: str) -> None:
    """`--dry-run[=client|server]`, which without a value means `bare`."""
    parser.add_argument(
        "--dry-run",
        nargs="?",
        const=bare,
        default="none",
        choices=list(DRY_RUNS),
        metavar="WHO",
        help="change nothing: client only says what would be done, server tries it; none does it "
        f"({bare})",
    )


def query(arguments: argparse.Namespace) -> dict[str, str]:
    """The query parameters of a request that changes something."""
    return {"dryRun": "All"} if arguments.dry_run == "server" else {}


def report(obj: Object, done: str, arguments: argparse.Namespace) -> None:
    """`deployment.apps/web created`, or the object as `-o` says."""
    if arguments.output:
        show(obj, arguments.output)
    else:
        print(f"{resource_name(obj)} {done}{DRY_RUNS[arguments.dry_run]}")


def show(obj: Object, output: str) -> None:
    """The object as YAML or JSON, or its name."""
    if output == "name":
        print(resource_name(obj))
    else:
        show_whole(without_managers(obj), output)


def show_whole(obj: Object, output: str) -> None:
    """All of an object, or of a List, as YAML or JSON."""
    if output == "json":
        print(escape_json(json.dumps(obj, indent=4, ensure_ascii=False)))
        return
    from netlab.objects import yamlout

    terminal.raw(sys.stdout).write(yamlout.dump(obj))  # it has escapes of its own


def without_managers(obj: Object) -> Object:
    """An object as people want to see it: who manages its fields is left out, as kubectl does."""
    metadata = {key: value for key, value in obj["metadata"].items() if key != "managedFields"}
    return {**obj, "metadata": metadata}


def resource_name(obj: Object) -> str:
    """`pod/x`, `deployment.apps/web`."""
    kind = BY_KIND[obj["kind"]]
    group = f".{kind.group}" if kind.group else ""
    return f"{kind.singular}{group}/{obj['metadata']['name']}"


def pair(text: str) -> tuple[str, str]:
    """`NAME=VALUE` → (NAME, VALUE)."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise UsageError(f"'{text}' is not of the form NAME=VALUE")
    return name, value
