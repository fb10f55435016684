"""Examples:

    netlab create -f web.yaml
    netlab create deployment web --image=nginx --replicas=2 --port=80
    netlab create service nodeport web --tcp=80:8080

Unlike `apply`, it fails if an object exists already.
"""

from __future__ import annotations

import argparse

from netlab.cli import options, results
from netlab.client.sync import Client
from netlab.errors import AlreadyExists, ApiError
from netlab.objects.meta import Object


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The files."""
    options.add_files(parser, required=True)
    options.add_namespace(parser)
    results.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Create every object; exit 1 if one could not be created."""
    loaded = options.load(arguments)
    options.note_left_out(loaded)
    if arguments.dry_run == "client":
        for obj in loaded.objects:
            results.report(obj, "created", arguments)
        return 0
    with options.client(arguments) as client:
        made = [_create(client, obj, loaded.where(obj)[0], arguments) for obj in loaded.objects]
    return int(not all(made))


def _create(client: Client, obj: Object, file: str, arguments: argparse.Namespace) -> bool:
    query = {**results.query(arguments), "fieldValidation": "Strict"}
    try:
        results.report(client.create(obj, query=query), "created", arguments)
    except ApiError as error:
        error.message = f'error when creating "{file}": {error.message}'
        if isinstance(error, AlreadyExists):
            error.hint = f"netlab apply -f {file} changes what exists to match"
        options.complain(error)
        return False
    return True
