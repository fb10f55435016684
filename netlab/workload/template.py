"""Texts of the catalogue with `{{variable}}` in them, compiled once for a pod, filled per request.

Pure. A variable belongs either to the pod (known when it starts: it becomes plain text at once)
or to the request. `{{name|filter}}` passes the value through filters, `{{name|or:text}}` gives a
value to what is missing, `{{headers|each:%n: %v}}` writes a line for each header.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Mapping
from typing import Protocol
from urllib.parse import quote


class TemplateRequest(Protocol):
    """What a template may ask of the request being answered."""

    headers: list[tuple[str, str]]

    def variable(self, name: str) -> str | None:
        """The value of a request variable (`path`, `query.msg`, `header.host`); None: absent."""


REQUEST_VARIABLES = frozenset(
    (
        "client", "client.port", "client.address", "server.address", "method", "target", "path",
        "query", "version", "host", "body", "date", "now", "id", "rest", "headers",
    )
)  # fmt: skip
REQUEST_FAMILIES = ("query.", "header.")

Filter = Callable[[str, str], str]

_FILTERS: dict[str, Filter] = {
    "html": lambda value, _: html.escape(value),
    "json": lambda value, _: json.dumps(value),
    "url": lambda value, _: quote(value, errors="surrogateescape"),
    "lower": lambda value, _: value.lower(),
    "upper": lambda value, _: value.upper(),
    "or": lambda value, default: value or default,
}
_VARIABLE = re.compile(r"\{\{([^{}]+)\}\}")

Part = str | Callable[[TemplateRequest], str]


class TemplateError(ValueError):
    """A text names a variable or a filter that does not exist."""


def compile_(text: str, variables: Mapping[str, str]) -> Template:
    """Fill in what is known of the pod; what the request decides stays open."""
    parts: list[Part] = []
    position = 0
    for found in _VARIABLE.finditer(text):
        parts += [text[position : found.start()], _part(found[1], variables)]
        position = found.end()
    return Template([*parts, text[position:]])


class Template:
    """A compiled text: `fill(request)` renders it; `static` is the text when no request matters."""

    def __init__(self, parts: list[Part]) -> None:
        self._parts = _merged(parts)
        only_text = all(isinstance(part, str) for part in self._parts)
        self.static = "".join(map(str, self._parts)) if only_text else None

    def fill(self, request: TemplateRequest) -> str:
        """The text for this request."""
        if self.static is not None:
            return self.static
        return "".join(part if isinstance(part, str) else part(request) for part in self._parts)


def _merged(parts: list[Part]) -> list[Part]:
    merged: list[Part] = []
    for part in parts:
        if isinstance(part, str) and merged and isinstance(merged[-1], str):
            merged[-1] += part
        elif part != "":
            merged.append(part)
    return merged


def _part(expression: str, variables: Mapping[str, str]) -> Part:
    name, *filters = expression.split("|")
    name = name.strip()
    if name == "headers":
        return _headers(filters)
    chain = [_filter(text) for text in filters]
    if name in variables:
        return _passed(variables[name], chain)
    if not is_request_variable(name):
        if name.startswith(("env.", "flag.")):  # not given to this pod
            return _passed("", chain)
        raise TemplateError(f"unknown variable {{{{{name}}}}}")
    return lambda request: _passed(request.variable(name) or "", chain)


def is_request_variable(name: str) -> bool:
    """True when the value is the request's to give."""
    return name in REQUEST_VARIABLES or name.startswith(REQUEST_FAMILIES)


def _filter(text: str) -> tuple[Filter, str]:
    name, _, argument = text.partition(":")
    try:
        return _FILTERS[name.strip()], argument
    except KeyError:
        raise TemplateError(f"unknown filter |{name}") from None


def _passed(value: str, chain: list[tuple[Filter, str]]) -> str:
    for apply, argument in chain:
        value = apply(value, argument)
    return value


def _headers(filters: list[str]) -> Part:
    """`|json`: an object; `|each:FORMAT`: a line a header, %n name, %l lower-case, %v value."""
    if filters == ["json"]:
        return lambda request: json.dumps(
            {name.lower(): value for name, value in request.headers}, indent=2
        )
    form = filters[0].partition(":")[2] if filters else "%n: %v"
    chain = [_filter(text) for text in filters[1:]]
    form = form.replace("\\t", "\t")

    def lines(request: TemplateRequest) -> str:
        text = "\n".join(
            form.replace("%n", name).replace("%l", name.lower()).replace("%v", value)
            for name, value in request.headers
        )
        return _passed(text, chain)

    return lines
