"""Strategic merge: lists merge by the key their schema names, with directives beside the data.

A patch's directives: `$patch: delete|replace|merge` in a mapping or list element,
`$retainKeys: [...]` for unions, `$deleteFromPrimitiveList/<field>` and
`$setElementOrder/<field>` beside a list's field.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from netlab.errors import BadRequest
from netlab.objects.schema import ANYTHING, Schema, strip_nulls

_DELETE_FROM = "$deleteFromPrimitiveList/"
_ORDER = "$setElementOrder/"
_DIRECTIVES = ("$patch", "$retainKeys")


def merged(target: Mapping[str, Any], patch: Mapping[str, Any], schema: Schema) -> dict[str, Any]:
    """`target` with a strategic merge patch applied, as a new mapping."""
    directive = patch.get("$patch", "merge")
    if directive == "replace":
        return _plain(patch)
    if directive == "delete":
        return {}
    if directive != "merge":
        raise BadRequest(f"Unknown patch type: {directive}")
    result = _retained(target, patch)
    for field in _fields(patch):
        child = schema.child(field) or ANYTHING
        value = patch.get(field)
        if field in patch and value is None:
            result.pop(field, None)
        else:
            _set(result, field, _merged_field(result.get(field), patch, field, child))
    return result


def _set(result: dict[str, Any], field: str, value: Any) -> None:
    if value is None:
        result.pop(field, None)
    else:
        result[field] = value


def _fields(patch: Mapping[str, Any]) -> list[str]:
    """The fields a patch speaks of, by value or by directive, each once."""
    return list(dict.fromkeys(_field(key) for key in patch if key not in _DIRECTIVES))


def _field(key: str) -> str:
    for prefix in (_DELETE_FROM, _ORDER):
        if key.startswith(prefix):
            return key[len(prefix) :]
    return key


def _retained(target: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """Without the fields that `$retainKeys` does not name."""
    keep = _listed(patch, "$retainKeys")
    return {key: value for key, value in target.items() if keep is None or key in keep}


def _listed(patch: Mapping[str, Any], directive: str) -> list[Any] | None:
    value = patch.get(directive)
    if value is None or isinstance(value, list):
        return value
    raise BadRequest(f"{directive} must be a list")


def _merged_field(current: Any, patch: Mapping[str, Any], field: str, schema: Schema) -> Any:
    value, order = patch.get(field), _listed(patch, _ORDER + field)
    if isinstance(value, Mapping):
        removed = value.get("$patch") == "delete"
        base = current if isinstance(current, Mapping) else {}
        return None if removed else merged(base, value, schema)
    gone = _listed(patch, _DELETE_FROM + field)
    if not isinstance(value, list) and order is None and gone is None:
        return value
    items = list(current) if isinstance(current, list) else []
    if gone is not None:
        dropped = set(map(_text, gone))
        items = [item for item in items if _text(item) not in dropped]
    if isinstance(value, list):
        items = _merged_list(items, value, schema)
    return _ordered(items, order, schema) if order is not None else items


def _merged_list(current: list[Any], patch: list[Any], schema: Schema) -> list[Any]:
    if "merge" not in schema.strategies:
        return strip_nulls(patch)  # type: ignore[no-any-return]
    key = schema.merge_key
    if not key:
        present = set(map(_text, current))
        return [*current, *(item for item in patch if _text(item) not in present)]
    for item in patch:
        if not isinstance(item, Mapping) or (key not in item and item.get("$patch") != "replace"):
            raise BadRequest(f"map: {item} does not contain declared merge key: {key}")
    elements = [item for item in patch if key in item]
    kept = current if len(elements) == len(patch) else []  # `$patch: replace` alone
    return _Elements(kept, elements, schema).merged()


class _Elements:
    """A list of mappings and a patch's elements for it, found by their merge key."""

    def __init__(self, current: list[Any], patch: list[Any], schema: Schema) -> None:
        self._key = str(schema.merge_key)
        self._schema = schema.elements or ANYTHING
        self._items: list[Any] = list(current)
        self._patch = patch
        self._places = self._by_key(current)
        self._spoken_for = self._by_key(patch)

    def _by_key(self, items: list[Any]) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for index, item in enumerate(items):
            found.setdefault(_text(item.get(self._key)), []).append(index)
        return found

    def merged(self) -> list[Any]:
        """The list after all elements of the patch."""
        for item in self._patch:
            same = self._places.setdefault(_text(item[self._key]), [])
            if item.get("$patch") == "delete":
                self._delete(item, same)
            else:
                self._merge(item, same)
        return [item for item in self._items if item is not None]

    def _delete(self, item: Mapping[str, Any], same: list[int]) -> None:
        protocol = item.get("protocol")
        for index in list(same):
            if protocol in (None, self._items[index].get("protocol")):
                self._items[index] = None
                same.remove(index)

    def _merge(self, item: Mapping[str, Any], same: list[int]) -> None:
        index = self._position(item, same)
        if index is None:
            same.append(len(self._items))
            self._items.append(merged({}, item, self._schema))
        else:
            self._items[index] = merged(self._items[index], item, self._schema)

    def _position(self, item: Mapping[str, Any], same: list[int]) -> int | None:
        """The element that a patch's element is about.

        Ports 53/UDP and 53/TCP share their merge key: the protocol tells them apart. One that no
        other element of the patch speaks of is what a change of protocol is about.
        """
        for index in same:
            if _protocol(self._items[index]) == _protocol(item):
                return index
        others = self._spoken_for[_text(item[self._key])]
        spoken_for = [_protocol(self._patch[index]) for index in others]
        free = (index for index in same if _protocol(self._items[index]) not in spoken_for)
        return next(free, None)


def _text(value: Any) -> str:
    """A JSON value as a key to find it by: lists of thousands must not be searched by turns."""
    return json.dumps(value, sort_keys=True)


def _protocol(item: Mapping[str, Any]) -> Any:
    return item.get("protocol", "TCP")


def _ordered(items: list[Any], order: list[Any], schema: Schema) -> list[Any]:
    """The listed elements in their new order; the others stay behind the one they followed."""
    key = schema.merge_key

    def identity(item: Any) -> Any:
        return item.get(key) if key and isinstance(item, Mapping) else item

    wanted = {_text(identity(item)): place for place, item in reversed([*enumerate(order)])}
    rank: dict[int, tuple[int, int]] = {}
    last = -1
    for index, item in enumerate(items):
        place = wanted.get(_text(identity(item)))
        if place is not None:
            last = place
            rank[index] = (last, -1)
        else:
            rank[index] = (last, index)
    return [items[index] for index in sorted(rank, key=lambda index: rank[index])]


def _plain(patch: Mapping[str, Any]) -> dict[str, Any]:
    """A patch's data without its directives."""
    return {key: strip_nulls(value) for key, value in patch.items() if not key.startswith("$")}
