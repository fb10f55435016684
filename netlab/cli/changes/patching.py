"""How a live object is changed by a patch: for good, as a trial, or for show alone."""

from __future__ import annotations

import argparse
from typing import Any

from netlab.cli import results
from netlab.client.sync import Client
from netlab.objects import meta
from netlab.objects.meta import Object

MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
JSON = "application/json-patch+json"


def change(
    client: Client,
    live: Object,
    patch: Any,
    arguments: argparse.Namespace,
    content_type: str = STRATEGIC,
    subresource: str = "",
) -> Object:
    """The object after the patch. Raises `ApiError`."""
    if arguments.dry_run == "client":
        from netlab.store.patch import patched

        return patched(live, patch, content_type)
    return client.patch(
        live["kind"],
        meta.namespace(live),
        meta.name(live),
        patch,
        content_type=content_type,
        subresource=subresource,
        query=results.query(arguments),
    )
