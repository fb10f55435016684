"""Finding all of an object's structural mistakes at once, by mending each and looking on.

A misspelt `netadata:` is reported, and what it holds is checked as if it were spelt well; a field
of the wrong type is reported and left out. What remains is sound: later checks may rely on it.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from msgspec import Struct, field

from netlab.objects import schema
from netlab.objects.meta import Object
from netlab.objects.problems import FieldProblem, Path
from netlab.objects.schema import Schema


class Examination(Struct):
    """What `examine` found. Problems' paths are those of the sound copy."""

    sound: Object
    problems: list[FieldProblem] = field(default_factory=list)
    origins: dict[Path, Path] = field(default_factory=dict)
    lost: list[Path] = field(default_factory=list)

    def origin(self, path: Path) -> Path:
        """Where the original has the field that the sound copy has at `path`."""
        for length in range(len(path), 0, -1):
            start = self.origins.get(path[:length])
            if start is not None:
                return start + path[length:]
        return path

    def concerns_lost(self, path: Path) -> bool:
        """Whether a field was left out as malformed, and so is only seemingly missing."""
        return any(path[: len(one)] == one or one[: len(path)] == path for one in self.lost)

    def mend(self, problem: FieldProblem) -> None:
        """Put right or leave out, in the copy, what the problem is about."""
        path, meant = problem.path, problem.meant
        if path and not isinstance(_parent(self.sound, path), dict | list):
            return  # mending another problem has already left out what it stood in
        if isinstance(meant, tuple) and self._move(path, meant):
            return
        if isinstance(meant, str):
            _parent(self.sound, path)[path[-1]] = meant
            return
        self._leave_out(path)

    def _move(self, path: Path, target: Path) -> bool:
        parent = _parent(self.sound, path)
        home, name = _home(self.sound, target[:-1]), str(target[-1])
        if home is None or home.get(name) is not None:
            return False
        origin = self.origin(path)
        home[name] = parent.pop(path[-1])
        self.origins[target] = origin
        return True

    def _leave_out(self, path: Path) -> None:
        """A list element goes with its whole list, so that the other indexes stay true."""
        while path and isinstance(path[-1], int):
            path = path[:-1]
        if path:
            self.lost.append(path)
            parent = _parent(self.sound, path)
            if isinstance(parent, dict):
                parent.pop(path[-1], None)


def examine(obj: Object, structure: Schema | None = None) -> Examination:
    """Every structural mistake of an object (see `schema.check`), and its sound copy."""
    structure = structure or schema.of(str(obj.get("apiVersion")), str(obj.get("kind")))
    if not schema.check(obj, structure):
        return Examination(schema.strip_nulls(obj))
    found = Examination(deepcopy(obj))
    while broken := [one for one in schema.check(found.sound, structure) if _is_broken(one)]:
        found.problems += broken
        for problem in broken:
            found.mend(problem)
    missing = schema.check(found.sound, structure)
    found.problems += [one for one in missing if not found.concerns_lost(one.path)]
    found.sound = schema.strip_nulls(found.sound)
    return found


def _is_broken(problem: FieldProblem) -> bool:
    return problem.reason != "FieldValueRequired"


def _parent(value: Any, path: Path) -> Any:
    for part in path[:-1]:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def _home(obj: Object, path: Path) -> dict[str, Any] | None:
    """The mapping at `path`, made where nothing stands; None where something else does."""
    here: Any = obj
    for part in path:
        if isinstance(here, list) and isinstance(part, int) and part < len(here):
            here = here[part]
            continue
        if not isinstance(here, dict):
            return None
        if here.get(part) is None:
            here[part] = {}
        here = here[part]
    return here if isinstance(here, dict) else None
