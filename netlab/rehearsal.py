"""What `up` would make of a lab that runs: by its files, and by dry runs that its API is asked for.

Nothing is touched. What `up` would refuse, this refuses, in the same words.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from netlab import inventory, lab, pruning, reconfiguration, standing
from netlab.client.apply import Applied, apply, created
from netlab.client.sync import Client
from netlab.errors import ApiError
from netlab.kernel import paths
from netlab.lab import Brought
from netlab.manifest import Manifest
from netlab.objects import lab_update, meta
from netlab.objects.meta import Object

_OTHERS_NEED = ("Namespace", "ServiceAccount", "PriorityClass", "ServiceCIDR")
"""Kinds without which others cannot be made."""


def rehearse(manifest: Manifest) -> Brought | None:
    """What `up` would change of the lab that runs; None while none of that name does."""
    assert manifest.lab is not None
    directory = paths.lab_dir(manifest.lab.name)
    if not paths.lab_file(directory).exists():
        return None
    before = inventory.read_lab(inventory.running(manifest.lab.name))
    after = reconfiguration.wanted(manifest, before, standing.joined(before, directory))
    lab.require(after, manifest.objects)
    changes = lab_update.changes(before, after)
    with Client(inventory.endpoint(directory)) as client:
        missing = lab.missing_nodes(after, client.list("Node"))
        applied = _applied(client, [*missing, *manifest.objects])
        left = pruning.left_over(client, directory, pruning.known(applied))
    return Brought(applied, [], changes=changes, left_over=left)


def _applied(client: Client, objects: Sequence[Object]) -> list[Applied]:
    """What applying them in this order would come to."""
    applied: list[Applied] = []
    made = set[tuple[str, str]]()
    for obj in objects:
        known = len(client.warnings)
        entry = _applied_after(client, obj, made)
        applied.append(replace(entry, warnings=tuple(client.warnings[known:])))
        if entry.result == "created" and obj["kind"] in _OTHERS_NEED:
            made.add((obj["kind"], meta.name(obj)))
    return applied


def _applied_after(client: Client, obj: Object, made: set[tuple[str, str]]) -> Applied:
    """What applying it would come to once these are made. The server knows nothing of them, so what
    is in want of one is refused there: its file has been validated."""
    if ("Namespace", meta.namespace(obj)) in made:
        return created(obj)
    try:
        return apply(client, obj, dry_run=True)
    except ApiError as error:
        spec = meta.spec(obj)
        needed = {
            ("ServiceAccount", spec.get("serviceAccountName")),
            ("PriorityClass", spec.get("priorityClassName")),
        }
        if obj["kind"] == "Pod" and error.code == 403 and needed & made:
            return created(obj)
        if obj["kind"] == "Service" and error.code == 422 and "ServiceCIDR" in dict(made):
            return created(obj)
        raise
