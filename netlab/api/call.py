"""One request on its way through the server: what it asks, and how it is answered."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from aiohttp import web
from msgspec import Struct, field

from netlab.api import eventviews
from netlab.api.encoding import Encoder
from netlab.api.negotiation import (
    JSON,
    PROTOBUF,
    WRITTEN,
    Form,
    NotAcceptable,
    negotiate_status,
)
from netlab.api.paths import NobodysPath, RequestInfo
from netlab.client.kubelets import Kubelets
from netlab.errors import ApiError, BadRequest
from netlab.objects.meta import Object
from netlab.serving.answers import to_json
from netlab.store.registry import Registry

_TRUE = frozenset({"1", "t", "T", "true", "TRUE", "True"})
_FALSE = frozenset({"", "0", "f", "F", "false", "FALSE", "False"})

# Characters of one warning, and of all of them, as kube-apiserver cuts them.
_WARNING, _WARNINGS = 256, 4096


class Backend(Struct, frozen=True):
    """What stands behind the HTTP server; `now` gives epoch seconds."""

    registry: Registry
    kubelets: Kubelets
    encoder: Encoder
    now: Callable[[], float]


BACKEND = web.AppKey("backend", Backend)


class Call(Struct):
    """A request for a kind; `warnings` become Warning headers of the answer."""

    backend: Backend
    request: web.Request
    target: RequestInfo
    form: Form
    warnings: list[str] = field(default_factory=list)

    @property
    def registry(self) -> Registry:
        """The registry behind the server."""
        return self.backend.registry

    def query(self, name: str) -> str:
        """A query parameter, "" when absent."""
        return str(self.request.query.get(name, ""))

    @property
    def field_selector(self) -> str:
        """What fields are asked for, as what is stored names them; "" for whichever."""
        text = self.query("fieldSelector")
        return eventviews.inward_selector(text) if eventviews.is_view(self.target.kind) else text

    def flag(self, name: str) -> bool:
        """A boolean query parameter; Python clients write `True`."""
        return query_flag(self.query(name), name)

    def number(self, name: str) -> int | None:
        """A whole-numbered query parameter, None when absent."""
        return query_number(self.query(name), name)

    @property
    def field_manager(self) -> str:
        """Whose change this is: what the client says, else the program's name in its User-Agent."""
        return (
            self.query("fieldManager")
            or self.request.headers.get("User-Agent", "").partition("/")[0]
        )

    @property
    def dry_run(self) -> bool:
        """True for `dryRun=All`, the only value there is."""
        return is_dry_run(self.request.query.getall("dryRun", []))

    def answer(self, obj: Object, code: int = 200, *, stored: bool = True) -> web.Response:
        """The object in the form the client asked for.

        One that was not `stored` (a dry run's) has the version of another: it is not kept.
        """
        if eventviews.is_view(self.target.kind) and self.form.shape == "object":
            obj, stored = eventviews.outward(obj), False
        encoder = self.backend.encoder if stored else Encoder()
        return self.answer_bytes(encoder.one(obj, self.form, self.backend.now()), code)

    def answer_bytes(self, body: bytes, code: int = 200) -> web.Response:
        """JSON bytes as a response, in what was asked for."""
        media_type = self.form.media_type
        body = written(body, media_type)
        response = web.Response(body=body, status=code, content_type=media_type)
        add_warnings(response, self.warnings)
        return response


def add_warnings(response: web.StreamResponse, warnings: Sequence[str]) -> None:
    """Warning headers, which kubectl prints as `Warning: …`."""
    for text in _not_too_long(warnings):
        printable = "".join(sign if sign.isprintable() else " " for sign in text)
        quoted = printable.replace("\\", "\\\\").replace('"', '\\"')
        response.headers.add("Warning", f'299 - "{quoted}"')


def _not_too_long(warnings: Sequence[str]) -> Sequence[str]:
    """All of them, or the beginnings of the first ones where they would be too much for headers."""
    if sum(map(len, warnings)) <= _WARNINGS:
        return warnings
    return [text[:_WARNING] for text in warnings[: _WARNINGS // _WARNING]]


def query_flag(text: str, name: str) -> bool:
    """A boolean as Go's strconv.ParseBool reads it."""
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise BadRequest(f'strconv.ParseBool: parsing "{text}" for {name}: invalid syntax')


def query_number(text: str, name: str) -> int | None:
    """A whole number not below zero."""
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise BadRequest(f'strconv.ParseInt: parsing "{text}" for {name}: invalid syntax')
    return int(text)


def is_dry_run(values: Sequence[Any]) -> bool:
    """Whether `dryRun` says All; anything else but nothing is refused."""
    wanted = [value for value in values if value != ""]
    if any(value != "All" for value in wanted):
        raise BadRequest(f'Invalid value: {wanted}: supported values: "All"')
    return bool(wanted)


def refused(request: web.Request, error: ApiError) -> web.Response:
    """A failure as a Status, in what the client accepts; in plain text where no API answers."""
    if isinstance(error, NobodysPath):
        headers = {"X-Content-Type-Options": "nosniff"}
        return web.Response(status=error.code, text=error.text, headers=headers)
    media_type = negotiate_status(request.headers.get("Accept", ""))
    return document(error.status(), media_type, error.code)


def document(value: object, media_type: str = JSON, code: int = 200) -> web.Response:
    """What is no object of the store, in one of `negotiation.ACCEPTED`."""
    body = written(to_json(value), media_type)
    return web.Response(body=body, status=code, content_type=media_type)


def written(body: bytes, media_type: str) -> bytes:
    """JSON in one of `negotiation.ACCEPTED`; `NotAcceptable` for what protobuf has no form for."""
    if media_type == JSON:
        return body
    if media_type == PROTOBUF:
        from netlab.api import protobuf_out

        if (found := protobuf_out.encode(json.loads(body))) is None:
            raise NotAcceptable(WRITTEN)
        return found
    from netlab.objects import yamlout  # most clients want JSON

    return yamlout.dump(json.loads(body), sort_keys=False).encode()
