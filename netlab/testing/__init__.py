"""Labs in tests: what `netlab help testing` tells of. pytest loads `plugin.py` by its entry point.

What is asked for here is imported when it is asked for: whoever runs pytest without a lab pays for
nothing of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from netlab.testing.failure import NotAsExpected
    from netlab.testing.lab import Lab
    from netlab.testing.place import Connection, Place
    from netlab.testing.topology import Topology
    from netlab.testing.trace import Trace

__all__ = ["Connection", "Lab", "NotAsExpected", "Place", "Topology", "Trace"]

_MODULES = {
    "Connection": "place",
    "Lab": "lab",
    "NotAsExpected": "failure",
    "Place": "place",
    "Topology": "topology",
    "Trace": "trace",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
