"""Who manages which fields of an object: what server-side apply adds, takes away and refuses.

A manager that applies a configuration owns its fields. What it owned before and no longer says is
taken away, unless another owns it too; what another owns with another value is a conflict. From
the first apply on, also other changes say whose they were. Before it nobody owns anything: most
objects never see an apply, and need not carry all this.
Source: kubernetes.io/docs/reference/using-api/server-side-apply.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from netlab.errors import ApiError
from netlab.objects import meta
from netlab.objects import schema as schemas
from netlab.objects.meta import Object
from netlab.objects.schema import Schema
from netlab.store.fields_v1 import (
    NOTHING,
    FieldSet,
    changes,
    duplicates,
    fields_of,
    overlaid,
    undeclared,
    without,
)

Operation = Literal["Apply", "Update"]
Managers = list[Object]
"""What metadata.managedFields holds."""

# What nobody manages: it names the object, or is the server's own.
_UNMANAGED = frozenset(("apiVersion", "kind", "status"))
_UNMANAGED_METADATA = frozenset(
    (
        "name", "namespace", "generateName", "uid", "resourceVersion", "generation",
        "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink",
        "managedFields",
    )
)  # fmt: skip


class ManagedFieldsEntry(Struct, frozen=True):
    """One manager's fields, changed by one operation through the object or a subresource."""

    manager: str
    operation: Operation
    fields: FieldSet
    time: str
    api_version: str
    subresource: str = ""

    @property
    def whose(self) -> tuple[str, str, str]:
        """What tells an entry from the others."""
        return self.manager, self.operation, self.subresource

    def to_object(self) -> Object:
        """As metadata.managedFields holds it."""
        more = {"subresource": self.subresource} if self.subresource else {}
        return {
            "manager": self.manager,
            "operation": self.operation,
            "apiVersion": self.api_version,
            "time": self.time,
            "fieldsType": "FieldsV1",
            "fieldsV1": self.fields.to_v1(),
            **more,
        }

    def __str__(self) -> str:
        place = f' with subresource "{self.subresource}"' if self.subresource else ""
        since = f" using {self.api_version} at {self.time}" if self.operation == "Update" else ""
        return f'"{self.manager}"{place}{since}'


def entries_of(obj: Object) -> list[ManagedFieldsEntry]:
    """The managers that an object knows; none before the first apply."""
    return [
        ManagedFieldsEntry(
            entry["manager"],
            entry["operation"],
            FieldSet.from_v1(entry["fieldsV1"]),
            entry["time"],
            entry["apiVersion"],
            entry.get("subresource", ""),
        )
        for entry in obj["metadata"].get("managedFields") or []
    ]


def take(obj: Object) -> Managers:
    """Take the managers out of an object, in place."""
    found: Managers = obj["metadata"].pop("managedFields", [])
    return found


def check(config: Mapping[str, Any], live: Object) -> None:
    """Refuse a configuration that says what no such object has, or names an element twice.

    `ApiError` 500 without a reason, as an API server has it, whatever validation was asked for.
    """
    schema = _schema_of(live)
    found = [*undeclared(config, schema), *duplicates(config, schema)]
    if found:
        group, _, version = live["apiVersion"].rpartition("/")
        what = f"{meta.namespace(live)}/{meta.name(live)}; {group}/{version}, Kind={live['kind']}"
        listed = found[0] if len(found) == 1 else "\n  ".join(("errors:", *found))
        text = f"failed to create typed patch object ({what}): {listed}"
        raise ApiError(text, code=500, reason="")


def applied(
    live: Object,
    config: Mapping[str, Any],
    manager: str,
    subresource: str,
    now: str,
    *,
    force: bool,
) -> Object:
    """The live object with a configuration applied to it, its managers among its metadata.

    The configuration is decoded; the result shares its parts, and the live object's.
    `ApiError` 409 when that would change what another manager owns, unless it is forced, which
    takes these fields over.
    """
    schema = _schema_of(live)
    said = _within(config, subresource)
    fields = fields_of(_manageable(said, subresource), schema) if said else NOTHING
    mine = ManagedFieldsEntry(manager, "Apply", fields, now, live["apiVersion"], subresource)
    known = entries_of(live)
    before = next((entry.fields for entry in known if entry.whose == mine.whose), NOTHING)
    others = [entry for entry in known if entry.whose != mine.whose]
    result = overlaid(live, said, schema)
    changed, _ = changes(live, result, schema)
    if not force:
        _refuse_conflicts(others, changed)
    others = [replace(entry, fields=entry.fields - changed) for entry in others]
    theirs = _union(others)
    gone = before - mine.fields - theirs
    result = without(result, gone, mine.fields | theirs, schema)
    return _with_managers(result, [mine, *others], live)


