"""Whether a change means the object that there is. Pure."""

from __future__ import annotations

from netlab.objects import meta
from netlab.objects.kinds import Kind
from netlab.objects.meta import Object
from netlab.store import failures


def check_version(kind: Kind, new: Object, old: Object) -> None:
    """The caller must mean the object there is, in the version there is."""
    wanted, current = new["metadata"].get("uid"), meta.uid(old)
    if wanted and wanted != current:
        raise failures.wrong_uid(kind, meta.name(old), wanted, current)
    version = new["metadata"].get("resourceVersion")
    if version and version != old["metadata"]["resourceVersion"]:
        raise failures.conflict(kind, meta.name(old))


def check_same(kind: Kind, new: Object, old: Object) -> None:
    """A patch cannot turn an object into another one."""
    same = (
        new.get("kind") == old["kind"]
        and new.get("apiVersion") == old["apiVersion"]
        and new["metadata"].get("name") == meta.name(old)
        and meta.namespace(new) == meta.namespace(old)
    )
    if not same:
        raise failures.identity_changed(kind, meta.name(old))
