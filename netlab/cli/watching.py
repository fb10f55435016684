"""One object over time, until a deadline."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator

from netlab.client.sync import Client
from netlab.errors import Expired
from netlab.objects.kinds import Kind
from netlab.objects.meta import Object

FOREVER = 7 * 24 * 3600.0
"""A week is as long as kubectl waits at most."""


def states(
    client: Client, kind: Kind, namespace: str, name: str, seconds: float
) -> Iterator[Object | None]:
    """The object as it is now and after each change, None while it is not there.

    Ends after so many seconds; with 0 it looks once.
    """
    deadline = time.monotonic() + seconds
    named = {"fieldSelector": f"metadata.name={name}"}
    while True:
        listed = client.request("GET", kind.path(namespace), query=named)
        yield next((_typed(kind, obj) for obj in listed["items"]), None)
        left = deadline - time.monotonic()
        if left <= 0:
            return
        since = {**named, "resourceVersion": listed["metadata"]["resourceVersion"]}
        for now in _changes(client, kind, namespace, since, left):
            if time.monotonic() >= deadline:  # a watch ends by whole seconds only
                return
            yield now
        if time.monotonic() >= deadline:
            return


def _typed(kind: Kind, obj: Object) -> Object:
    """An item of a list, which does not say itself what it is."""
    return {"apiVersion": kind.api_version, "kind": kind.kind, **obj}


def _changes(
    client: Client, kind: Kind, namespace: str, since: dict[str, str], seconds: float
) -> Iterator[Object | None]:
    query: dict[str, str | int] = {**since, "timeoutSeconds": math.ceil(seconds)}
    try:
        for event in client.watch(kind.kind, namespace or None, query=query):
            yield None if event["type"] == "DELETED" else event["object"]
    except Expired:  # too much has happened since: look again
        return
