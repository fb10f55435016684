"""Whether an object may be stored: its structure, its defaults, its validity."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from netlab.errors import BadRequest
from netlab.objects import meta, schema, strategies
from netlab.objects.kinds import BY_KIND, Kind
from netlab.objects.meta import AnyObject, Object
from netlab.objects.problems import FieldProblem, forbidden
from netlab.objects.validation import unique, validate, validate_status, validate_update
from netlab.store import failures

# An API server does not tell an empty one from none; kubectl diff sends some that are empty.
_OMITTED_IF_EMPTY = ("labels", "annotations", "finalizers", "ownerReferences")


OMITTED_IF_ZERO = frozenset({
    "globalDefault", "healthCheckNodePort", "hostIPC", "hostNetwork", "hostPID", "hostPort",
    "minReadySeconds", "nodePort", "paused", "publishNotReadyAddresses", "stdin", "stdinOnce",
    "tty", "unschedulable",
})  # fmt: skip
"""Numbers and truths that an API server has as values, not behind pointers: 0 and false are what
is left out, and not written."""


def omit_zeros(obj: Object) -> None:
    """Leave out, in place, what of a desired state says no more than nothing would."""
    desired = {name: entry for name, entry in obj.items() if name not in ("metadata", "status")}
    for name in _zeros(desired):
        del obj[name]
    for entry in desired.values():
        _omit_zeros(entry)


def _omit_zeros(value: Any) -> None:
    if isinstance(value, dict):
        for field in _zeros(value):
            del value[field]
        for entry in value.values():
            _omit_zeros(entry)
    elif isinstance(value, list):
        for entry in value:
            _omit_zeros(entry)


def _zeros(value: Mapping[str, Any]) -> list[str]:
    return [field for field in OMITTED_IF_ZERO & value.keys() if value[field] in (False, 0)]


def kind_of(obj: AnyObject) -> Kind:
    """The kind of an object from a client; `NotFound` or `BadRequest` if it is not served."""
    kind = kind_named(str(obj.get("kind") or ""))
    if obj.get("apiVersion") != kind.api_version:
        raise BadRequest(
            f'no kind "{kind.kind}" is served in version "{obj.get("apiVersion")}"',
            hint=f"write apiVersion: {kind.api_version}",
        )
    return kind


def kind_named(name: str) -> Kind:
    """The kind of that name, `NotFound` if it is not served."""
    kind = BY_KIND.get(name)
    if kind is None:
        raise failures.unknown_kind()
    return kind


class Decoded(NamedTuple):
    """An object whose types are sound; `is_sound` when nothing else of its structure is amiss."""

    object: Object
    is_sound: bool


def decoded(
    kind: Kind,
    obj: AnyObject,
    stored: Mapping[str, Any] = MappingProxyType({}),
    *,
    zeros: bool = False,
) -> Decoded:
    """The caller's object as a copy of our own: no nulls, no unknown fields, sound types.

    Nulls stay within a field that is opaque here, as the data of a ControllerRevision is. What it
    has of `stored`, fields that were decoded before, is neither looked at nor copied. With
    `zeros` those are kept that are not written.
    """
    kept = {field: value for field, value in stored.items() if obj.get(field) is value}
    obj = {**obj, "metadata": obj.get("metadata", {})}
    for field in kept:
        del obj[field]
    if not isinstance(obj["metadata"], dict):
        raise BadRequest(f"{kind.kind} cannot be read: metadata must be a mapping")
    problems = schema.check(obj)
    mistyped = [one for one in problems if one.reason == "FieldValueTypeInvalid"]
    if mistyped:
        raise failures.undecodable(kind, mistyped)
    unknown = [one.path for one in problems if one.reason == "UnknownField"]
    own: Object = schema.without(obj, unknown) if unknown else schema.strip_nulls(obj)
    for field, text in (("apiVersion", kind.api_version), ("kind", kind.kind)):
        if own.get(field) == text:
            own[field] = text  # one string for all of a kind
    for field in _OMITTED_IF_EMPTY:
        if not own["metadata"].get(field, True):
            del own["metadata"][field]
    if not zeros:
        omit_zeros(own)
    for field in kind.opaque:
        if obj.get(field) is not None:
            own[field] = copy.deepcopy(obj[field])
    return Decoded(own | kept, not problems)


def default(new: Object, old: Object | None) -> None:
    """Fill, in place, what the client left out."""
    strategy = strategies.of(new)
    strategy.default(new)
    strategy.settle(new, old)


def refuse(kind: Kind, obj: Object, problems: Sequence[FieldProblem]) -> None:
    """Raise `Invalid` if there are problems."""
    if problems:
        metadata = obj["metadata"]
        name = metadata.get("name") or metadata.get("generateName") or ""
        raise failures.invalid(kind, str(name), problems)


def check(
    kind: Kind, new: Object, old: Object | None, subresource: str = "", *, is_sound: bool = False
) -> None:
    """Raise `Invalid` with all that is wrong with an object, or with this change of it. Of one that
    `is_sound` the structure is known to be right."""
    problems = validate(new, is_sound=is_sound)
    if old is not None:
        problems = unique([*problems, *validate_update(new, old), *_late_finalizers(new, old)])
    if not subresource:
        problems += strategies.of(new).validate_direct(new, old)
    refuse(kind, new, problems)


def check_status(kind: Kind, new: Object, old: Object) -> None:
    """Raise `Invalid` with all that is wrong with a status, or with the metadata that came with it;
    fill in, in place, what is left out.

    Whoever writes one may leave out what he likes; who reads it finds what its type requires.
    """
    strategies.of(new).default_status(new)
    of_metadata = [] if _said(new) == _said(old) else validate(new)
    of_metadata = [one for one in of_metadata if one.path[:1] == ("metadata",)]
    refuse(kind, new, [*validate_status(new, old), *of_metadata, *_late_finalizers(new, old)])
    of = schema.of(kind.api_version, kind.kind)
    if of is not None and "status" in new:
        schema.complete(new["status"], of.child("status") or schema.ANYTHING)


def _said(obj: Object) -> dict[str, Any]:
    """What of its metadata a client may change."""
    return {field: obj["metadata"].get(field) for field in _OMITTED_IF_EMPTY}


def _late_finalizers(new: Object, old: Object) -> Iterator[FieldProblem]:
    """What is being deleted cannot be held by anybody else."""
    added = set(new["metadata"].get("finalizers") or []) - set(
        old["metadata"].get("finalizers") or []
    )
    if added and meta.is_terminating(old):
        detail = "no new finalizers can be added if the object is being deleted"
        names = ", ".join(sorted(added))
        yield forbidden(("metadata", "finalizers"), f"{detail}, found new finalizers {names}")
