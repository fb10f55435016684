"""Strategic merge: lists merge by the key their schema names, with directives beside the data.

A patch's directives: `$patch: delete|replace` in a mapping or list element, `$retainKeys: [...]`
for unions, `$deleteFromPrimitiveList/<field>` and `$setElementOrder/<field>` beside a list's field.

As k8s.io/apimachinery/pkg/util/strategicpatch does it. What a list had and the patch does not name
keeps its place among what it had; where nothing tells which comes first, the patch's comes.
Elements are told apart by their merge key alone: ports 53/UDP and 53/TCP are one to it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from netlab.errors import BadRequest
from netlab.objects.schema import ANYTHING, Schema, strip_nulls

_DELETE_FROM = "$deleteFromPrimitiveList/"
_ORDER = "$setElementOrder/"
_PATCH, _RETAIN = "$patch", "$retainKeys"


def merged(target: Mapping[str, Any], patch: Mapping[str, Any], schema: Schema) -> dict[str, Any]:
    """`target` with a strategic merge patch applied, as a new mapping."""
    if _PATCH in patch:
        return _directed(patch)
    result = _retained(target, patch)
    done = {_RETAIN}
    for key in patch:
        if key.startswith(_ORDER):
            field = key.removeprefix(_ORDER)
            _reorder(result, patch, field, schema.child(field) or ANYTHING)
            done |= {key, field}
    for key, value in patch.items():
        if key not in done:
            _merge_field(result, key, value, schema)
    return result


def _directed(patch: Mapping[str, Any]) -> dict[str, Any]:
    """What a mapping becomes whose patch says `$patch`: the patch's own, or empty."""
    if patch[_PATCH] == "replace":
        return strip_nulls({key: value for key, value in patch.items() if key != _PATCH})  # type: ignore[no-any-return]
    if patch[_PATCH] == "delete":
        return {}
    raise BadRequest(f"unknown patch type: {patch[_PATCH]} in map: {json.dumps(patch)}")


