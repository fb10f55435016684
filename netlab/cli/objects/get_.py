"""Examples:

    netlab get pods -o wide
    netlab get svc,deploy -A
    netlab get pod NAME -o yaml
    netlab get pods -l app=web -w
    netlab get pods -o jsonpath='{.items[*].status.podIP}'
    netlab get pods -o custom-columns=NODE:.spec.nodeName

The lab's API server prints these tables: real kubectl shows the same.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from netlab.cli import options, results, terminal
from netlab.cli.options import Target
from netlab.client.sync import Client
from netlab.errors import NotFound, UsageError
from netlab.objects.kinds import Kind
from netlab.objects.meta import Object

if TYPE_CHECKING:
    from netlab.view.table import Style

FORMATS = ("wide", "yaml", "json", "name", "jsonpath=", "custom-columns=")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to list, and how to show it."""
    options.add_targets(parser, "pods, svc/web, all …")
    options.add_namespace(parser, all_namespaces=True)
    options.add_selector(parser)
    parser.add_argument("--field-selector", metavar="FIELDS", help="status.phase=Running")
    parser.add_argument("-w", "--watch", action="store_true", help="go on printing changes")
    parser.add_argument("--no-headers", action="store_true", help="rows alone")
    parser.add_argument("--show-labels", action="store_true", help="with a column of labels")
    parser.add_argument("--sort-by", metavar="PATH", help="a field, such as .status.podIP")
    parser.add_argument(
        "--show-managed-fields", action="store_true", help="in YAML and JSON: who manages what"
    )
    parser.add_argument("--ignore-not-found", action="store_true", help="what is not there is fine")
    options.add_output(parser, *FORMATS)


def run(arguments: argparse.Namespace) -> int:
    """List; exit 1 if something named is not there."""
    targets = options.parse_targets(arguments.targets)
    kinds = list(dict.fromkeys(kind.kind for kind, _ in targets))
    for kind, name in targets:
        options.refuse_name_everywhere(name, kind, arguments)
    if arguments.watch and (len(kinds) > 1 or arguments.output not in (None, "wide")):
        raise UsageError("watch shows the table of one kind", hint=f"netlab get {kinds[0]} -w")
    with options.client(arguments) as client:
        if arguments.output in (None, "wide"):
            return _show_tables(client, targets, arguments)
        return _show_objects(client, targets, arguments)


def _query(arguments: argparse.Namespace) -> dict[str, str]:
    asked = {"labelSelector": arguments.selector, "fieldSelector": arguments.field_selector}
    return {name: value for name, value in asked.items() if value}


def _found(
    targets: Iterable[Target], fetch: Callable[[Kind, str], list[Any]], *, quietly: bool
) -> tuple[list[Any], bool]:
    """What `fetch` finds for each target; and whether something named was not there."""
    found: list[Any] = []
    missing = False
    for kind, name in targets:
        try:
            found += fetch(kind, name)
        except NotFound as error:
            if not quietly:
                options.complain(error)
                missing = True
    return found, missing


# -- tables --------------------------------------------------------------------------------


def _show_tables(client: Client, targets: Sequence[Target], arguments: argparse.Namespace) -> int:
    kinds = _by_kind(targets)
    shown, missing = 0, False
    for kind, names in kinds:
        tables, failed = _found(
            [(kind, name) for name in names],
            lambda kind, name: [_table(client, kind, name, arguments)],
            quietly=arguments.ignore_not_found,
        )
        missing |= failed
        rows = [row for table in tables for row in table["rows"]]
        if tables and (rows or arguments.watch):
            style = _style(kind, arguments, several=len(kinds) > 1)
            shown += _print_table(tables[0], rows, style, arguments, after_another=bool(shown))
            if arguments.watch:
                return _watch(client, kind, names, arguments, tables[0], style)
    if not shown and not missing and not arguments.ignore_not_found:
        options.say_nothing_found(arguments, targets)
    return int(missing)


