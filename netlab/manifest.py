"""YAML files to a lab, its objects and its checks; every complaint with its file and line.

    files → text → documents → objects (each by itself) → all together → Manifest

Nothing is half loaded: the mistakes of all files are collected and raised as one `InputError`.
"""

from __future__ import annotations

import stat
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

from netlab import given
from netlab.errors import InputError, Problem
from netlab.objects import meta
from netlab.objects.crosscheck import InputObject, Joined, cross_problems, nobody
from netlab.objects.intake import Intake, take_in
from netlab.objects.lab import Lab
from netlab.objects.meta import Object
from netlab.objects.problems import did_you_mean, render_path
from netlab.objects.yamltext import Document, Trouble, read

if TYPE_CHECKING:
    from netlab.objects.pathcheck import PathCheck

__all__ = ["Manifest", "load", "loads"]

SUFFIXES = (".yaml", ".yml", ".json")
STDIN = "-"
MAX_BYTES = 64 * 1024 * 1024


_FIRST = {"Namespace": 0, "ServiceAccount": 1, "PriorityClass": 2, "ServiceCIDR": 3}
"""The kinds that others cannot be made without, in their order."""


class Manifest(Struct):
    """What the files hold: at most one lab, objects as they are to be applied, checks.

    `left_out` has a line for each object of a kind that Kubernetes has and a lab has not,
    `translated` one for each of a version that is no more.
    Objects are sound (known fields, right types, no nulls) and valid, but not defaulted; their
    namespace may be missing. Namespaces come first, then ServiceAccounts and PriorityClasses, which
    pods cannot be made without, and the rest in the order of the files.
    """

    lab: Lab | None = None
    lab_entry: InputObject | None = None
    """Where the lab comes from, for what else may be wrong with it."""
    objects: list[Object] = field(default_factory=list)
    checks: list[PathCheck] = field(default_factory=list)
    sources: dict[tuple[str, str, str], tuple[str, int]] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    translated: list[str] = field(default_factory=list)

    def where(self, obj: Object) -> tuple[str, int]:
        """The file and line where an object begins; ("", 0) for one that is not from here."""
        return self.sources.get(_identity(obj), ("", 0))


def _identity(obj: Object) -> tuple[str, str, str]:
    return str(obj.get("kind")), meta.namespace(obj), meta.name(obj)


def load(paths: Sequence[Path | str], *, strict: bool = True, joined: Joined = nobody) -> Manifest:
    """Read manifests: files, directories (their *.yaml, *.yml, *.json), "-" for standard input.

    Raises `InputError` with every mistake of every file. `strict=False` drops unknown fields
    instead of complaining about them. `joined` gives the nodes that a lab of that name has
    besides those of its file, which pods and checks may name.
    """
    problems: list[Problem] = []
    entries: list[InputObject] = []
    for path in _files(paths, problems):
        text = _text(path, problems)
        if text is not None:
            entries += _entries(text, _shown(path), problems, strict)
    return _assemble(entries, problems, joined)


def loads(text: str, *, name: str = "<text>", strict: bool = True) -> Manifest:
    """Read one manifest from a string; `name` stands for the file in complaints."""
    problems: list[Problem] = []
    return _assemble(_entries(text, name, problems, strict), problems)


def _assemble(
    entries: list[InputObject], problems: list[Problem], joined: Joined = nobody
) -> Manifest:
    problems += [
        Problem(entry.file, entry.line(found.place), found.field, found.message, found.hint)
        for entry, found in cross_problems(entries, joined)
    ]
    if problems:
        raise InputError(_in_order(problems))
    return _manifest(entries)


def _in_order(problems: list[Problem]) -> list[Problem]:
    """File by file as they were given, line by line; nothing said twice."""
    order = {name: index for index, name in enumerate(dict.fromkeys(p.file for p in problems))}
    return sorted(dict.fromkeys(problems), key=lambda problem: (order[problem.file], problem.line))


def _manifest(entries: list[InputObject]) -> Manifest:
    manifest = Manifest()
    for entry in entries:
        taken = entry.intake
        if taken.unserved:
            place = f"{entry.file}:{entry.line(('kind',))}"
            what = f"netlab has no {taken.unserved}, a part of Kubernetes that is not here"
            manifest.left_out.append(f"{place}: {what}: left out")
            continue
        if taken.translated:
            place = f"{entry.file}:{entry.line(('apiVersion',))}"
            manifest.translated.append(f"{place}: {taken.translated}")
        if isinstance(taken.lab, Lab):
            manifest.lab, manifest.lab_entry = taken.lab, entry
        elif taken.check is not None:
            manifest.checks.append(taken.check)
        else:
            manifest.objects.append(taken.sound)
            manifest.sources[_identity(taken.sound)] = (entry.file, entry.line(()))
    manifest.objects.sort(key=lambda obj: _FIRST.get(obj["kind"], len(_FIRST)))
    return manifest


