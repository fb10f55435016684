"""kubectl's JSONPath templates: `{range .items[*]}{.metadata.name}{"\\n"}{end}`. Pure.

What stands outside of braces is text. Inside stand, one after the other, the steps of one path:
`.name`, `..name`, `['name']`, `[0]`, `[-1]`, `[0:2]`, `[*]`, `.*`, `[?(@.a=="b")]`, unions such as
`['a','b']`, quoted text; and `range PATH` and `end`. Read as client-go's util/jsonpath/parser.go
does; a property test holds both against each other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Struct

from netlab.errors import NetlabError, UsageError
from netlab.view import gotext, jsonsteps
from netlab.view.jsonsteps import Failed, Step, follow

_ENDS = r" \t\r\n.,\[\]$@{}"
_FIELD = re.compile(rf"(?:\\.|[^\\{_ENDS}])*", re.DOTALL)
_IDENTIFIER = re.compile(rf"[^{_ENDS}]+")
_NUMBER = re.compile(r"[+-]?[\d.]*")
_SLICE = re.compile(r"(-?\d*)(:-?\d*)?(:-?\d*)?")
_KEY = re.compile(r"'([^']*)'")
_FILTER = re.compile(r"([^!<>=]+)([!<>=]+)(.+)")
_ESCAPE = re.compile(
    r"\\(?:([abfnrtv\\'\"])|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|(.?))"
)
_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


class TemplateNode(Struct, frozen=True):
    """A piece of a template: text, a path, or (with `body`) a loop over what a path finds."""

    text: str = ""
    path: tuple[Step, ...] | None = None
    body: tuple[TemplateNode, ...] | None = None


class _Action(Struct, frozen=True):
    """What stands in a pair of braces: a path, and whether a range begins or ends there."""

    path: tuple[Step, ...] = ()
    word: str = ""


class _Broken(Exception):
    """Why a template makes no sense."""


def render(template: str, value: object) -> str:
    """The template filled in.

    `UsageError` for one that makes no sense, `NetlabError` for one that does not fit the value.
    """
    nodes = parse(template)
    try:
        return "".join(_rendered(nodes, value))
    except Failed as failure:
        raise NetlabError(f'error executing jsonpath "{template}": {failure}') from None


def find(path: str, value: object) -> list[Any]:
    """What `path` (with or without braces and leading dot) finds in `value`, if it fits at all."""
    bare = path.strip().removeprefix("{").removesuffix("}").strip()
    if not bare.startswith((".", "[", "$", "@")):
        bare = f".{bare}"
    try:
        return follow(_read(f"{bare}}}", path).path, [value])
    except Failed:
        return []


def text(value: object) -> str:
    """A value as it is printed: text as it is, all else as JSON."""
    match value:
        case dict() | list():
            return gotext.as_json(value)
        case None:
            return "null"
    return gotext.text(value)


def _rendered(nodes: Sequence[TemplateNode], value: object) -> Iterator[str]:
    for node in nodes:
        if node.path is None:
            yield node.text
        elif node.body is None:
            yield " ".join(text(found) for found in follow(node.path, [value]))
        else:
            for found in follow(node.path, [value]):
                yield from _rendered(node.body, found)


# -- templates -----------------------------------------------------------------------------


def parse(template: str) -> tuple[TemplateNode, ...]:
    """A template taken apart."""
    pieces: list[str | _Action] = []
    rest = template
    while rest:
        plain, brace, rest = rest.partition("{")
        pieces.append(plain)
        if brace:
            reader = _Reader(rest)
            pieces.append(_read(reader, template))
            rest = reader.rest
    return _nested(iter(pieces))


def _nested(pieces: Iterator[str | _Action], *, inside: bool = False) -> tuple[TemplateNode, ...]:
    """The nodes up to an `end`, loops with their bodies."""
    nodes: list[TemplateNode] = []
    for piece in pieces:
        if isinstance(piece, str):
            nodes.append(TemplateNode(piece))
        elif piece.word == "range":
            nodes.append(TemplateNode(path=piece.path, body=_nested(pieces, inside=True)))
        elif piece.word == "end" and inside:
            return tuple(nodes)
        elif piece.word == "end":
            nodes.append(TemplateNode(path=(_nothing_to_end,)))
        else:
            nodes.append(TemplateNode(path=piece.path))
    return tuple(nodes)


def _nothing_to_end(_values: list[Any]) -> list[Any]:
    raise Failed("not in range, nothing to end")


def _read(source: str | _Reader, template: str) -> _Action:
    """The action up to the next closing brace; `UsageError` naming the whole template."""
    reader = _Reader(source) if isinstance(source, str) else source
    try:
        return reader.action()
    except _Broken as broken:
        raise UsageError(
            f"error parsing jsonpath {template}, {broken}",
            hint="such as -o jsonpath='{.items[*].metadata.name}', in quotes for the shell",
        ) from None


# -- actions -------------------------------------------------------------------------------


class _Reader:
    """Reads what follows an opening brace; `rest` is what stands behind the closing one."""

    def __init__(self, rest: str) -> None:
        self.rest = rest

    def action(self) -> _Action:
        """The steps up to the closing brace."""
        steps: list[Step] = []
        word = ""
        while not self._skip("}"):
            if identifier := self._identifier():
                if identifier in ("range", "end"):
                    word = identifier
                else:
                    steps.append(_meant_by(identifier))
            else:
                steps += self._steps(after_recursive=steps[-1:] == [jsonsteps.recursive])
        return _Action(tuple(steps), word)

    def _steps(self, *, after_recursive: bool) -> Sequence[Step]:
        if not self.rest or self.rest[0] in "\r\n":
            raise _Broken("unclosed action")
        if self._skip("[?("):
            return [self._filter()]
        if self._skip(".."):
            if after_recursive:
                raise _Broken("invalid multiple recursive descent")
            return [jsonsteps.recursive, *([self._field()] if _is_word(self.rest[:1]) else [])]
        if self._skip(" ") or self._skip("@") or self._skip("$"):
            return []
        if self._skip("["):
            return _array(self._up_to("]", "unterminated array"))
        if self.rest[0] in "\"'":
            return [jsonsteps.quoted(self._quoted())]
        if self._skip("."):
            return [self._field()]
        if self.rest[0] in "+-" or self.rest[0].isdigit():
            return [jsonsteps.constant(_number(self._take(_NUMBER)))]
        raise _Broken(f"unrecognized character in action: {self.rest[0]!r}")

    def _skip(self, start: str) -> bool:
        found = self.rest.startswith(start)
        self.rest = self.rest.removeprefix(start)
        return found

    def _take(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self.rest)
        taken = found[0] if found else ""
        self.rest = self.rest[len(taken) :]
        return taken

    def _up_to(self, end: str, otherwise: str) -> str:
        taken, found, rest = self.rest.partition(end)
        if not found or "\n" in taken:
            raise _Broken(otherwise)
        self.rest = rest
        return taken

    def _identifier(self) -> str:
        first = self.rest[:1]
        return self._take(_IDENTIFIER) if _is_word(first) and not first.isdigit() else ""

    def _field(self) -> Step:
        name = self._take(_FIELD)
        return jsonsteps.wildcard if name == "*" else jsonsteps.field(name.replace("\\", ""))

    def _quoted(self) -> str:
        quote = self.rest[0]
        found = re.match(rf"{quote}([^\n]*?)(?<!\\){quote}", self.rest)
        if not found:
            raise _Broken("unterminated quoted string")
        self.rest = self.rest[found.end() :]
        return _unquoted(found[1], quote)

    def _filter(self) -> Step:
        condition = self._condition()
        found = _FILTER.fullmatch(condition)
        if not found:
            return jsonsteps.existing(_path(condition))
        return jsonsteps.comparing(_path(found[1]), found[2], _path(found[3]))

    def _condition(self) -> str:
        """Up to the parenthesis that is in no quotes; only the first quoted text counts."""
        quote, closed = "", False
        for at, character in enumerate(self.rest):
            if character == "\n":
                break
            if character in "\"'" and not quote:
                quote = character
            elif character == quote and self.rest[at - 1] != "\\":
                closed = True
            elif character == ")" and bool(quote) == closed:
                condition, self.rest = self.rest[:at], self.rest[at + 1 :]
                if not self._skip("]"):
                    raise _Broken("unclosed array expect ]")
                return condition
        raise _Broken("unterminated filter")


def _path(source: str) -> tuple[Step, ...]:
    return _Reader(f"{source}}}").action().path


def _is_word(character: str) -> bool:
    return character == "_" or character.isalnum()


def _meant_by(identifier: str) -> Step:
    if identifier in ("true", "false"):
        return jsonsteps.constant(identifier == "true")
    return jsonsteps.unknown(identifier)


def _number(text_: str) -> int | float:
    for kind in (int, float):
        try:
            return kind(text_)
        except ValueError:
            continue
    raise _Broken(f"cannot parse number {text_}")


def _unquoted(inside: str, quote: str) -> str:
    """Quoted text, with Go's escapes."""

    def character(escape: re.Match[str]) -> str:
        plain, *codes, octal, other = escape.groups()
        if other is not None or (plain in ("'", '"') and plain != quote):
            raise _Broken(f"unquote string {quote}{inside}{quote} error invalid syntax")
        if plain:
            return _ESCAPES.get(plain, plain)
        return chr(int(octal, 8) if octal else int(next(filter(None, codes)), 16))

    return _ESCAPE.sub(character, inside)


def _array(inside: str) -> Sequence[Step]:
    """The steps of what stands in brackets."""
    if "," in inside:
        return [jsonsteps.union([_path(f"[{one.strip(' ')}]") for one in inside.split(",")])]
    if key := _KEY.fullmatch(inside):
        return _path(f".{key[1]}")
    found = _SLICE.fullmatch(":" if inside == "*" else inside)
    if not found or found[1] == "-":
        raise _Broken(f"invalid array index {inside}")
    first, end, stride = (part and part.lstrip(":") for part in found.groups())
    if found[2] is None:
        return [jsonsteps.index(int(first or 0))]
    return [jsonsteps.elements(*(int(part) if part else None for part in (first, end, stride)))]
