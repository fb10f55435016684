"""GET with `watch=true`: changes as they happen, one JSON line each; frames of protobuf for who
accepts nothing else."""

from __future__ import annotations

import asyncio
import json

from aiohttp import web

from netlab.api import eventviews
from netlab.api.call import Call, add_warnings
from netlab.api.encoding import Encoder
from netlab.api.negotiation import PROTOBUF, Form
from netlab.errors import Expired
from netlab.objects.watch import Event
from netlab.serving.answers import to_json
from netlab.store.watch import Watch

_BATCH = 16 * 1024


async def watch(call: Call) -> web.StreamResponse:
    """Stream events until the client goes, its `timeoutSeconds` are over, or the watch fails.

    A client that does not read holds at most aiohttp's write buffer and one batch; what it
    misses stays in the store's log, and when that has moved on it is told 410.
    """
    lines, timeout = Lines(call), call.number("timeoutSeconds") or None
    try:
        source = _start(call)
    except Expired as error:
        response = await _respond(call)
        await response.write(lines.line(Event("ERROR", error.status())))
        return response
    response = await _respond(call)
    try:
        async with asyncio.timeout(timeout):
            await _pump(source, response, lines)
    except (TimeoutError, ConnectionError):
        pass
    finally:
        source.close()
    return response


def _start(call: Call) -> Watch:
    selector = call.field_selector
    if call.target.name:
        selector = ",".join(filter(None, (selector, f"metadata.name={call.target.name}")))
    return call.registry.watch(
        call.target.kind.kind,
        call.target.namespace,
        resource_version=call.query("resourceVersion"),
        label_selector=call.query("labelSelector"),
        field_selector=selector,
        bookmarks=call.flag("allowWatchBookmarks"),
        send_initial_events=call.flag("sendInitialEvents"),
    )


async def _respond(call: Call) -> web.StreamResponse:
    media_type = call.form.media_type
    told = f"{PROTOBUF};stream=watch" if media_type == PROTOBUF else "application/json"
    response = web.StreamResponse(headers={"Content-Type": told})
    add_warnings(response, call.warnings)
    await response.prepare(call.request)
    return response


async def _pump(source: Watch, response: web.StreamResponse, lines: Lines) -> None:
    async for event in source:
        batch = [lines.line(event)]
        size = len(batch[0])
        while size < _BATCH and (more := source.poll()) is not None:
            batch.append(lines.line(more))
            size += len(batch[-1])
        await response.write(b"".join(batch))


class Lines:
    """Writes events in the form that one watch asked for.

    Every object is encoded once for all watches (by the encoder); a line only wraps it.
    """

    def __init__(self, call: Call) -> None:
        self._encoder: Encoder = call.backend.encoder
        self._form: Form = call.form
        self._now = call.backend.now
        self._headers = True
        self._is_view = eventviews.is_view(call.target.kind) and call.form.shape == "object"

    def line(self, event: Event) -> bytes:
        """The event as a line of JSON, or as protobuf with its length before."""
        if self._form.media_type == PROTOBUF:
            from netlab.api import protobuf_out

            return protobuf_out.event(event.type, json.loads(self._object(event)))
        return b'{"type":"%s","object":%s}\n' % (event.type.encode(), self._object(event))

    def _object(self, event: Event) -> bytes:
        if event.type == "ERROR":
            return self._encoder.object(event.object)
        if self._is_view:
            return to_json(eventviews.outward(event.object))
        # Deleted, or gone from a selector's view: the last state seen, at a revision that may
        # also be that of the object's next state. The two must not share an entry.
        gone = event.type == "DELETED"
        body = self._encoder.one(
            event.object, self._form, self._now(), headers=self._headers, gone=gone
        )
        self._headers = False  # column definitions come with the first event only
        return body
