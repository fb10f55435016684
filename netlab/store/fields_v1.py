"""Sets of an object's fields: what managers own, as server-side apply writes it (FieldsV1).

A field is named as FieldsV1 names it: `f:spec` for a field, `k:{"name":"c"}` for a list's element
by its keys, `v:"a"` for a value of a list that is a set. How far fields go is the schema's word:
an atomic list or mapping is one field. Source: KEP-555 and sigs.k8s.io/structured-merge-diff.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from msgspec import Struct, field

from netlab.objects.schema import ANYTHING, Schema

# What a key's field is when an element does not say it.
_KEY_DEFAULTS = {"protocol": "TCP"}


class FieldSet(Struct, frozen=True):
    """Some of the fields at and below one place of an object; false when there are none.

    `itself`: whether the place as a whole is among them.
    """

    itself: bool = False
    children: Mapping[str, FieldSet] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return self.itself or bool(self.children)

    def __or__(self, other: FieldSet) -> FieldSet:
        return self._combined(other, self.itself or other.itself, lambda a, b: a | b)

    def __and__(self, other: FieldSet) -> FieldSet:
        return self._combined(other, self.itself and other.itself, lambda a, b: a & b)

    def __sub__(self, other: FieldSet) -> FieldSet:
        return self._combined(other, self.itself and not other.itself, lambda a, b: a - b)

    def _combined(
        self, other: FieldSet, itself: bool, combine: Callable[[FieldSet, FieldSet], FieldSet]
    ) -> FieldSet:
        names = dict.fromkeys((*self.children, *other.children))
        found = {name: combine(self.below(name), other.below(name)) for name in names}
        return FieldSet(itself, {name: child for name, child in found.items() if child})

    def below(self, name: str) -> FieldSet:
        """The part of the set below one child."""
        return self.children.get(name, NOTHING)

    def paths(self) -> Iterator[str]:
        """Every field as messages name it: `.spec.ports[port=80,protocol="TCP"].targetPort`."""
        if self.itself:
            yield ""
        for name, child in self.children.items():
            for rest in child.paths():
                yield _step(name) + rest

    def to_v1(self) -> dict[str, Any]:
        """As `fieldsV1` holds it."""
        here: dict[str, Any] = {".": {}} if self.itself and self.children else {}
        return here | {name: child.to_v1() for name, child in self.children.items()}

    @staticmethod
    def from_v1(tree: Mapping[str, Any]) -> FieldSet:
        """Read it from there."""
        return _from_tree(tree, root=True)


NOTHING = FieldSet()
ITSELF = FieldSet(True)


def _from_tree(tree: Mapping[str, Any], *, root: bool = False) -> FieldSet:
    below = {name: _from_tree(child) for name, child in tree.items() if name != "."}
    return FieldSet("." in tree or (not tree and not root), below)


def _step(name: str) -> str:
    """`f:spec` → `.spec`; `k:{"port":80,"protocol":"TCP"}` → `[port=80,protocol="TCP"]`."""
    kind, _, text = name.partition(":")
    if kind == "f":
        return f".{text}"
    if kind == "v":
        return f"[={text}]"
    keys = json.loads(text).items()
    return f"[{','.join(f'{key}={json.dumps(value)}' for key, value in keys)}]"


# -- how an object's values lie in fields ----------------------------------------------------

Child = tuple[Any, Schema]
Entries = dict[str, Child]


def entries(value: Any, schema: Schema) -> Entries | None:
    """The children of a value, each with its schema; None for what is one field as a whole."""
    found = _named(value, schema)
    return None if found is None else dict(found)


def _named(value: Any, schema: Schema) -> list[tuple[str, Child]] | None:
    """The same in order; a list may name an element twice."""
    if isinstance(value, Mapping) and schema.raw.get("x-kubernetes-map-type") != "atomic":
        return [(f"f:{n}", (item, schema.child(n) or ANYTHING)) for n, item in value.items()]
    if not isinstance(value, list):
        return None
    kind = schema.raw.get("x-kubernetes-list-type")
    if kind == "map":
        keys = schema.raw["x-kubernetes-list-map-keys"]
        return [(_element(item, keys), (item, schema.elements)) for item in value]
    if kind == "set":
        return [(f"v:{json.dumps(item)}", (item, schema.elements)) for item in value]
    return None


def duplicates(value: Any, schema: Schema) -> Iterator[str]:
    """What is named twice: `.spec.ports: duplicate entries for key [port=80,protocol="TCP"]`."""
    seen = set()
    for name, child in _named(value, schema) or ():
        if name in seen:
            yield f": duplicate entries for key {_step(name)}"
        seen.add(name)
        yield from (_step(name) + rest for rest in duplicates(*child))


def undeclared(value: Any, schema: Schema) -> Iterator[str]:
    """What the schema does not know: `.spec.selectors: field not declared in schema`."""
    for name, (item, child) in _named(value, schema) or ():
        if name.startswith("f:") and schema.child(name[2:]) is None:
            yield f"{_step(name)}: field not declared in schema"
        yield from (_step(name) + rest for rest in undeclared(item, child))


def _element(item: Any, keys: list[str]) -> str:
    known = item if isinstance(item, Mapping) else {}
    found = {key: known.get(key, _KEY_DEFAULTS.get(key)) for key in sorted(keys)}
    return f"k:{json.dumps(found, separators=(',', ':'))}"


def fields_of(value: Any, schema: Schema) -> FieldSet:
    """All fields that a value sets."""
    below = entries(value, schema)
    if not below:
        return ITSELF
    return FieldSet(False, {name: _child(name, *child) for name, child in below.items()})


def _child(name: str, value: Any, schema: Schema) -> FieldSet:
    """The fields of a child; an element of a list is a field beside what it holds."""
    found = fields_of(value, schema)
    return found if name.startswith("f:") else found | ITSELF


def changes(old: Any, new: Any, schema: Schema) -> tuple[FieldSet, FieldSet]:
    """(the fields that are new or have another value, those that are gone)."""
    before, after = entries(old, schema), entries(new, schema)
    if before is None or after is None:
        return (NOTHING if old == new else ITSELF), NOTHING
    changed = {n: _child(n, *child) for n, child in after.items() if n not in before}
    gone = {n: _child(n, *child) for n, child in before.items() if n not in after}
    for name in before.keys() & after.keys():
        changed[name], gone[name] = changes(before[name][0], *after[name])
    return _some(changed), _some(gone)


def _some(children: Mapping[str, FieldSet]) -> FieldSet:
    return FieldSet(False, {name: child for name, child in children.items() if child})


def overlaid(live: Any, config: Any, schema: Schema) -> Any:
    """`live` with what a configuration says laid over it, field by field."""
    present, said = entries(live, schema), entries(config, schema)
    if present is None or said is None or type(live) is not type(config):
        return config
    merged = {
        name: overlaid(present[name][0], *child) if name in present else child[0]
        for name, child in said.items()
    }
    if isinstance(config, Mapping):
        return {**live, **{name[2:]: value for name, value in merged.items()}}
    return _in_order(merged, {name: item for name, (item, _) in present.items()})


def _in_order(said: dict[str, Any], present: dict[str, Any]) -> list[Any]:
    """The elements said, in that order; the others behind those that they followed."""
    order = list(said)
    for before, name in zip((None, *present), present, strict=False):
        if name not in said:
            order.insert(order.index(before) + 1 if before is not None else 0, name)
    return [said[name] if name in said else present[name] for name in order]


def without(value: Any, gone: FieldSet, kept: FieldSet, schema: Schema) -> Any:
    """A value without the fields in `gone`; None when nothing is left of it.

    A place that is gone stays for the sake of what is `kept` below it.
    """
    if gone.itself and not kept:
        return None
    below = entries(value, schema)
    if not gone or not below:
        return value
    left = {
        name: rest
        for name, (item, child) in below.items()
        if (rest := without(item, gone.below(name), kept.below(name), child)) is not None
    }
    if isinstance(value, Mapping):
        return {name[2:]: rest for name, rest in left.items()} or None
    return list(left.values()) or None
