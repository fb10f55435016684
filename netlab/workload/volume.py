"""What a container has mounted, as the controller tells the runtime of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Mount:
    """A volume, or a part of it, that a container sees at `target` (absolute).

    `source` is its directory, below the lab's own: `pods/UID/volumes/NAME`. `sub_path` is looked
    for inside it when the container starts, and made if it is missing: pods write there, so any
    part of it may be a link. With `scratch` (options of a tmpfs) the volume is a file system of
    its own, which the runtime makes for the pod's first container and takes away with the pod.
    """

    source: str
    target: str
    read_only: bool = False
    sub_path: str = ""
    scratch: str = ""

    def to_json(self) -> dict[str, Any]:
        """For the control protocol."""
        return asdict(self)
