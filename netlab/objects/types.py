"""The kinds of objects by name, for annotations: `Pod`, `PodSpec`, `Service` and all they hold.

What is in each stands in types.pyi, which mypy reads in place of this file: scripts/generate-types
writes it of schema.json. At run time every one of them is a plain dict, and costs nothing.
"""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> type[dict[str, Any]]:
    """A dict, whatever the kind."""
    if name.startswith("__"):
        raise AttributeError(name)
    return dict
