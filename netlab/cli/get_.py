"""Examples:

    netlab get pods -o wide             netlab get svc,deploy -A
    netlab get pod NAME -o yaml         netlab get pods -l app=web -w

The lab's API server prints these tables: real kubectl shows the same.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from typing import Any

from netlab.cli import options
from netlab.client.sync import Client
from netlab.objects.kinds import Kind
from netlab.objects.meta import Object


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to list, and how to show it."""
    parser.add_argument("targets", nargs="*", metavar="KIND[/NAME]", help="pods, svc/web, all …")
    options.add_namespace(parser, all_namespaces=True)
    parser.add_argument("-l", "--selector", metavar="LABELS", help="app=web,tier!=db")
    parser.add_argument("--field-selector", metavar="FIELDS", help="status.phase=Running")
    parser.add_argument("-w", "--watch", action="store_true", help="go on printing changes")
    parser.add_argument("--no-headers", action="store_true", help="rows alone")
    parser.add_argument("--show-labels", action="store_true", help="with a column of labels")
    options.add_output(parser, "wide", "yaml", "json", "name")


def run(arguments: argparse.Namespace) -> int:
    """List; exit 1 if something named is not there."""
    targets = options.parse_targets(arguments.targets)
    with options.client(arguments) as client:
        if arguments.output in ("yaml", "json", "name"):
            return _show_objects(client, targets, arguments)
        return _show_tables(client, targets, arguments)


def _query(arguments: argparse.Namespace) -> dict[str, str]:
    asked = {"labelSelector": arguments.selector, "fieldSelector": arguments.field_selector}
    return {name: value for name, value in asked.items() if value}


def _namespace(kind: Kind, arguments: argparse.Namespace) -> str:
    return arguments.namespace if kind.namespaced and not arguments.all_namespaces else ""


# -- tables --------------------------------------------------------------------------------


def _show_tables(
    client: Client, targets: list[tuple[Kind, str]], arguments: argparse.Namespace
) -> int:
    from netlab.view.table import Style, render

    several = len({kind.kind for kind, _ in targets}) > 1
    shown = 0
    for kind, names in _by_kind(targets):
        tables = [_table(client, kind, name, arguments) for name in names]
        rows = [row for table in tables for row in table["rows"]]
        if not rows:
            continue
        style = Style(
            wide=arguments.output == "wide",
            headers=not arguments.no_headers,
            namespace=arguments.all_namespaces and kind.namespaced,
            labels=arguments.show_labels,
            prefix=f"{kind.singular}{'.' + kind.group if kind.group else ''}/" if several else "",
        )
        if shown:
            print()
        print(render({**tables[0], "rows": rows}, style))
        shown += len(rows)
        if arguments.watch:
            return _watch(client, kind, arguments, tables[0], style)
    if not shown:
        where = "" if arguments.all_namespaces else f" in {arguments.namespace} namespace"
        sys.stderr.write(f"No resources found{where}.\n")
    return 0


def _table(client: Client, kind: Kind, name: str, arguments: argparse.Namespace) -> Object:
    return client.table(kind.kind, _namespace(kind, arguments), name, query=_query(arguments))


def _watch(
    client: Client, kind: Kind, arguments: argparse.Namespace, table: Object, style: Any
) -> int:
    from dataclasses import replace

    from netlab.view.table import render

    query = {**_query(arguments), "resourceVersion": table["metadata"]["resourceVersion"]}
    rows_only = replace(style, headers=False)
    for event in client.watch(kind.kind, _namespace(kind, arguments), query=query, table=True):
        rows = event["object"].get("rows") or []
        if rows:
            print(render({**table, "rows": rows}, rows_only), flush=True)
    return 0


def _by_kind(targets: list[tuple[Kind, str]]) -> Iterable[tuple[Kind, list[str]]]:
    names: dict[str, tuple[Kind, list[str]]] = {}
    for kind, name in targets:
        names.setdefault(kind.kind, (kind, []))[1].append(name)
    return names.values()


# -- objects -------------------------------------------------------------------------------


def _show_objects(
    client: Client, targets: list[tuple[Kind, str]], arguments: argparse.Namespace
) -> int:
    found: list[Object] = []
    for kind, name in targets:
        namespace = _namespace(kind, arguments)
        if name:
            found.append(client.get(kind.kind, namespace, name))
        else:
            found += client.list(kind.kind, namespace or None, query=_query(arguments))
    if arguments.output == "name":
        for obj in found:
            print(_resource_name(obj))
        return 0
    single = len(targets) == 1 and targets[0][1]
    whole = found[0] if single else {"apiVersion": "v1", "kind": "List", "items": found}
    _print_object(whole, arguments.output)
    return 0


def _resource_name(obj: Object) -> str:
    from netlab.objects.kinds import BY_KIND

    kind = BY_KIND[obj["kind"]]
    group = f".{kind.group}" if kind.group else ""
    return f"{kind.singular}{group}/{obj['metadata']['name']}"


def _print_object(obj: Object, output: str) -> None:
    if output == "json":
        print(json.dumps(obj, indent=4, ensure_ascii=False))
        return
    import yaml

    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    sys.stdout.write(yaml.dump(obj, Dumper=dumper, sort_keys=True, allow_unicode=True))
