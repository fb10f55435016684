"""Where a program is. `shutil` tells as much, and imports three compressors for its archives."""

from __future__ import annotations

import os


def which(program: str, path: str) -> str | None:
    """The first file of that name in these directories that may be run; of a path, itself."""
    places = [""] if os.sep in program else path.split(os.pathsep)
    for place in places:
        found = os.path.join(place, program)  # noqa: PTH118 - it is passed on as it is written
        if os.path.isfile(found) and os.access(found, os.X_OK):  # noqa: PTH113
            return found
    return None