def updated(
    new: Object, old: Object, said: Managers, manager: str, subresource: str, now: str
) -> Object:
    """The new object with its managers, after a change that was no apply.

    `said` is what the client wrote for them: kubectl moves fields from its client-side apply to
    its server-side one in this way, and `[{}]` makes an API server forget all managers.
    """
    known = entries_of(old) if subresource else _told(said, old)
    if not known:
        return new
    if subresource == "status":
        return _with_managers(new, known, old)
    changed, gone = changes(_manageable(old), _manageable(new), _schema_of(old))
    mine = ManagedFieldsEntry(manager, "Update", changed, now, old["apiVersion"], subresource)
    left = [_without_taken(entry, mine, gone) for entry in known]
    if mine.whose not in {entry.whose for entry in left}:
        left.append(mine)
    return _with_managers(new, left, old)


def _told(said: Managers, old: Object) -> list[ManagedFieldsEntry]:
    """The managers that a client wrote; those that there were, if it wrote none or nonsense."""
    if said == [{}]:
        return []
    try:
        found = entries_of({"metadata": {"managedFields": said}})
        for entry in found:
            list(entry.fields.paths())  # it reads all names
    except (KeyError, TypeError, ValueError, AttributeError):
        found = []
    return found or entries_of(old)


def _without_taken(
    entry: ManagedFieldsEntry, mine: ManagedFieldsEntry, gone: FieldSet
) -> ManagedFieldsEntry:
    """What is left of an entry after somebody's change, which may have been its own manager's."""
    if entry.whose == mine.whose:
        return replace(entry, fields=(entry.fields - gone) | mine.fields, time=mine.time)
    return replace(entry, fields=entry.fields - gone - mine.fields)


def _schema_of(obj: Object) -> Schema:
    return schemas.of(obj["apiVersion"], obj["kind"]) or schemas.ANYTHING


def _within(config: Mapping[str, Any], subresource: str) -> Object:
    """What a configuration may say: all but the status, or through its subresource that alone."""
    if subresource == "status":
        return {k: v for k, v in config.items() if k in ("apiVersion", "kind", "status")}
    return {k: v for k, v in config.items() if k != "status"}


def _manageable(obj: Object, subresource: str = "") -> Object:
    """The part of an object that managers can own."""
    if subresource == "status":
        return {"status": obj.get("status") or {}}
    found = {name: value for name, value in obj.items() if name not in _UNMANAGED}
    metadata = obj.get("metadata") or {}
    found["metadata"] = {k: v for k, v in metadata.items() if k not in _UNMANAGED_METADATA}
    return {name: value for name, value in found.items() if value != {} or name != "metadata"}


def _union(entries: Iterable[ManagedFieldsEntry]) -> FieldSet:
    found = NOTHING
    for entry in entries:
        found |= entry.fields
    return found


def _with_managers(obj: Object, entries: Iterable[ManagedFieldsEntry], old: Object) -> Object:
    """An object with these managers; one whose fields stay as they were keeps its time."""
    before = {entry.whose: entry for entry in entries_of(old)}
    found = [
        (known if known and known.fields == entry.fields else entry).to_object()
        for entry in entries
        if entry.fields
        for known in [before.get(entry.whose)]
    ]
    metadata = {k: v for k, v in obj["metadata"].items() if k != "managedFields"}
    return {**obj, "metadata": {**metadata, "managedFields": found} if found else metadata}


def _refuse_conflicts(others: Iterable[ManagedFieldsEntry], changed: FieldSet) -> None:
    conflicts = [(entry, path) for entry in others for path in (entry.fields & changed).paths()]
    if conflicts:
        raise ApiError(
            _conflict_text(conflicts),
            code=409,
            reason="Conflict",
            details={
                "causes": [
                    {
                        "reason": "FieldManagerConflict",
                        "message": f"conflict with {entry}",
                        "field": path,
                    }
                    for entry, path in conflicts
                ]
            },
        )


def _conflict_text(conflicts: list[tuple[ManagedFieldsEntry, str]]) -> str:
    if len(conflicts) == 1:
        entry, path = conflicts[0]
        return f"Apply failed with 1 conflict: conflict with {entry}: {path}"
    by_manager: dict[str, list[str]] = {}
    for entry, path in conflicts:
        by_manager.setdefault(str(entry), []).append(path)
    lines = [
        line
        for manager, paths in sorted(by_manager.items())
        for line in (f"conflicts with {manager}:", *(f"- {path}" for path in paths))
    ]
    return f"Apply failed with {len(conflicts)} conflicts: " + "\n".join(lines)
