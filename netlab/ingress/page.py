"""A text of nginx' configuration, of which is known whose each line is."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator


class Page:
    """Directives and blocks, one after another. Words are written as they are: quote strangers'."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._owners: list[str] = []
        self._depth = 0
        self._owner = ""

    @property
    def text(self) -> str:
        """All of it."""
        return "".join(f"{line}\n" for line in self._lines)

    def owner(self, line: int) -> str:
        """Whose a line is, counted from 1; "" if it is nobody's."""
        return self._owners[line - 1] if 0 < line <= len(self._owners) else ""

    def say(self, *words: object) -> None:
        """One directive."""
        self._put(f"{' '.join(map(str, words))};")

    def comment(self, text: str) -> None:
        """A remark, of our own words."""
        self._put(f"# {text}")

    @contextlib.contextmanager
    def block(self, *words: object) -> Iterator[None]:
        """A directive with others in braces, which are said within."""
        self._put(f"{' '.join(map(str, words))} {{")
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            self._put("}")

    @contextlib.contextmanager
    def of(self, owner: str) -> Iterator[None]:
        """What is said within is an Ingress' (`namespace/name`)."""
        before, self._owner = self._owner, owner
        try:
            yield
        finally:
            self._owner = before

    def table(self, source: str, variable: str, entries: Iterator[tuple[str, str]]) -> None:
        """`map source variable { … }`."""
        with self.block("map", source, variable):
            for key, value in entries:
                self.say(key, value)

    def _put(self, line: str) -> None:
        self._lines.append("    " * self._depth + line)
        self._owners.append(self._owner)
