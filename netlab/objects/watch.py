"""What lists and watches return; the same values in the registry and in every client of it."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

EventType = Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"]


class Event(Struct, frozen=True):
    """One line of a watch: what happened to an object, and the object afterwards.

    For DELETED `object` is the last state. For ERROR it is a Status (code 410: list again).
    """

    type: EventType
    object: Any


class ObjectList(Struct, frozen=True):
    """What a list returned, and the revision from which a watch continues it."""

    items: list[Any]
    resource_version: str