def _table(client: Client, kind: Kind, name: str, arguments: argparse.Namespace) -> Object:
    query = _query(arguments)
    if arguments.sort_by:
        query["includeObject"] = "Object"
    return client.table(kind.kind, options.space(kind, arguments), name, query=query)


def _style(kind: Kind, arguments: argparse.Namespace, *, several: bool) -> Style:
    from netlab.view.table import Style

    group = f".{kind.group}" if kind.group else ""
    return Style(
        wide=arguments.output == "wide",
        headers=not arguments.no_headers,
        namespace=arguments.all_namespaces and kind.namespaced,
        labels=arguments.show_labels,
        prefix=f"{kind.singular}{group}/" if several else "",
    )


def _print_table(
    table: Object,
    rows: list[Any],
    style: Style,
    arguments: argparse.Namespace,
    *,
    after_another: bool,
) -> int:
    """Print the rows; returns how many."""
    from netlab.view.table import render

    if arguments.sort_by:
        from netlab.view.columns import sort_key

        key = sort_key(arguments.sort_by)
        rows = sorted(rows, key=lambda row: key(row["object"]))
    if rows:
        print("\n" if after_another else "", end="")
        print(render({**table, "rows": rows}, style), flush=arguments.watch)
    return len(rows)


def _watch(
    client: Client,
    kind: Kind,
    names: Sequence[str],
    arguments: argparse.Namespace,
    table: Object,
    style: Style,
) -> int:
    from netlab.view.table import render

    query = {**_query(arguments), "resourceVersion": table["metadata"]["resourceVersion"]}
    if names[0]:
        query["fieldSelector"] = f"metadata.name={names[0]}"
    style = replace(style, headers=style.headers and not table["rows"])
    namespace = options.space(kind, arguments)
    for event in client.watch(kind.kind, namespace, query=query, table=True):
        rows = event["object"].get("rows") or []
        if rows:
            print(render({**table, "rows": rows}, style), flush=True)
            style = replace(style, headers=False)
    return 0


def _by_kind(targets: Iterable[Target]) -> Sequence[tuple[Kind, list[str]]]:
    names: dict[str, tuple[Kind, list[str]]] = {}
    for kind, name in targets:
        names.setdefault(kind.kind, (kind, []))[1].append(name)
    return list(names.values())


# -- objects -------------------------------------------------------------------------------


def _show_objects(client: Client, targets: Sequence[Target], arguments: argparse.Namespace) -> int:
    def fetch(kind: Kind, name: str) -> list[Object]:
        namespace = options.space(kind, arguments)
        if name:
            return [client.get(kind.kind, namespace, name)]
        return list(client.list(kind.kind, namespace or None, query=_query(arguments)))

    found, missing = _found(targets, fetch, quietly=arguments.ignore_not_found)
    if arguments.sort_by:
        from netlab.view.columns import sort_key

        found.sort(key=sort_key(arguments.sort_by))
    single = len(targets) == 1 and bool(targets[0][1])
    if found or not single:
        _print_objects(found, arguments, single=single)
    return int(missing)


def _print_objects(found: list[Object], arguments: argparse.Namespace, *, single: bool) -> None:
    output, _, template = arguments.output.partition("=")
    if output in ("json", "yaml") and not arguments.show_managed_fields:
        found = [results.without_managers(obj) for obj in found]
    whole = found[0] if single else _list_of(found)
    match output:
        case "name":
            print(*map(results.resource_name, found), sep="\n", end="\n" if found else "")
        case "json" | "yaml":
            results.show_whole(whole, output)
        case "jsonpath":
            from netlab.view.jsonpath import render

            terminal.raw(sys.stdout).write(render(template, whole))
        case _:
            from netlab.view.columns import custom_columns

            print(custom_columns(template, found, headers=not arguments.no_headers))


def _list_of(found: list[Object]) -> Object:
    return {"apiVersion": "v1", "items": found, "kind": "List", "metadata": {"resourceVersion": ""}}
