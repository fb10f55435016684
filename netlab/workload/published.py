"""Files that somebody else reads while they change: he sees all of a change, or nothing of it.

config/3/nginx.conf   what was written last
config/current → 3    what is in force; renamed into place
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


class Published:
    """A directory of files in versions; `current` is where those in force are found."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.current = directory / "current"

    def files(self) -> dict[str, str]:
        """Those in force, by their names in `current`; none before the first `publish`."""
        if not self.current.is_dir():
            return {}
        found = (path for path in sorted(self.current.rglob("*")) if path.is_file())
        return {str(path.relative_to(self.current)): path.read_text() for path in found}

    def prepare(self, files: Mapping[str, str]) -> Path:
        """Write a version that is not yet in force; its directory."""
        self._directory(self.directory)
        numbers = [int(each.name) for each in self.directory.iterdir() if each.name.isdigit()]
        prepared = self.directory / str(max(numbers, default=0) + 1)
        self._directory(prepared)
        for name, text in files.items():
            path = prepared / name
            for parent in reversed(path.relative_to(prepared).parents[:-1]):
                self._directory(prepared / parent)
            path.write_text(text)
            path.chmod(0o644)
        return prepared

    def publish(self, prepared: Path) -> None:
        """Put a version into force; former ones go."""
        link = self.directory / "new"
        link.unlink(missing_ok=True)
        link.symlink_to(prepared.name)
        link.replace(self.current)
        for each in self.directory.iterdir():
            if each.name.isdigit() and each != prepared:
                self.discard(each)

    def discard(self, prepared: Path) -> None:
        """Forget a version that is not in force."""
        import shutil  # there is none before something changes

        shutil.rmtree(prepared, ignore_errors=True)

    def _directory(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(0o755)  # who reads is somebody else, and our umask may be any
