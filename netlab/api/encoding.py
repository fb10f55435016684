"""Objects as bytes, written once per version and shared by every answer and watcher."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

from netlab.api.negotiation import META, Form, Include
from netlab.api.tables import RowTemplate, row_template, table
from netlab.objects.meta import Object
from netlab.serving.answers import to_json

V = TypeVar("V")


def partial_object(obj: Object, api_version: str = META) -> Object:
    """The PartialObjectMetadata of an object."""
    return {
        "kind": "PartialObjectMetadata",
        "apiVersion": api_version,
        "metadata": obj["metadata"],
    }


class _Cache(Generic[V]):
    """Least-recently-used values by key, bounded by their total weight in bytes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._total = 0
        self._entries: OrderedDict[tuple[str, ...], tuple[V, int]] = OrderedDict()

    def get(self, key: tuple[str, ...], make: Callable[[], V], weigh: Callable[[V], int]) -> V:
        entry = self._entries.get(key)
        if entry is not None:
            self._entries.move_to_end(key)
            return entry[0]
        value = make()
        self._put(key, value, weigh(value))
        return value

    def _put(self, key: tuple[str, ...], value: V, weight: int) -> None:
        self._entries[key] = (value, weight)
        self._total += weight
        while self._total > self._limit and len(self._entries) > 1:
            _, (_, dropped) = self._entries.popitem(last=False)
            self._total -= dropped


class Encoder:
    """Encodes objects, remembering what was encoded by uid and resourceVersion.

    `limit` bounds each of its two caches, in bytes.
    """

    def __init__(self, limit: int = 24 * 1024 * 1024) -> None:
        self._objects: _Cache[bytes] = _Cache(limit)
        self._rows: _Cache[RowTemplate] = _Cache(limit)

    def object(self, obj: Object, *, gone: bool = False) -> bytes:
        """The whole object as JSON; `gone` tells the last state of a DELETED event apart."""
        key = _version(obj, gone)
        if key is None:
            return to_json(obj)
        return self._objects.get(key, lambda: to_json(obj), len)

    def row(self, obj: Object, include: Include, now: float, *, gone: bool = False) -> bytes:
        """The object's Table row at `now`."""
        key = _version(obj, gone)
        if key is None:
            return self._row_template(obj, include, gone).render(now)
        template = self._rows.get(
            (*key, include), lambda: self._row_template(obj, include, gone), RowTemplate.weight
        )
        return template.render(now)

    def _row_template(self, obj: Object, include: Include, gone: bool) -> RowTemplate:
        if include == "Object":
            return row_template(obj, self.object(obj, gone=gone))
        carried = to_json(partial_object(obj)) if include == "Metadata" else b""
        return row_template(obj, carried)

    def one(
        self, obj: Object, form: Form, now: float, *, headers: bool = True, gone: bool = False
    ) -> bytes:
        """One object in the form the client asked for."""
        if form.shape == "metadata":
            return to_json(partial_object(obj, form.api_version))
        if form.shape == "table":
            version = {"resourceVersion": obj["metadata"].get("resourceVersion", "")}
            rows = [self.row(obj, form.include, now, gone=gone)]
            return table(obj["kind"], rows, version, headers=headers, api_version=form.api_version)
        return self.object(obj, gone=gone)


def _version(obj: Object, gone: bool) -> tuple[str, ...] | None:
    """What tells this state of the object from any other; None when nothing does."""
    metadata = obj.get("metadata") or {}
    uid, version = metadata.get("uid"), metadata.get("resourceVersion")
    if not uid or not version:
        return None
    return (uid, version, "gone") if gone else (uid, version)
