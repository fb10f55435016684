"""GET: one object, or a list of them, selected, in pages, as objects or as a printed Table."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from aiohttp import web
from msgspec import Struct

from netlab.api import eventviews, paging
from netlab.api.call import Call
from netlab.api.encoding import partial_object
from netlab.api.paging import Key, Part, Token
from netlab.api.tables import table
from netlab.errors import Expired
from netlab.objects.meta import Object, name, namespace
from netlab.objects.watch import ObjectList
from netlab.serving.answers import to_json


def get(call: Call) -> web.Response:
    """One object."""
    target = call.target
    obj = call.registry.get(target.kind.kind, target.namespace or "", target.name)
    return call.answer(obj)


def list_(call: Call) -> web.Response:
    """A collection, or a page of it."""
    store, space = call.registry.store, call.target.namespace or ""
    options = paging.Options(
        limit=call.number("limit"),
        token=call.query("continue"),
        version=call.query("resourceVersion"),
        match=call.query("resourceVersionMatch"),
        namespace=space,
    )
    wanted = paging.part(options, store.revision, call.backend.now())
    try:
        found = call.registry.list(
            call.target.kind.kind,
            call.target.namespace,
            label_selector=call.query("labelSelector"),
            field_selector=call.field_selector,
            at=wanted.at,
        )
    except Expired:
        if wanted.after is None:
            raise
        raise paging.expired(wanted.after, space) from None
    return call.answer_bytes(_encode(call, _page(found, wanted, call)))


class _Page(Struct, frozen=True):
    items: Sequence[Object]
    metadata: dict[str, object]


def _page(found: ObjectList, wanted: Part, call: Call) -> _Page:
    """The part of a list that is wanted, and how to go on."""
    metadata: dict[str, object] = {"resourceVersion": found.resource_version}
    limit = wanted.limit
    if not limit and wanted.after is None:
        return _Page(found.items, metadata)
    ordered = found.items
    if wanted.after:
        ordered = ordered[bisect_right(ordered, wanted.after, key=_order) :]
    if limit and len(ordered) > limit:
        token = Token(int(found.resource_version), _order(ordered[limit - 1]), wanted.since)
        metadata["continue"] = paging.write(token, call.target.namespace or "")
        if not call.query("labelSelector") and not call.query("fieldSelector"):
            metadata["remainingItemCount"] = len(ordered) - limit
        ordered = ordered[:limit]
    return _Page(ordered, metadata)


def _order(obj: Object) -> Key:
    return namespace(obj), name(obj)


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
