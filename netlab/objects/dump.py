"""Objects of a real cluster, as `kubectl get … -o yaml` or `-o json` prints them. Pure.

Unlike a lab's own files these are taken as they are: whatever kinds, whatever is wrong in them.
What has not even the shape of its kind is left out, and `left_out` says so; what else cannot be
used its user finds, and `Dump.problem` has the line for that.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

from netlab.errors import InputError, Problem
from netlab.objects import kinds, meta, names, schema, sloppy
from netlab.objects.addresses import is_address
from netlab.objects.kinds.cluster import NODE
from netlab.objects.kinds.networking import ENDPOINT_SLICE, SERVICE
from netlab.objects.meta import Object
from netlab.objects.problems import Path

if TYPE_CHECKING:
    from netlab.objects.yamltext import Document

KINDS = (NODE.kind, SERVICE.kind, ENDPOINT_SLICE.kind)
"""The kinds that decide about rules; all others are passed over."""


class _Text(Struct):
    """One file's text; JSON is parsed with its positions only when somebody asks for a line."""

    file: str
    text: str
    document: Document | None = None

    def line(self, path: Path) -> int:
        """The line of a field, 0 if it cannot be told."""
        if self.document is None:
            from netlab.objects.yamltext import read  # JSON without mistakes needs no YAML

            documents, _ = read(self.text)
            if len(documents) != 1:
                return 0
            self.document = documents[0]
        return self.document.line(path)


class Dump(Struct):
    """The objects of some texts, by kind and key, and where each one stands."""

    left_out: list[Problem] = field(default_factory=list)
    _objects: dict[str, dict[str, Object]] = field(default_factory=dict)
    _places: dict[tuple[str, str], tuple[_Text, Path]] = field(default_factory=dict)

    def of(self, kind: str) -> list[Any]:
        """All objects of a kind, in the order of the texts; who asks knows their type."""
        return list(map(sloppy.standardized, self._objects.get(kind, {}).values()))

    def problem(self, kind: str, key: str, field_name: str, message: str) -> Problem:
        """What is wrong with a field of an object, with its file and line."""
        text, path = self._places[kind, key]
        line = text.line((*path, *split_field(field_name)))
        return Problem(text.file, line, f"{kind} {key}: {field_name}", message)

    def place(self, kind: str, key: str, field_name: str = "") -> tuple[str, int]:
        """The file and the line of an object, or of a field; ("", 0) of one that is not here."""
        if (kind, key) not in self._places:
            return "", 0
        text, path = self._places[kind, key]
        return text.file, text.line((*path, *split_field(field_name)))

    def add(self, obj: Object, text: _Text, path: Path) -> None:
        """Take in an object that stands at `path` of a document."""
        kind = str(obj["kind"])
        if kinds.BY_KIND[kind].namespaced:
            obj["metadata"].setdefault("namespace", "default")
        key = meta.key(obj)
        if before := self._places.get((kind, key)):
            file, line = before[0].file, before[0].line(before[1])
            self.left_out.append(Problem(file, line, f"{kind} {key}", "is given again further on"))
        self._places[kind, key] = (text, path)
        wrong = _mistyped(obj)
        if wrong:
            self.left_out += [self.problem(kind, key, *one) for one in wrong]
            self._objects.get(kind, {}).pop(key, None)
            return
        odd = list(_without_address(obj))
        self.left_out += [self.problem(kind, key, *one) for one in odd]
        self._objects.setdefault(kind, {})[key] = obj


_ADDRESSES = {
    "Node": ("addresses", "address", ("InternalIP", "ExternalIP")),
    "Pod": ("podIPs", "ip", (None,)),
}
"""Lists of a status, which field of an entry is an address, and in entries of which types."""


