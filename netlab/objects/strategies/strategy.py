"""The record of what an API server does with the objects of a kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from msgspec import Struct

from netlab.objects import fields
from netlab.objects.meta import Object
from netlab.objects.problems import FieldProblem, Path, invalid

Mapping = dict[str, Any]
Problems = Iterator[FieldProblem]

IMMUTABLE = "field is immutable"


def _leave(*_: object) -> None:
    """Nothing is to be done."""


def _allow(*_: object) -> Problems:
    return iter(())


class Strategy(Struct, frozen=True):
    """What becomes of an object of one kind before it is stored, and what may not be stored.

    Validation never raises, whatever JSON of the right structure it is given; what is said of a
    new object is said of its defaulted form. What depends on other objects (that an address is
    free) is the registry's to say.
    """

    default: Callable[[Object], None] = _leave
    """Fills, in place, what the client left out; filled once, filling again changes nothing."""

    default_status: Callable[[Object], None] = _leave
    """The same for a status that is written by itself."""

    prepare_create: Callable[[Object], None] = _leave
    """Sets, in place, what a new object has whatever its client wrote."""

    settle: Callable[[Object, Object | None], None] = _leave
    """Takes over from the stored object, in place, what the server gave it (None: it is new)."""

    prepare_delete: Callable[[Object], None] = _leave
    """Says in its status, of a copy that shares its fields, that an object is being deleted."""

    grace: Callable[[Object], int | None] = _leave
    """How many seconds it lingers if it is not said how many; None: it cannot linger."""

    validate: Callable[[Object], Problems] = _allow
    validate_name: Callable[[Path, str], Problems] = fields.dns_subdomain
    validate_update: Callable[[Object, Object], Problems] = _allow
    """What may not change: of the new object, and the stored one."""

    validate_direct: Callable[[Object, Object | None], Problems] = _allow
    """What may be written through a subresource alone, or not at first: of the new object, and the
    stored one (None: there is none)."""

    validate_status: Callable[[Path, Mapping], Problems] = _allow
    """What addresses and names in a status may be; what it leaves out is no problem."""

    validate_status_update: Callable[[Object, Object], Problems] = _allow
    """What a status may say, and may not take back: of the new object, and the stored one."""


def spec_of(obj: Object) -> Mapping:
    """The spec to fill, made where there is none."""
    if not obj.get("spec"):
        obj["spec"] = {}
    spec: Mapping = obj["spec"]
    return spec


_EMPTY: tuple[Any, ...] = (None, "", {})


def fill(mapping: Mapping, **defaults: Any) -> None:
    """Set what is not there.

    Empty strings, empty mappings and null count as nothing, since clients that send protobuf
    cannot tell them apart.
    """
    for name, value in defaults.items():
        if mapping.get(name) in _EMPTY:
            mapping[name] = value


def keeps(*path: str) -> Callable[[Object, Object], Problems]:
    """A rule for updates: what stands at this path stays as it was."""

    def rule(new: Object, old: Object) -> Problems:
        wanted = _at(new, path)
        if wanted != _at(old, path):
            yield invalid(path, wanted, IMMUTABLE)

    return rule


def _at(obj: Object, path: Path) -> Any:
    value: Any = obj
    for part in path:
        value = value.get(part) if isinstance(value, dict) else None
    return value
