"""How an object that a command line describes is created: by the server, or for show alone."""

from __future__ import annotations

import argparse
import copy
from typing import Any

from netlab.cli import options, results
from netlab.errors import ApiError, UsageError
from netlab.objects import meta
from netlab.objects.kinds import BY_KIND
from netlab.objects.meta import Object

COMMAND = "what its container is to run"


def require_one_name(arguments: argparse.Namespace, verb: str) -> None:
    """`UsageError`, as kubectl has it, for what stands behind the name without a `--` before it."""
    if arguments.rest:
        words = " ".join(arguments.rest)
        raise UsageError(
            f"exactly one NAME is required, got {1 + len(arguments.rest)}",
            hint=f"a command stands behind --: netlab {verb} {arguments.name} … -- {words}",
        )


def create(obj: Object, arguments: argparse.Namespace, done: str = "created") -> Object:
    """Create `obj`, or pretend to, and say so. Raises `ApiError`."""
    if arguments.dry_run == "client":
        made = as_typed(obj)
    else:
        with options.client(arguments) as client:
            try:
                made = client.create(obj, query=results.query(arguments))
            except ApiError as error:
                error.message = f"failed to create {obj['kind'].lower()}: {error.message}"
                raise
    results.report(made, done, arguments)
    return made


def new(kind: str, name: str, arguments: argparse.Namespace, **fields: Any) -> Object:
    """An object of that kind, in the namespace of the command line, with `fields` besides."""
    metadata: dict[str, Any] = {"name": name}
    if BY_KIND[kind].namespaced:
        metadata["namespace"] = arguments.namespace
    metadata |= fields.pop("metadata", {})
    api_version = BY_KIND[kind].api_version
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **fields}


def as_typed(obj: Object) -> Object:
    """The object as kubectl writes one that no server has seen.

    Its Go types write some fields though they are empty; the default namespace is left out, so
    that the text may be applied to any.
    """
    typed = copy.deepcopy(obj)
    _never_created(typed)
    if meta.namespace(typed) == "default":
        del typed["metadata"]["namespace"]
    match typed["kind"]:
        case "Namespace":
            typed |= {"spec": {}, "status": {}}
        case "Service":
            typed["status"] = {"loadBalancer": {}}
        case "Pod":
            _resources(typed)
            typed["status"] = {}
        case "Deployment":
            typed["spec"].setdefault("strategy", {})
            _template(typed)
        case "Job":
            _template(typed)
        case "CronJob":
            _never_created(typed["spec"]["jobTemplate"])
            _template(typed["spec"]["jobTemplate"])
            typed["status"] = typed["spec"]["jobTemplate"].pop("status")
    return typed


def _template(owner: dict[str, Any]) -> None:
    _never_created(owner["spec"]["template"])
    _resources(owner["spec"]["template"])
    owner["status"] = {}


def _never_created(obj: dict[str, Any]) -> None:
    obj["metadata"] = {"creationTimestamp": None, **obj.get("metadata", {})}


def _resources(pod: dict[str, Any]) -> None:
    for container in pod["spec"]["containers"]:
        container.setdefault("resources", {})
