"""Programs of ours that containers have in their roots, as their images have the real ones.

They are one file, a zip archive that the machine's python3 runs: what is in `inside`, and the few
modules of ours that it needs. The runtime writes it once, and mounts it read-only into containers.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

_PACKAGE = Path(__file__).parents[1]
_INSIDE = _PACKAGE / "workload" / "inside"
_SHARED = tuple(
    f"{name}.py"
    for name in (
        "__init__", "workload/__init__", "workload/http1", "workload/site", "workload/template",
        "workload/access_log",
    )
)  # fmt: skip
_SITES = "workload/inside/sites.py"

# Isolated: nothing of the pod's environment or of its user is imported, nothing is written.
_SHEBANG = b"#!/usr/bin/python3 -ISB\n"
_MAIN = "import sys\nfrom %s import main\nmain(sys.argv[1:])\n"

PROGRAMS = {
    "agnhost": "netlab.workload.inside.agnhost",
    "boom-server": "netlab.workload.inside.boom_server",
    "web-server": "netlab.workload.inside.web_server",
}
"""Which there are, and the modules whose `main` they are."""

_WITH = {"agnhost": ("localhost.crt", "localhost.key")}
"""Files beside the program that its image has in its root, too."""


class PodBinaries:
    """Those that were written so far, in `directory`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def files(self, names: Iterable[str]) -> Iterator[tuple[str, Path]]:
        """Where a file of these programs is to be in a container, and where it is."""
        for name in names:
            path = self._directory / name
            if not path.exists():
                self._write(name)
            yield f"/{name}", path
            for beside in _WITH.get(name, ()):
                yield f"/{beside}", self._directory / beside

    def _write(self, name: str) -> None:
        self._directory.mkdir(mode=0o711, exist_ok=True)
        for beside in _WITH.get(name, ()):
            (self._directory / beside).write_bytes((_INSIDE / beside).read_bytes())
        new = self._directory / f".{name}"
        new.write_bytes(archive(name))
        new.chmod(0o755)
        new.replace(self._directory / name)


def archive(name: str) -> bytes:
    """The program of that name."""
    content = io.BytesIO()
    content.write(_SHEBANG)
    with zipfile.ZipFile(content, "a") as written:
        for path in (*(_PACKAGE / each for each in _SHARED), *sorted(_INSIDE.glob("*.py"))):
            if path != _PACKAGE / _SITES:
                written.write(path, f"netlab/{path.relative_to(_PACKAGE)}")
        written.writestr(f"netlab/{_SITES}", f"SITES = {_sites()!r}\n")
        written.writestr("__main__.py", _MAIN % PROGRAMS[name])
    return content.getvalue()


def _sites() -> dict[str, dict[str, Any]]:
    """What servers of files say where there is none."""
    from netlab.workload.catalogue import catalogue  # slow to import, seldom needed

    programs = [program for program in catalogue().programs if program.documents]
    names = {port.site for program in programs for port in program.listen}
    return {name: dict(catalogue().sites[name]) for name in sorted(names)}