def _without_address(obj: Object) -> Iterator[tuple[str, str]]:
    """Take away entries that lack their address, or have none there; what to say of each."""
    listed, name, types = _ADDRESSES.get(str(obj["kind"]), ("", "", ()))
    entries = meta.status(obj).get(listed)
    if not entries:
        return
    sound = []
    for at, entry in enumerate(entries):
        address = entry.get(name) or ""
        if address and (entry.get("type") not in types or is_address(address)):
            sound.append(entry)
        else:
            said = f"{address[:60]!r} is no address" if address else "is missing"
            yield f"status.{listed}[{at}].{name}", said
    obj["status"][listed] = sound


def _mistyped(obj: Object) -> list[tuple[str, str]]:
    """Fields that hold another type of value than the API has there, and what to say."""
    kind = kinds.BY_KIND[str(obj["kind"])]
    problems = schema.check(obj, schema.of(kind.api_version, kind.kind))
    return [(p.field, p.message) for p in problems if p.reason == "FieldValueTypeInvalid"]


def read_dump(texts: Iterable[tuple[str, str]], wanted: Collection[str] = KINDS) -> Dump:
    """The objects of those kinds in `(file, text)` pairs; `InputError` for text that is none,
    naming the lines."""
    dump = Dump()
    problems: list[Problem] = []
    for file, content in texts:
        before = len(problems)
        found = False
        for value, text in _documents(file, content, problems):
            for obj, path in _objects(value, ()):
                found = True
                if problem := _shapeless(obj, text, path):
                    problems.append(problem)
                elif obj["kind"] in wanted:
                    dump.add(obj, text, path)
            found = found or _is_list(value)
        if not found and len(problems) == before:
            problems.append(Problem(file, 0, "", "holds no objects", _EXPECTED))
    if problems:
        raise InputError(problems)
    return dump


_EXPECTED = "expected: kubectl get node,svc,endpointslices -A -o yaml"


def split_field(name: str) -> Path:
    """`spec.ports[0].nodePort` → ("spec", "ports", 0, "nodePort")."""
    parts = re.findall(r"[^.\[\]]+|\[\d+\]", name)
    return tuple(int(part[1:-1]) if part.startswith("[") else part for part in parts)


def _documents(file: str, content: str, problems: list[Problem]) -> Iterator[tuple[object, _Text]]:
    if content.lstrip().startswith("{"):  # JSON: much quicker read without positions
        try:
            yield json.loads(content), _Text(file, content)
        except (ValueError, RecursionError) as error:
            line = getattr(error, "lineno", 0)
            problems.append(Problem(file, line, "", f"is no JSON: {error}"))
        return
    from netlab.objects.yamltext import read

    documents, troubles = read(content)
    for document in documents:
        troubles = [*troubles, *document.troubles]
        yield document.value, _Text(file, "", document)
    problems += [Problem(file, t.line, "", t.message, t.hint or _hint(t.message)) for t in troubles]


def _hint(message: str) -> str | None:
    return "as -o json it has no such limit" if message.startswith("holds more than") else None


def _is_list(value: object) -> bool:
    return isinstance(value, dict) and isinstance(value.get("items"), list)


def _objects(value: object, path: Path) -> Iterator[tuple[Object, Path]]:
    """The value itself, or the items of a List."""
    if isinstance(value, dict) and isinstance(value.get("items"), list):
        for index, item in enumerate(value["items"]):
            yield from _objects(item, (*path, "items", index))
    elif value is not None:
        yield value if isinstance(value, dict) else {}, path


def _shapeless(obj: Object, text: _Text, path: Path) -> Problem | None:
    metadata = obj.get("metadata")
    if isinstance(obj.get("kind"), str) and isinstance(metadata, dict) and _is_named(metadata):
        return None
    message = "is no Kubernetes object: it lacks kind or a proper metadata.name"
    return Problem(text.file, text.line(path), "", message, _EXPECTED)


def _is_named(metadata: Object) -> bool:
    name, space = metadata.get("name"), metadata.get("namespace", "default")
    return all(isinstance(one, str) and names.is_dns_subdomain(one) for one in (name, space))
