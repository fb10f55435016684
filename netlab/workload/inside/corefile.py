"""Reading a Corefile, whose form is Caddy's: server blocks, and what stands in their braces."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple


class Malformed(ValueError):
    """CoreDNS would not begin with such a file. In its words."""


class Lacking(Malformed):
    """CoreDNS would; what is played here has not all that it has."""


class Directive(NamedTuple):
    """A plugin, or what stands in its braces: the words of its line, and what is `below` it."""

    line: int
    words: tuple[str, ...]
    below: tuple[Directive, ...] = ()

    @property
    def name(self) -> str:
        """Which plugin, or which of its options."""
        return self.words[0]


class ServerBlock(NamedTuple):
    """What is answered for some zones."""

    line: int
    keys: tuple[str, ...]
    directives: tuple[Directive, ...]


def wrong(directive: Directive, text: str) -> Malformed:
    """CoreDNS would not begin with this directive."""
    return Malformed(f"Corefile:{directive.line} - Error during parsing: {text}")


def lacking(directive: Directive, text: str) -> Lacking:
    """What is played here does not know this."""
    return Lacking(f"Corefile:{directive.line} - Error during parsing: {text}")


def seconds(text: str) -> float:
    """Go's `30s`, `1h`; a bare number is one of seconds. `ValueError` for what is no such time."""
    found = _SECONDS.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no time")
    return float(found[1]) * _UNITS[found[2]]


_SECONDS = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(ms|s|m|h|)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "": 1.0}


_DEEPEST = 20
"""How many braces may stand in each other. What plugins there are need three."""

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[^\s]+')


def parse(text: str) -> list[ServerBlock]:
    """The server blocks; `Malformed` for what is none."""
    lines = [(number, words) for number, words in enumerate(_lines(text), 1) if words]
    blocks, keys, first = list[ServerBlock](), list[str](), 0
    reader = iter(lines)
    for number, words in reader:
        first = first or number
        opens = words[-1] == "{"
        keys += [key for word in words[: len(words) - opens] for key in word.split(",") if key]
        if "}" in words:
            raise Malformed(f"Corefile:{number} - Error during parsing: Unexpected '}}'")
        if opens:
            if not keys:
                raise Malformed(f"Corefile:{number} - Error during parsing: no zone is named")
            blocks.append(ServerBlock(first, tuple(keys), tuple(_directives(reader, number))))
            keys, first = [], 0
    if keys:
        raise Malformed(f"Corefile:{first} - Error during parsing: Unexpected EOF")
    return blocks


def _lines(text: str) -> Iterator[list[str]]:
    for line in text.splitlines():
        words = []
        for token in _TOKEN.findall(line):
            if token.startswith("#"):
                break
            is_quoted = len(token) > 1 and token[0] == token[-1] == '"'
            words.append(token[1:-1].replace('\\"', '"') if is_quoted else token)
        yield words


def _directives(
    reader: Iterator[tuple[int, list[str]]], opened: int, depth: int = 1
) -> Iterator[Directive]:
    """Those up to the brace that closes."""
    if depth > _DEEPEST:
        raise Malformed(f"Corefile:{opened} - Error during parsing: braces nested too deep")
    for number, words in reader:
        if words == ["}"]:
            return
        if words[-1] == "{":
            below = tuple(_directives(reader, number, depth + 1))
            yield Directive(number, tuple(words[:-1]), below)
        elif words[-1] == "}" and words[0] != "}":  # the last one stands beside it
            yield Directive(number, tuple(words[:-1]))
            return
        else:
            yield Directive(number, tuple(words))
    raise Malformed(f"Corefile:{opened} - Error during parsing: Unexpected EOF, expecting '}}'")