def _retained(target: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """Without the fields that `$retainKeys` does not name; it names all that the patch gives."""
    if _RETAIN not in patch:
        return dict(target)
    keep = patch[_RETAIN]
    given = [key for key, value in patch.items() if value is not None and not key.startswith("$")]
    if not isinstance(keep, list) or any(key not in keep for key in given):
        raise BadRequest("invalid patch format of retainKeys")
    return {key: value for key, value in target.items() if key in keep}


def _merge_field(result: dict[str, Any], key: str, value: Any, schema: Schema) -> None:
    field, deletes = key.removeprefix(_DELETE_FROM), key.startswith(_DELETE_FROM)
    current, child = result.get(field), schema.child(field) or ANYTHING
    if value is None:
        result.pop(field, None)
    elif isinstance(value, list) and isinstance(current, list):
        result[field] = _merged_list(current, value, child, deletes=deletes)
    elif deletes:
        return
    elif isinstance(value, Mapping) and isinstance(current, Mapping):
        replaced = "replace" in child.strategies
        result[field] = strip_nulls(value) if replaced else merged(current, value, child)
    elif (plain := _plain(value)) is _NOTHING:
        result.pop(field, None)
    else:
        result[field] = plain


_NOTHING = object()


def _plain(value: Any) -> Any:
    """A patch's value where there was none: no nulls, no directives, and nothing that has one."""
    if isinstance(value, Mapping):
        if _PATCH in value:
            return _NOTHING
        found = {key: _plain(inner) for key, inner in value.items() if inner is not None}
        return {key: inner for key, inner in found.items() if inner is not _NOTHING}
    if isinstance(value, list):
        return [plain for inner in value if (plain := _plain(inner)) is not _NOTHING]
    return value


# -- lists -----------------------------------------------------------------------------------


def _merged_list(current: list[Any], patch: list[Any], schema: Schema, *, deletes: bool) -> Any:
    if "merge" not in schema.strategies:
        return strip_nulls(patch)
    if not any(isinstance(item, Mapping) for item in (*current, *patch)):
        if deletes:
            gone = set(map(_text, patch))
            return [item for item in current if _text(item) not in gone]
        both = list({_text(item): item for item in (*current, *patch)}.values())
    elif schema.merge_key:
        current, patch = _after_directives(current, patch, schema.merge_key)
        both = _merged_elements(current, patch, schema)
    else:
        raise BadRequest("cannot merge lists without merge key")
    return _ordered(both, patch, current, schema)


def _after_directives(
    current: list[Any], patch: list[Any], key: str
) -> tuple[list[Any], list[Any]]:
    """Both lists once the patch's elements with `$patch` are done with."""
    elements = [item for item in patch if _PATCH not in _mapping(item)]
    if len(elements) == len(patch):
        return current, patch
    directives = [item for item in patch if _PATCH in item]
    gone = {_key(item, key) for item in directives if item[_PATCH] == "delete"}
    for item in directives:
        if item[_PATCH] not in ("delete", "replace"):
            raise BadRequest(f"unknown patch type: {item[_PATCH]} in map: {json.dumps(item)}")
    if any(item[_PATCH] == "replace" for item in directives):
        return strip_nulls(elements), []
    return [item for item in current if _text(_mapping(item).get(key)) not in gone], elements


def _merged_elements(current: list[Any], patch: list[Any], schema: Schema) -> list[Any]:
    """The elements of a list after those of a patch: merged where there is one of the same key."""
    key, elements = str(schema.merge_key), schema.elements or ANYTHING
    items = list(current)
    places: dict[str, int] = {}
    for index, item in enumerate(items):
        places.setdefault(_text(_mapping(item).get(key)), index)
    for item in patch:
        place = places.setdefault(_key(item, key), len(items))
        if place == len(items):
            items.append(strip_nulls(item))  # as it stands: what is no field of it is pruned later
        else:
            items[place] = merged(items[place], item, elements)
    return items


def _reorder(result: dict[str, Any], patch: Mapping[str, Any], field: str, schema: Schema) -> None:
    """Merge a list, and order it as `$setElementOrder/<field>` says."""
    order = _list(patch[_ORDER + field])
    current, given = result.get(field), patch.get(field)
    before = _list(current or [])
    if current is None and given is None:
        return
    if not current and not given:
        raise BadRequest("no elements in any of the given slices")
    _check_order(_list(given or []), order, schema)
    if given is None:
        both = before
    elif current is None:
        both = _plain(given)
    else:
        both = _merged_list(before, given, schema, deletes=False)
        before = _left_behind(before, given, schema)
    result[field] = _ordered(both, order, before, schema)


def _left_behind(current: list[Any], patch: list[Any], schema: Schema) -> list[Any]:
    """What is left of a list that was merged into in place, as the API server does it: elements
    that are new stand where those were that are gone, as far as there is room for them."""
    key = schema.merge_key
    if key is None or "merge" not in schema.strategies:
        return current
    kept, elements = _after_directives(current, patch, key)
    if len(kept) == len(current) or any(item.get(_PATCH) == "replace" for item in patch):
        return current
    known = {_key(item, key) for item in kept}
    new = {_key(item, key): item for item in elements if _key(item, key) not in known}
    return [*kept, *new.values()][: len(current)]


def _check_order(given: list[Any], order: list[Any], schema: Schema) -> None:
    """What a patch gives comes in the order that it asks for, if it asks for any."""
    identity = _identity(schema)
    wanted = iter([identity(item) for item in order])
    elements = [item for item in given if not (isinstance(item, Mapping) and _PATCH in item)]
    if order and not all(identity(item) in wanted for item in elements):
        raise BadRequest(
            f"The order in patch list:\n{_shown(given)}\n doesn't match $setElementOrder "
            f"list:\n{_shown(order)}\n"
        )


def _ordered(items: list[Any], order: list[Any], before: list[Any], schema: Schema) -> list[Any]:
    """Those that `order` names in its order, and between them the others, as they were `before`."""
    identity = _identity(schema)
    wanted, was = _places(map(identity, order)), _places(map(identity, before))
    named, others = _split(items, wanted, was, identity)
    found: list[Any] = []
    for one in others:
        place = was.get(identity(one), len(was))
        while named and place >= was.get(identity(named[-1]), -1):
            found.append(named.pop())
        found.append(one)
    return found + named[::-1]


def _split(
    items: list[Any],
    wanted: Mapping[str, int],
    was: Mapping[str, int],
    identity: Callable[[Any], str],
) -> tuple[list[Any], list[Any]]:
    """(those that are `wanted`, the last one first; the others, in the order in which they were)"""
    named = [item for item in items if identity(item) in wanted]
    others = [item for item in items if identity(item) not in wanted]
    named.sort(key=lambda item: wanted[identity(item)])
    others.sort(key=lambda item: was.get(identity(item), len(was)))
    return named[::-1], others


def _places(identities: Iterable[str]) -> dict[str, int]:
    """Where each stands first."""
    found: dict[str, int] = {}
    for place, identity in enumerate(identities):
        found.setdefault(identity, place)
    return found


def _identity(schema: Schema) -> Callable[[Any], str]:
    """What tells an element from others: its merge key's value, or itself."""
    key = schema.merge_key
    return _text if key is None else lambda item: _key(item, key)


def _key(item: Any, key: str) -> str:
    if key not in _mapping(item):
        raise BadRequest(f"map: {json.dumps(item)} does not contain declared merge key: {key}")
    return _text(item[key])


def _mapping(item: Any) -> Mapping[str, Any]:
    if not isinstance(item, Mapping):
        raise BadRequest("list element types are not identical")
    return item


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise BadRequest(f"expected a list, but received {json.dumps(value)}")
    return value


def _shown(value: Any) -> str:
    """As much of a value as a complaint bears."""
    return json.dumps(value)[:1000]


def _text(value: Any) -> str:
    """A JSON value as a key to find it by: lists of thousands must not be searched by turns."""
    return json.dumps(value, sort_keys=True)
