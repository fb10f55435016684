"""What a container has mounted, as the controller tells the runtime of it."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct, to_builtins

Made = Literal["directory", "file", ""]


class Part(Struct, frozen=True):
    """A path inside a volume, and what is made there where nothing is ("": it is an error)."""

    path: str
    make: Made = "directory"


class Mount(Struct, frozen=True):
    """A volume, or a part of it, that a container sees at `target` (absolute).

    `source` is its directory, below the lab's own: `pods/UID/volumes/NAME`. `parts` lead further:
    each is looked for inside the one before when the container starts, as pods write there, and
    any of it may be a link. With `scratch` (options of a tmpfs) the volume is a file system of
    its own, which the runtime makes for the pod's first container and takes away with the pod.
    """

    source: str
    target: str
    read_only: bool = False
    parts: tuple[Part, ...] = ()
    scratch: str = ""

    def to_json(self) -> dict[str, Any]:
        """For the control protocol."""
        return dict(to_builtins(self))
