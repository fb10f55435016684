"""Programs of ours that containers have in their roots, as their images have the real ones.

They are one file, a zip archive that the machine's python3 runs: what is in `inside`, and the few
modules of ours that it needs. The runtime writes it once, and mounts it read-only into containers.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import zipfile

_PACKAGE = Path(__file__).parents[1]
_INSIDE = _PACKAGE / "workload" / "inside"
_SHARED = tuple(
    f"{name}.py"
    for name in (
        "workload/__init__", "workload/http1", "workload/site", "workload/template",
        "workload/access_log", "workload/crc32c",
    )
)  # fmt: skip
_SITES = "workload/inside/sites.py"

# Isolated: nothing of the pod's environment or of its user is imported, nothing is written.
_SHEBANG = b"#!/usr/bin/python3 -ISB\n"
_MAIN = """
import importlib, os, sys
programs = {programs!r}
importlib.import_module(programs[os.path.basename(sys.argv[0])]).main(sys.argv[1:])
"""

PROGRAMS = {
    "agnhost": "netlab.workload.inside.agnhost",
    "agnhost-2": "netlab.workload.inside.agnhost",
    "boom-server": "netlab.workload.inside.boom_server",
    "coredns": "netlab.workload.inside.coredns",
    "web-server": "netlab.workload.inside.web_server",
}
"""Which there are, and the modules whose `main` they are."""

_UNCHECKED = (1).to_bytes(4, "little") + bytes(8)
"""Code that is not held against its source, which is beside it (PEP 552)."""

_WITH = {"agnhost": ("localhost.crt", "localhost.key")}
"""Files beside the program that its image has in its root, too."""

_ALSO = {"agnhost": ("agnhost-2", "coredns")}
"""Further names that the image has a program by."""


class PodBinaries:
    """They lie in `directory` once the first is asked for."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def files(self, names: Iterable[str]) -> Iterator[tuple[str, Path]]:
        """Where a file of these programs is to be in a container, and where it is."""
        for name in names:
            if not self._directory.exists():
                self._write()
            for called in (name, *_ALSO.get(name, ())):
                yield f"/{called}", self._directory / "programs"
            for beside in _WITH.get(name, ()):
                yield f"/{beside}", self._directory / beside

    def _write(self) -> None:
        new = self._directory.with_suffix(".new")
        new.mkdir(mode=0o711, exist_ok=True)
        for beside in (each for files in _WITH.values() for each in files):
            (new / beside).write_bytes((_INSIDE / beside).read_bytes())
        (new / "programs").write_bytes(archive())
        (new / "programs").chmod(0o755)
        new.rename(self._directory)


def archive() -> bytes:
    """All programs: which it is, its file's name tells it."""
    import zipfile  # slow to import, and few labs need it

    content = io.BytesIO()
    content.write(_SHEBANG)
    with zipfile.ZipFile(content, "a") as written:
        _add(written, "netlab/__init__.py", "")  # ours looks for what a pod need not have
        for path in (*(_PACKAGE / each for each in _SHARED), *sorted(_INSIDE.glob("*.py"))):
            if path != _PACKAGE / _SITES:
                _add(written, f"netlab/{path.relative_to(_PACKAGE)}", path.read_text())
        _add(written, f"netlab/{_SITES}", f"SITES = {_sites()!r}\n")
        _add(written, "__main__.py", _MAIN.format(programs=PROGRAMS))
    return content.getvalue()


def _add(written: zipfile.ZipFile, name: str, source: str) -> None:
    """A module, and its code for a python3 of our own version, which need not compile it."""
    import importlib.util
    import marshal

    written.writestr(name, source)
    code = marshal.dumps(compile(source, name, "exec", dont_inherit=True))
    written.writestr(f"{name}c", importlib.util.MAGIC_NUMBER + _UNCHECKED + code)


def _sites() -> dict[str, dict[str, Any]]:
    """What servers of files say where there is none."""
    from netlab.workload.catalogue import catalogue  # slow to import, seldom needed

    programs = [program for program in catalogue().programs if program.documents]
    names = {port.site for program in programs for port in program.listen}
    return {name: dict(catalogue().sites[name]) for name in sorted(names)}
