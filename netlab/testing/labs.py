"""The labs of one pytest process: brought up when one is asked for, all taken down in the end.

A lab's controller imports its modules while we import ours, or, of a lab that is expected, while
the one before it is taken down.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netlab.errors import EnvironmentLacks, NetlabError, UsageError
from netlab.supervision import Newborn
from netlab.testing import runs
from netlab.testing.topology import Topology

if TYPE_CHECKING:
    from netlab.lab import Brought
    from netlab.manifest import Manifest
    from netlab.testing.lab import Lab

Source = str | Path | Topology | Mapping[str, Any]
"""A file, a manifest's text (of more than one line), a lab written in Python, or an object."""


class Labs:
    """`kept` gives the directory for what is to be read when a test has failed."""

    def __init__(self, kept: Callable[[], Path]) -> None:
        self._kept = kept
        self._stack = contextlib.ExitStack()
        self._directory: Path | None = None
        self._up: dict[str, Lab] = {}
        self._newborn: Newborn | None = None
        self.swept: Sequence[str] = ()
        """What others had left, a line for each lab."""

    def up(self, sources: Sequence[Source], roots: Sequence[Path] = ()) -> Lab:
        """Bring one up; files are looked for in `roots`, in turn. `NetlabError` if not all of it
        gets ready, and then it is down again."""
        if os.geteuid() != 0:
            raise EnvironmentLacks(
                "a lab needs root, and these tests run without",
                hint='sudo "$(command -v pytest)" …; netlab_lacking = skip leaves them out',
            )
        directory = self._own()
        newborn, self._newborn = self._newborn or _newborn(), None
        began = time.monotonic()
        with contextlib.closing(newborn):
            paths = [self._file(source, roots, directory) for source in sources]
            loaded, brought = self._brought(paths, newborn)
        lab = self._made(loaded, paths, time.monotonic() - began)
        if brought.troubles:
            self.down(lab)
            raise NetlabError(f"lab {lab.name} does not get ready: {'; '.join(brought.troubles)}")
        return lab

    def _brought(self, files: Sequence[Path], newborn: Newborn) -> tuple[Manifest, Brought]:
        from msgspec.structs import replace

        from netlab import lab as labs
        from netlab import manifest

        loaded = manifest.load(files)
        if loaded.lab is None:
            raise UsageError(
                f"no `kind: Lab` stands in {', '.join(map(str, files)) or 'nothing'}",
                hint="netlab help testing says how a test names its lab",
            )
        loaded.lab = replace(loaded.lab, name=_free(loaded.lab.name))
        named = [str(path) for path in files]
        return loaded, labs.up(loaded, named, progress=lambda _: None, newborn=newborn)

    def _made(self, loaded: Manifest, files: Sequence[Path], seconds: float) -> Lab:
        from netlab.testing.lab import Lab

        assert loaded.lab is not None
        lab = self._up[loaded.lab.name] = Lab(loaded.lab.name, files, seconds, self._kept)
        return lab

    def down(self, lab: Lab) -> None:
        """Take it down; fine if it is: then its name may be anybody's."""
        from netlab import lab as labs

        if self._up.get(lab.name) is not lab:
            return
        lab.close()
        labs.down(lab.name, progress=lambda _: None)
        del self._up[lab.name]

    def expect(self) -> None:
        """Have the next lab's controller begin: somebody is going to ask for a lab soon."""
        if self._newborn is None and self._directory is not None:
            self._newborn = _newborn()

    def close(self) -> None:
        """Leave nothing, whatever fixtures did. Who asks for a lab afterwards begins anew."""
        self._directory = None
        with self._stack:
            if self._newborn is not None:
                self._stack.callback(self._newborn.close)
                self._newborn = None
            for lab in list(self._up.values()):
                self._stack.callback(self.down, lab)

    def _own(self) -> Path:
        if self._directory is None:
            entered = runs.own(runs.base_directory())
            self._directory, self.swept = self._stack.enter_context(entered)
        return self._directory

    def _file(self, source: Source, roots: Sequence[Path], directory: Path) -> Path:
        text = _text(source)
        if text is None:
            path = Path(str(source))
            return next((root / path for root in roots if (root / path).exists()), path)
        place = directory / "files"
        place.mkdir(exist_ok=True)
        file = place / f"{len(list(place.iterdir())) + 1}.yaml"
        file.write_text(text)
        return file


def _newborn() -> Newborn:
    return Newborn(str(uuid.uuid4()))


def _free(name: str) -> str:
    """The lab's own name, or that with a number where another one has it."""
    from netlab import inventory

    taken = inventory.names()
    numbered = (f"{name}-{number}" for number in itertools.count(2))
    return next(each for each in itertools.chain([name], numbered) if each not in taken)


def _text(source: Source) -> str | None:
    """The text of what is no file."""
    if isinstance(source, Topology):
        return source.text()
    if isinstance(source, Mapping):
        import yaml

        return yaml.safe_dump(dict(source), sort_keys=False)
    return source if isinstance(source, str) and "\n" in source else None
