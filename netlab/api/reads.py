"""GET: one object, or a list of them, selected, in pages, as objects or as a printed Table."""

from __future__ import annotations

import base64
import binascii
import json
from bisect import bisect_right
from collections.abc import Sequence

from aiohttp import web
from msgspec import Struct

from netlab.api import eventviews
from netlab.api.call import Call
from netlab.api.encoding import partial_object
from netlab.api.tables import table
from netlab.errors import BadRequest
from netlab.objects.meta import Object, name, namespace
from netlab.serving.answers import to_json


def get(call: Call) -> web.Response:
    """One object."""
    target = call.target
    obj = call.registry.get(target.kind.kind, target.namespace or "", target.name)
    return call.answer(obj)


def list_(call: Call) -> web.Response:
    """A collection, or a page of it."""
    found = call.registry.list(
        call.target.kind.kind,
        call.target.namespace,
        label_selector=call.query("labelSelector"),
        field_selector=call.field_selector,
    )
    page = _page(found.items, found.resource_version, call)
    return call.answer_bytes(_encode(call, page))


class _Page(Struct, frozen=True):
    items: Sequence[Object]
    metadata: dict[str, object]


def _page(items: Sequence[Object], revision: str, call: Call) -> _Page:
    """The part of a list that `limit` and `continue` ask for.

    Later pages show the present state after the last name given, under the first page's
    revision: a watch from there tells the client whatever changed in between.
    """
    limit, token = call.number("limit"), call.query("continue")
    if not limit and not token:
        return _Page(items, {"resourceVersion": revision})
    ordered = sorted(items, key=_order)
    if token:
        revision, last = _read_token(token)
        ordered = ordered[bisect_right(ordered, last, key=_order) :]
    metadata: dict[str, object] = {"resourceVersion": revision}
    if limit and len(ordered) > limit:
        metadata["continue"] = _write_token(revision, _order(ordered[limit - 1]))
        if not call.query("labelSelector") and not call.query("fieldSelector"):
            metadata["remainingItemCount"] = len(ordered) - limit
        ordered = ordered[:limit]
    return _Page(ordered, metadata)


def _order(obj: Object) -> tuple[str, str]:
    return namespace(obj), name(obj)


def _write_token(revision: str, last: tuple[str, str]) -> str:
    text = json.dumps({"rv": revision, "after": last})
    return base64.urlsafe_b64encode(text.encode()).decode()


def _read_token(token: str) -> tuple[str, tuple[str, str]]:
    try:
        value = json.loads(base64.urlsafe_b64decode(token.encode()))
        space, last = value["after"]
        return str(value["rv"]), (str(space), str(last))
    except (binascii.Error, ValueError, KeyError, TypeError):
        raise BadRequest("continue key is not valid") from None


def _encode(call: Call, page: _Page) -> bytes:
    """The page in the client's form, from the bytes kept for each object."""
    kind, encoder, form = call.target.kind, call.backend.encoder, call.form
    if form.shape == "table":
        now = call.backend.now()
        rows = [encoder.row(obj, form.include, now) for obj in page.items]
        return table(kind.kind, rows, page.metadata, api_version=form.api_version)
    if form.shape == "metadata":
        items = [to_json(partial_object(obj, form.api_version)) for obj in page.items]
        return _list("PartialObjectMetadataList", form.api_version, page.metadata, items)
    if eventviews.is_view(kind):
        items = [to_json(eventviews.outward(obj)) for obj in page.items]
    else:
        items = [encoder.object(obj) for obj in page.items]
    return _list(f"{kind.kind}List", kind.api_version, page.metadata, items)


def _list(kind: str, api_version: str, metadata: dict[str, object], items: list[bytes]) -> bytes:
    head = to_json({"kind": kind, "apiVersion": api_version, "metadata": metadata})
    return head[:-1] + b',"items":[' + b",".join(items) + b"]}"
