"""Objects of a real cluster, as `kubectl get … -o yaml` or `-o json` prints them. Pure.

Unlike a lab's own files these are taken as they are: whatever kinds, whatever is wrong in them.
Who uses them says what could not be used; `Dump.problem` finds the line for that.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from netlab.errors import InputError, Problem
from netlab.objects import meta
from netlab.objects.meta import Object
from netlab.objects.problems import Path
from netlab.objects.yamltext import Document, read


@dataclass
class Dump:
    """The objects of some texts, by kind, and where each one stands."""

    by_kind: dict[str, list[Object]] = field(default_factory=dict)
    _places: dict[tuple[str, str], tuple[str, Document | None, Path]] = field(default_factory=dict)

    def of(self, kind: str) -> list[Object]:
        """All objects of a kind, in the order of the texts."""
        return self.by_kind.get(kind, [])

    def problem(self, kind: str, key: str, field_name: str, message: str) -> Problem:
        """What is wrong with a field of an object, with its file and line (0: JSON has none)."""
        file, document, path = self._places.get((kind, key), ("", None, ()))
        line = document.line((*path, *split_field(field_name))) if document is not None else 0
        return Problem(file, line, f"{kind} {key}: {field_name}", message)

    def _add(self, obj: Object, file: str, document: Document | None, path: Path) -> None:
        self.by_kind.setdefault(str(obj["kind"]), []).append(obj)
        self._places[str(obj["kind"]), meta.key(obj)] = (file, document, path)


def read_dump(texts: Iterable[tuple[str, str]]) -> Dump:
    """The objects in `(file, text)` pairs; `InputError` for text that is none, naming the lines."""
    dump = Dump()
    problems: list[Problem] = []
    for file, text in texts:
        for value, document in _documents(file, text, problems):
            for obj, path in _objects(value, ()):
                if problem := _shapeless(obj, file, document, path):
                    problems.append(problem)
                else:
                    dump._add(obj, file, document, path)
    if problems:
        raise InputError(problems)
    return dump


def split_field(name: str) -> Path:
    """`spec.ports[0].nodePort` → ("spec", "ports", 0, "nodePort")."""
    parts = re.findall(r"[^.\[\]]+|\[\d+\]", name)
    return tuple(int(part[1:-1]) if part.startswith("[") else part for part in parts)


def _documents(
    file: str, text: str, problems: list[Problem]
) -> Iterator[tuple[object, Document | None]]:
    if text.lstrip().startswith("{"):  # JSON: much quicker read without positions
        try:
            yield json.loads(text), None
        except ValueError as error:
            line = getattr(error, "lineno", 0)
            problems.append(Problem(file, line, "", f"is no JSON: {error}"))
        return
    documents, troubles = read(text)
    for document in documents:
        troubles = [*troubles, *document.troubles]
        yield document.value, document
    problems += [Problem(file, t.line, "", t.message, t.hint) for t in troubles]


def _objects(value: object, path: Path) -> Iterator[tuple[Object, Path]]:
    """The value itself, or the items of a List."""
    if isinstance(value, dict) and isinstance(value.get("items"), list):
        for index, item in enumerate(value["items"]):
            yield from _objects(item, (*path, "items", index))
    elif value is not None:
        yield value if isinstance(value, dict) else {}, path


def _shapeless(obj: Object, file: str, document: Document | None, path: Path) -> Problem | None:
    line = document.line(path) if document is not None else 0
    metadata = obj.get("metadata")
    named = isinstance(metadata, dict) and isinstance(metadata.get("name"), str)
    if isinstance(obj.get("kind"), str) and named:
        return None
    return Problem(
        file, line, "", "is no Kubernetes object: it lacks kind or metadata.name",
        "expected: kubectl get node,svc,endpointslices -A -o yaml",
    )  # fmt: skip