# Files


def _shown(path: Path | str) -> str:
    return "<stdin>" if path == STDIN else str(path)


def _files(paths: Iterable[Path | str], problems: list[Problem]) -> Iterator[Path | str]:
    """Every file once, directories opened up."""
    seen: set[Path | str] = set()
    for path in paths:
        for one in [path] if str(path) == STDIN else _expanded(Path(path), problems):
            identity = one if one == STDIN else Path(one).absolute()
            if identity not in seen:
                seen.add(identity)
                yield STDIN if str(one) == STDIN else one


def _expanded(path: Path, problems: list[Problem]) -> list[Path]:
    try:
        if not stat.S_ISDIR(path.stat().st_mode):
            return [path]
        found = sorted(one for one in path.iterdir() if one.suffix in SUFFIXES and one.is_file())
    except (OSError, ValueError) as error:
        problems.append(_unreadable(path, error))
        return []
    if not found:
        problems.append(
            Problem(str(path), 0, "", "the directory holds no *.yaml, *.yml or *.json file")
        )
    return found


def _unreadable(path: Path, error: OSError | ValueError) -> Problem:
    if isinstance(error, FileNotFoundError):
        return Problem(str(path), 0, "", "there is no such file", _similar_file(path))
    words = getattr(error, "strerror", None) or str(error)
    return Problem(str(path), 0, "", f"cannot be read: {words}")


def _similar_file(path: Path) -> str | None:
    try:
        beside = [one.name for one in path.parent.iterdir() if one.suffix in SUFFIXES]
    except OSError:
        return f"there is no directory {path.parent} either"
    by_stem = {Path(name).stem: name for name in reversed(beside)}  # .yaml is all files' name
    meant = did_you_mean(path.stem, by_stem)
    return f"did you mean {path.parent / by_stem[meant]}?" if meant else None


def _text(path: Path | str, problems: list[Problem]) -> str | None:
    """A file's text, or None with a problem when it has none."""
    try:
        data = _bytes(path)
    except (OSError, ValueError) as error:
        problems.append(_unreadable(Path(path), error))
        return None
    problem = _junk(data)
    if problem is not None:
        problems.append(Problem(_shown(path), *problem))
        return None
    return data.decode("utf-8-sig")


def _bytes(path: Path | str) -> bytes:
    if path == STDIN:
        return sys.stdin.buffer.read(MAX_BYTES + 1)
    with given.opened(path) as stream:
        return stream.read(MAX_BYTES + 1)


# Characters that no text holds: all below the space but tab, line feed, carriage return; delete.
_CONTROLS = bytes({*range(32), 127} - {9, 10, 13})


def _junk(data: bytes) -> tuple[int, str, str, str | None] | None:
    """(line, field, message, hint) for what is no text at all; None for text."""
    if len(data) > MAX_BYTES:
        return 0, "", f"is larger than {MAX_BYTES >> 20} MiB: that is no manifest", None
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return 0, "", "is UTF-16 text", "save it as UTF-8"
    if data.translate(None, _CONTROLS) != data:
        at = next(index for index, byte in enumerate(data) if byte in _CONTROLS)
        line = data.count(b"\n", 0, at) + 1
        return (
            line,
            "",
            f"is not text: byte 0x{data[at]:02x} stands here",
            "is this the right file?",
        )
    try:
        data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return (
            line,
            "",
            f"is not UTF-8: byte 0x{data[error.start]:02x} stands here",
            ("save the file as UTF-8"),
        )
    return None


# Documents


def _entries(text: str, file: str, problems: list[Problem], strict: bool) -> list[InputObject]:
    documents, troubles = read(text)
    problems += [_told(file, trouble) for trouble in troubles]
    entries: list[InputObject] = []
    empty = not troubles
    for document in documents:
        problems += [_told(file, trouble) for trouble in document.troubles]
        empty = empty and not document.troubles
        for start, value in _objects(document):
            empty = False
            entry = InputObject(
                file, document, start, take_in(value, document, start, strict=strict)
            )
            problems += _complaints(entry)
            entries.append(entry)
    if empty:
        problems.append(Problem(file, 0, "", "is empty: it holds no object"))
    return entries


def _told(file: str, trouble: Trouble) -> Problem:
    return Problem(file, trouble.line, render_path(trouble.path), trouble.message, trouble.hint)


def _objects(document: Document) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """The objects of a document, those of a `kind: List` one by one; where each begins."""
    value = document.value
    if value is None:
        return
    items = value.get("items") if isinstance(value, dict) else None
    if isinstance(items, list) and str(value.get("kind", "")).endswith("List"):
        yield from ((("items", index), item) for index, item in enumerate(items))
    else:
        yield (), value


def _complaints(entry: InputObject) -> list[Problem]:
    taken: Intake = entry.intake
    return [
        Problem(entry.file, entry.line(found.place), found.field, found.message, found.hint)
        for found in taken.problems
    ]
