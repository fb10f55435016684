"""What is imported when somebody first asks for it: a table names the place, and imports nothing.

What few labs need, a Job's controller or `exec`, costs the others neither time nor memory. It is
for tables, each of which names modules of its own room; what one function needs it imports itself.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Generic, TypeVar, cast

from msgspec import Struct

T_co = TypeVar("T_co", covariant=True)


class Later(Struct, Generic[T_co], frozen=True):
    """What `name` is in `module`."""

    module: str
    name: str

    def get(self) -> T_co:
        """It, imported by now."""
        found: Any = getattr(import_module(self.module), self.name)
        return cast(T_co, found)
