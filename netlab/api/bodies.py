"""Request bodies: JSON, YAML or protobuf, in the shape asked for, or a clear refusal."""

from __future__ import annotations

import asyncio
import json
from contextlib import nullcontext
from functools import lru_cache
from math import isfinite
from typing import Any

from aiohttp import web

from netlab.api import protobuf
from netlab.api.fields import json_type
from netlab.api.negotiation import media_types
from netlab.errors import ApiError, BadRequest
from netlab.objects import gowords
from netlab.objects.kinds import Kind
from netlab.objects.meta import Object

LIMIT = 3 * 1024 * 1024
"""Bytes that a request body may have, as in a real API server."""

# As long as kube-apiserver gives a request in all (--request-timeout).
_READ_SECONDS = 60.0

_JSON = ("application/json", "*/*", "")
_YAML = ("application/yaml", "text/yaml", "application/x-yaml")


class UnsupportedMediaType(ApiError):
    """The body is in a format that this server does not read."""

    code, reason = 415, "UnsupportedMediaType"

    def __init__(self, accepted: tuple[str, ...]) -> None:
        super().__init__(
            "the body of the request was in an unknown format - accepted media types include: "
            + ", ".join(accepted)
        )


class TooLarge(ApiError):
    """The body is bigger than the server will read."""

    code, reason = 413, "RequestEntityTooLarge"

    def __init__(self, limit: int) -> None:
        super().__init__(f"Request entity too large: limit is {limit}")


class Timeout(ApiError):
    """The rest of the body does not come."""

    code, reason = 504, "Timeout"

    def __init__(self) -> None:
        super().__init__(
            "Timeout: request did not complete within requested timeout - context deadline exceeded"
        )


async def read(request: web.Request, limit: int = LIMIT) -> bytes:
    """The whole body, at most `limit` bytes of it, in `_READ_SECONDS` at most."""
    if (request.content_length or 0) > limit:
        raise TooLarge(limit)
    here = request.content.is_eof()  # as most are
    try:
        async with nullcontext() if here else asyncio.timeout(_READ_SECONDS):
            body = await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise TooLarge(LIMIT) from None
    except TimeoutError:
        raise Timeout from None
    if len(body) > limit:
        raise TooLarge(limit)
    return body


def content_type(request: web.Request) -> str:
    """The media type of the body, without parameters, in lower case."""
    return _first_type(request.headers.get("Content-Type", ""))


@lru_cache(maxsize=64)
def _first_type(header: str) -> str:
    return media_types(header)[0][0]


async def decode(body: bytes, media_type: str, wanted: str) -> Any:
    """JSON, YAML or protobuf → a value; `wanted` names the expected kind in complaints."""
    if media_type in _YAML:
        return await asyncio.to_thread(_from_yaml, body, wanted)  # a megabyte takes seconds
    if media_type in _JSON:
        return _from_json(body, wanted)
    if media_type == protobuf.MEDIA_TYPE:
        return _from_protobuf(body, wanted)
    raise UnsupportedMediaType(("application/json", "application/yaml", protobuf.MEDIA_TYPE))


def _from_protobuf(body: bytes, wanted: str) -> Any:
    try:
        return protobuf.decode(body)
    except protobuf.MalformedProtobuf as error:
        raise _unrecognized(wanted, str(error)) from None


def _from_json(body: bytes, wanted: str) -> Any:
    try:
        value = _DECODER.decode(body.decode())
    except json.JSONDecodeError as error:
        raise _unrecognized(wanted, f"json parse error: {gowords.json_words(error)}") from None
    except (ValueError, RecursionError) as error:
        raise _unrecognized(wanted, f"json parse error: {error}") from None
    return _well_formed(value) if b"\\ud" in body.lower() else value


def _well_formed(value: Any) -> Any:
    """Halves of surrogate pairs, which no UTF-8 can express, as Go reads them: U+FFFD."""
    text = json.dumps(value, ensure_ascii=False).encode("utf-16", "surrogatepass")
    return json.loads(text.decode("utf-16", "replace"))


def _no_constant(text: str) -> None:
    raise ValueError(f"invalid character '{text[0]}' looking for beginning of value")


def _finite(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise ValueError(f"json: cannot unmarshal number {text[:40]} into Go value of type float64")
    return number


_DECODER = json.JSONDecoder(parse_constant=_no_constant, parse_float=_finite)


def _from_yaml(body: bytes, wanted: str) -> Any:
    from netlab.api import yamlbodies  # most clients send JSON

    try:
        return yamlbodies.value(body)
    except ValueError as error:
        raise _unrecognized(wanted, str(error)) from None


def _unrecognized(wanted: str, why: str) -> BadRequest:
    return BadRequest(
        f"the object provided is unrecognized (must be of type {wanted}): "
        f"couldn't get version/kind; {why}"
    )


async def read_object(request: web.Request, kind: Kind, limit: int = LIMIT) -> Object:
    """The body as an object of a kind; an absent apiVersion or kind is what the path says."""
    return as_kind(await read_value(request, kind.kind, limit), kind.api_version, kind.kind)


async def read_value(request: web.Request, wanted: str, limit: int = LIMIT) -> Any:
    """The decoded body, whatever it is; `wanted` names the expected kind in complaints."""
    return await decode(await read(request, limit), content_type(request), wanted)


def as_kind(value: Any, api_version: str, kind: str) -> Object:
    """A decoded body as `kind`, with its metadata made sure of."""
    if not isinstance(value, dict):
        raise _unrecognized(kind, f"json parse error: json: cannot unmarshal {json_type(value)}")
    obj: Object = value
    obj["apiVersion"] = obj.get("apiVersion") or api_version
    obj["kind"] = obj.get("kind") or kind
    if obj["kind"] != kind or obj["apiVersion"] != api_version:
        raise BadRequest(
            f"the API version in the data ({obj['apiVersion']}, Kind={obj['kind']}) does not match "
            f"the expected API version ({api_version}, Kind={kind})"
        )
    metadata = obj.setdefault("metadata", {})
    if metadata is None:
        metadata = obj["metadata"] = {}
    if not isinstance(metadata, dict):
        raise BadRequest(
            f'{kind} in version "{api_version}" cannot be handled as a {kind}: json: cannot '
            f"unmarshal {json_type(metadata)} into Go struct field {kind}.metadata of type "
            "v1.ObjectMeta"
        )
    return obj


def part(obj: Object, field: str) -> Object:
    """The mapping in a field, {} when it is absent."""
    value = obj.get(field) or {}
    if not isinstance(value, dict):
        raise BadRequest(
            f'{obj["kind"]} in version "{obj["apiVersion"]}" cannot be handled as a {obj["kind"]}: '
            f"json: cannot unmarshal {json_type(value)} into Go struct field {obj['kind']}.{field}"
        )
    return value


async def read_options(request: web.Request) -> Object:
    """A DELETE's DeleteOptions; {} without a body."""
    body = await read(request)
    if not body.strip():
        return {}
    value = await decode(body, content_type(request), "DeleteOptions")
    if not isinstance(value, dict):
        raise _unrecognized("DeleteOptions", "expected an object")
    return value
