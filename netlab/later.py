"""What is imported when somebody first asks for it: a table names the place, and imports nothing.

What few labs need, a Job's controller or `exec`, costs the others neither time nor memory. It is
for tables, each of which names modules of its own room; what one function needs it imports itself.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from types import ModuleType
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


def import_parts_of(package: str, **wanted: str) -> None:
    """From now on, modules of this package are imported without its `__init__`, and all that this
    imports; it runs once somebody asks the package for what is no module of it, or is not among
    what modules `wanted` of it meanwhile."""
    spec = find_spec(package)
    if package in sys.modules or spec is None:
        return
    sys.modules[package] = module = module_from_spec(spec)
    vars(module).update(wanted)
    module.__class__ = _InParts


class _InParts(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        part = f"{self.__name__}.{name}"
        if find_spec(part):
            return import_module(part)
        spec = self.__spec__
        assert spec is not None
        assert spec.loader is not None
        object.__setattr__(self, "__class__", ModuleType)
        spec.loader.exec_module(self)
        return getattr(self, name)
