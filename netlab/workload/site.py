"""What a built-in web server answers: a site of the catalogue, compiled for one pod.

Pure. A site is data: `{server, routes: [{path, methods, status, type, headers, body}], notFound}`.
Routes are tried in order; a path ending in `*` takes every path that begins so.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from netlab.workload.http1 import Request, http_date
from netlab.workload.template import Template, compile_

_READING = ("GET", "HEAD")
_NO_BODY = (204, 304)


class SiteAnswer:
    """One response as a site gives it: status, head lines, and its body as a template."""

    def __init__(self, data: Mapping[str, Any], server: str, variables: Mapping[str, str]) -> None:
        self.status = int(data.get("status", 200))
        self._body: Template = compile_(str(data.get("body", "")), variables)
        head = {"Server": server, "Content-Type": data.get("type", "text/plain; charset=utf-8")}
        head |= {name: compile_(str(text), variables).static for name, text in headers_of(data)}
        self._lines = "".join(
            f"{name}: {value}\r\n" for name, value in head.items() if value is not None and value
        )
        self._static = None if self._body.static is None else self._body.static.encode()

    def render(self, request: Request | None, *, close: bool) -> tuple[bytes, int]:
        """(the bytes to send, the size of the body in them); no body for HEAD."""
        body = self._static
        if body is None:
            assert request is not None, "only static answers are given without a request"
            body = self._body.fill(request).encode("utf-8", "surrogateescape")
        if self.status in _NO_BODY:
            return self._head(None, close), 0
        head = self._head(len(body), close)
        if request is not None and request.method == "HEAD":
            return head, 0
        return head + body, len(body)

    def _head(self, length: int | None, close: bool) -> bytes:
        size = "" if length is None else f"Content-Length: {length}\r\n"
        return (
            f"HTTP/1.1 {self.status} {phrase(self.status)}\r\nDate: {date()}\r\n{self._lines}{size}"
            f"Connection: {'close' if close else 'keep-alive'}\r\n\r\n"
        ).encode("latin-1", "replace")


def headers_of(data: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """The extra headers of a route, as pairs."""
    return list((data.get("headers") or {}).items())


class _Route:
    def __init__(self, data: Mapping[str, Any], answer: SiteAnswer) -> None:
        path = str(data.get("path", "/*"))
        self._prefix = path[:-1] if path.endswith("*") else None
        self._path = path
        self._methods = tuple(data.get("methods", ()))
        self.answer = answer

    def matches(self, path: str) -> bool:
        return path == self._path if self._prefix is None else path.startswith(self._prefix)

    def allows(self, method: str) -> bool:
        return not self._methods or method in self._methods


class Site:
    """A compiled site: `answer(request)` is always something."""

    def __init__(self, data: Mapping[str, Any], variables: Mapping[str, str]) -> None:
        self._server = str(data.get("server", ""))
        self._error_page: Mapping[str, Any] = data.get("errors", {})
        self._variables = variables
        self._routes = [
            _Route(route, SiteAnswer(route, self._server, variables)) for route in data["routes"]
        ]
        self._errors: dict[int, SiteAnswer] = {}

    def answer(self, request: Request) -> SiteAnswer:
        """The first route that takes the request's path, or 404, or 405 for its method."""
        path = request.path
        for route in self._routes:
            if route.matches(path):
                return route.answer if route.allows(request.method) else self.error(405)
        return self.error(404)

    def error(self, status: int) -> SiteAnswer:
        """The server's own page for an error."""
        if status not in self._errors:
            variables = {
                **self._variables,
                "status": str(status),
                "reason": phrase(status),
                "server": self._server,
            }
            page = {"body": "{{status}} {{reason}}\n", **self._error_page, "status": status}
            if status == 405:
                page["headers"] = {"Allow": ", ".join(_READING)}
            self._errors[status] = SiteAnswer(page, self._server, variables)
        return self._errors[status]


def phrase(status: int) -> str:
    """`Not Found` for 404."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


_date: tuple[int, str] = (0, "")


def date() -> str:
    """The Date header's value, made once a second."""
    global _date
    now = int(time.time())
    if _date[0] != now:
        _date = (now, http_date(now))
    return _date[1]
