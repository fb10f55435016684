"""YAML (and JSON) text to plain values, every one with the line it stands in.

Built on the parser's events rather than on its loader: no object is ever constructed from a tag,
nesting is bounded before anything recurses, aliases cannot explode, and a broken document does
not hide the mistakes of the next one. Scalars follow YAML 1.1 as Kubernetes reads it (`yes` is a
boolean), without its sexagesimal numbers and dates.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from math import isinf
from typing import Any

import yaml
from msgspec import Struct, field

from netlab.objects.problems import Path

MAX_DEPTH = 100
MAX_VALUES = 500_000

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C parser is ten times faster

_BOOLEANS = {
    word: value
    for words, value in (("yes true on", True), ("no false off", False))
    for lower in words.split()
    for word in (lower, lower.capitalize(), lower.upper())
}
_NULLS = ("", "~", "null", "Null", "NULL")
_INTEGER = re.compile(r"[-+]?(?:0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|0|[1-9][0-9_]*)")
_FLOAT = re.compile(
    r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+]?[0-9]+)?"
    r"|[0-9][0-9_]*[eE][-+]?[0-9]+)"
)
_STRING_TAGS = ("tag:yaml.org,2002:str", "!")
_PLAIN_TAGS = (*_STRING_TAGS, *(f"tag:yaml.org,2002:{t}" for t in ("int", "bool", "float", "null")))
_COLLECTION_TAGS = ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq", "!")
# Python's own limit on digits, below which int() cannot fail.
_MAX_DIGITS = 1000


class YamlNode:
    """One value as it stands in the text: `value` is a str, a list of nodes, or pairs of nodes."""

    __slots__ = ("kind", "line", "plain", "tag", "value")

    def __init__(self, kind: str, value: Any, line: int, plain: bool, tag: str | None) -> None:
        self.kind, self.value, self.line, self.plain, self.tag = kind, value, line, plain, tag


class Trouble(Struct, frozen=True):
    """A mistake in the text itself: the line (from 1), the field if known, words, a hint."""

    line: int
    message: str
    hint: str | None = None
    path: Path = ()


class Document(Struct):
    """One YAML document: its value, and where everything in it stands."""

    root: YamlNode
    value: Any = None
    troubles: list[Trouble] = field(default_factory=list)

    def line(self, path: Path) -> int:
        """The line of a field; of the deepest part of the path that exists, if it does not."""
        return self._find(path)[1]

    def scalar(self, path: Path) -> YamlNode | None:
        """The scalar at exactly this path, to see how it was written."""
        node, _, missing = self._find(path)
        return node if not missing and node.kind == "scalar" else None

    def _find(self, path: Path) -> tuple[YamlNode, int, bool]:
        node, line = self.root, self.root.line
        for part in path:
            step = _step(node, part)
            if step is None:
                return node, line, True
            node, line = step
        return node, line, False


def _step(node: YamlNode, part: str | int) -> tuple[YamlNode, int] | None:
    if node.kind == "mapping":
        for key, value in node.value:
            if key.kind == "scalar" and key.value == part:
                return value, key.line
    elif node.kind == "sequence" and isinstance(part, int) and part < len(node.value):
        element = node.value[part]
        return element, element.line
    return None


def read(text: str) -> tuple[list[Document], list[Trouble]]:
    """All documents of a text; those that cannot be parsed are told of as troubles."""
    documents: list[Document] = []
    troubles: list[Trouble] = []
    for first_line, chunk in _chunks(text):
        try:
            roots = list(_Composer(chunk, first_line).documents())
        except yaml.YAMLError as error:
            troubles.append(_syntax_trouble(error, chunk, first_line))
            continue
        except _Refused as refused:
            troubles.append(refused.trouble)
            continue
        for root in roots:
            documents.append(_construct(root))
    return documents, troubles


_SEPARATOR = re.compile(r"^---(?=\s|$)", re.M)
_SURROGATES = re.compile(
    r"\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})"  # re.I costs 17 ms a start
)


def _chunks(text: str) -> Iterator[tuple[int, str]]:
    """The text cut before each `---`, with the number of the line each piece begins with.

    A text with directives (`%YAML`) stays whole, since they belong to what follows.
    """
    starts = [match.start() for match in _SEPARATOR.finditer(text)]
    if re.search(r"^%", text, re.M):
        starts = []
    edges = [0, *(start for start in starts if start), len(text)]
    line = 1
    for start, end in pairwise(edges):
        chunk = text[start:end]
        if chunk.lstrip().startswith(("{", "[")):  # JSON writes characters beyond 16 bits in pairs
            yield line, _SURROGATES.sub(_joined, chunk)
        else:
            yield line, chunk
        line += chunk.count("\n")


def _joined(pair: re.Match[str]) -> str:
    high, low = int(pair[1], 16), int(pair[2], 16)
    return f"\\U{0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00):08x}"


class _Refused(Exception):
    """The text is YAML, but of a kind that no manifest needs."""

    def __init__(self, trouble: Trouble) -> None:
        self.trouble = trouble


_ENDS = (yaml.MappingEndEvent, yaml.SequenceEndEvent)


class _Composer:
    """Events to node trees, without recursion. Aliases become the node they stand for.

    There are tens of thousands of events in a long text: what one is its class itself tells, as
    both parsers make no others.
    """

    def __init__(self, chunk: str, first_line: int) -> None:
        self._chunk = chunk
        self._first_line = first_line
        self._anchors: dict[str, YamlNode] = {}
        self._open: list[YamlNode] = []

    def documents(self) -> Iterator[YamlNode]:
        parser = _LOADER(self._chunk)
        try:
            while (event := parser.get_event()) is not None:
                if (root := self._take(event, type(event))) is not None:
                    yield root
        finally:
            parser.dispose()

    def _take(self, event: Any, kind: type) -> YamlNode | None:
        """One event; the node that ends with it, if that is a whole document."""
        if kind is yaml.ScalarEvent:
            line = self._first_line + event.start_mark.line
            node = YamlNode("scalar", event.value, line, bool(event.implicit[0]), event.tag)
            return self._hung(event, node)
        if kind in _ENDS:
            node = self._open.pop()
            if node.kind == "mapping":
                node.value = list(zip(node.value[::2], node.value[1::2], strict=True))
            return None if self._open else node
        if kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
            self._begin(event, "mapping" if kind is yaml.MappingStartEvent else "sequence")
        elif kind is yaml.AliasEvent:
            return self._alias(str(event.anchor), self._first_line + event.start_mark.line)
        elif kind is yaml.DocumentStartEvent:
            self._anchors = {}
        return None

    def _hung(self, event: Any, node: YamlNode) -> YamlNode | None:
        """Hang a new node into the open collection; it comes back if there is none."""
        if event.anchor:
            self._anchors[event.anchor] = node
        if not self._open:
            return node
        self._open[-1].value.append(node)
        return None

    def _begin(self, event: Any, kind: str) -> None:
        line = self._first_line + event.start_mark.line
        node = YamlNode(kind, [], line, False, event.tag)
        self._hung(event, node)
        self._open.append(node)
        if len(self._open) > MAX_DEPTH:
            raise _Refused(Trouble(line, f"is nested more than {MAX_DEPTH} levels deep"))

    def _alias(self, name: str, line: int) -> YamlNode | None:
        node = self._anchors.get(name)
        if node is None:
            hint = "quote a value that begins with *"
            raise _Refused(Trouble(line, f"*{name} refers to an anchor that is not there", hint))
        if any(node is one for one in self._open):
            raise _Refused(Trouble(line, f"*{name} refers to what it is itself a part of"))
        if not self._open:
            return node
        self._open[-1].value.append(node)
        return None


def _syntax_trouble(error: yaml.YAMLError, chunk: str, first_line: int) -> Trouble:
    words = getattr(error, "problem", None) or str(error)
    marks = [getattr(error, "problem_mark", None), getattr(error, "context_mark", None)]
    if "end of stream" in words:  # what never ended is told of where it began
        marks.reverse()
    mark = marks[0] or marks[1]
    lines = chunk.split("\n")
    at = min(mark.line, len(lines) - 1) if mark else 0
    for index in range(at, max(at - 2, -1), -1):
        if re.match(r" *\t", lines[index]):
            return Trouble(
                first_line + index,
                "a tab stands where YAML wants spaces",
                "indent with spaces, two for each level",
            )
    context = getattr(error, "context", None)
    message = f"is not YAML: {context + ': ' if context else ''}{words}"
    return Trouble(first_line + at, message, _syntax_hint(words, lines[at]))


def _syntax_hint(words: str, line: str) -> str:
    if "mapping values are not allowed" in words:
        return "mind the indentation of this line, and quote a value that holds a colon"
    if "cannot start any token" in words:
        return "quote a value that begins with one of @ ` % & *"
    if "{{" in line:
        return "this looks like a template: render it first"
    return "mind the indentation of this line and of the one above, and that quotes end"


# Nodes to values


def _construct(root: YamlNode) -> Document:
    document = Document(root)
    builder = _Builder(document.troubles)
    try:
        document.value = builder.value(root, ())
    except _Refused as refused:
        document.troubles.append(refused.trouble)
    return document


# Fields where a leading zero is a slip, not an octal number (as in `defaultMode: 0644`).
_PORT_FIELDS = ("port", "targetPort", "nodePort", "containerPort", "hostPort")


class _Builder:
    """Values of nodes, complaining about what a manifest cannot hold."""

    def __init__(self, troubles: list[Trouble]) -> None:
        self._troubles = troubles
        self._count = 0

    def value(self, node: YamlNode, path: Path) -> Any:
        self._count += 1
        if self._count > MAX_VALUES:
            raise _Refused(Trouble(node.line, f"holds more than {MAX_VALUES} values"))
        if len(path) > MAX_DEPTH:  # aliases within aliases
            raise _Refused(Trouble(node.line, f"is nested more than {MAX_DEPTH} levels deep"))
        if node.kind == "scalar":
            return self._scalar(node, path)
        if node.tag is not None and node.tag not in _COLLECTION_TAGS:
            self._complain(node, path, f"the tag {node.tag} means nothing in a manifest")
        if node.kind == "sequence":
            return [self.value(one, (*path, index)) for index, one in enumerate(node.value)]
        return self._mapping(node, path)

    def _complain(self, node: YamlNode, path: Path, message: str, hint: str | None = None) -> None:
        self._troubles.append(Trouble(node.line, message, hint, path))

    def _mapping(self, node: YamlNode, path: Path) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        lines: dict[str, int] = {}
        merged: list[YamlNode] = []
        for key, value in node.value:
            if key.kind != "scalar":
                self._complain(key, path, "a field's name must be plain text", _key_hint(key))
            elif key.value == "<<" and key.plain:
                merged.append(value)
            elif key.value in lines:
                message = f'"{key.value}" stands here twice, first in line {lines[key.value]}'
                self._complain(key, (*path, key.value), message, "keep one of the two")
            else:
                lines[key.value] = key.line
                mapping[key.value] = self.value(value, (*path, key.value))
        for other in merged:
            self._merge(mapping, other, path)
        return mapping

    def _merge(self, mapping: dict[str, Any], other: YamlNode, path: Path) -> None:
        """`<<: *base`: what the mapping itself does not say."""
        sources = other.value if other.kind == "sequence" else [other]
        for source in sources:
            if source.kind != "mapping":
                self._complain(source, path, "<< takes a mapping, or a list of them")
                continue
            for name, value in self._mapping(source, path).items():
                mapping.setdefault(name, value)

    def _scalar(self, node: YamlNode, path: Path) -> Any:
        tag = node.tag
        if tag is not None and tag not in _PLAIN_TAGS:
            self._complain(node, path, f"the tag {tag} means nothing in a manifest")
        if tag in _STRING_TAGS or (tag is None and not node.plain):
            return node.value
        value = resolve(node.value)
        if isinstance(value, int) and path[-1:] and path[-1] in _PORT_FIELDS:
            self._octal_port(node, value, path)
        return value

    def _octal_port(self, node: YamlNode, value: int, path: Path) -> None:
        digits = node.value.lstrip("0")
        if node.value.startswith("0") and digits.isdigit():
            self._complain(
                node,
                path,
                f"YAML reads {node.value} as octal, that is {value}",
                f"write {digits} (or {value}, if that is meant)",
            )


def _key_hint(key: YamlNode) -> str | None:
    if key.kind == "mapping":
        return "if this is a template ({{ … }}), render it first; if it is text, quote it"
    return None


def resolve(text: str) -> Any:
    """A plain scalar's value by YAML 1.1: null, boolean, whole number, number, or the text."""
    if text in _NULLS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if len(text) > _MAX_DIGITS or text[0] not in "+-.0123456789":
        return text
    if _INTEGER.fullmatch(text):
        return _integer(text.replace("_", "").lower())
    if _FLOAT.fullmatch(text):
        number = float(text.replace("_", ""))
        return text if isinf(number) else number
    return text


def _integer(text: str) -> int:
    sign = -1 if text.startswith("-") else 1
    digits = text.lstrip("+-")
    for prefix, base in (("0b", 2), ("0x", 16), ("0o", 8), ("0", 8)):
        if digits.startswith(prefix) and digits != "0":
            return sign * int(digits[len(prefix) :] or "0", base)
    return sign * int(digits)
