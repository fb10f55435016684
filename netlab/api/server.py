"""The HTTP server: from a request's path and method to the function that answers it."""

from __future__ import annotations

import asyncio
import inspect
import logging
import os
import stat
import time
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from socket import AF_UNIX, SOCK_STREAM, socket
from typing import Any

from aiohttp import web

from netlab.api import (
    bodies,
    discovery,
    execs,
    logs,
    openapi,
    paths,
    portforward,
    reads,
    reviews,
    subresources,
    swagger,
    undocumented,
    watches,
    writes,
)
from netlab.api.call import Backend, Call, plain_answer
from netlab.api.encoding import Encoder
from netlab.api.negotiation import media_types, negotiate
from netlab.api.paths import MethodNotAllowed, no_such_path
from netlab.api.streams import PodStreams
from netlab.errors import ApiError, BadRequest, NetlabError
from netlab.kernel import caller
from netlab.store.registry import Registry

log = logging.getLogger(__name__)


class _ClientsMistakes(logging.Filter):
    """aiohttp logs a traceback of whatever is no HTTP, though it has been answered with 400."""

    def filter(self, record: logging.LogRecord) -> bool:
        """False for what the client got wrong."""
        error = record.exc_info[1] if record.exc_info else None
        return not undocumented.is_no_http(error)


http_log = logging.getLogger(f"{__name__}.http")
http_log.addFilter(_ClientsMistakes())

BACKEND = web.AppKey("backend", Backend)
STREAMING: web.AppKey[set[asyncio.Task[Any]]] = web.AppKey("streaming", set)
"""The tasks of answers that have no end of their own: the server ends them when it stops."""

_UNREAD = 64 * 1024
"""Bytes of a stream that wait for a client to read, until the stream waits as well."""

_STARTED = web.RequestKey("started", web.StreamResponse)

Verb = Callable[[Call], web.StreamResponse | Awaitable[web.StreamResponse]]

_COLLECTION: dict[str, Verb] = {
    "GET": reads.list_,
    "POST": writes.create,
    "DELETE": writes.delete_collection,
}
_OBJECT: dict[str, Verb] = {
    "GET": reads.get,
    "PUT": writes.update,
    "PATCH": writes.patch,
    "DELETE": writes.delete,
}
_SUBRESOURCE: dict[str, dict[str, Verb]] = {
    "status": {"GET": reads.get, "PUT": writes.update, "PATCH": writes.patch},
    "finalize": {"PUT": writes.update},
    "scale": {
        "GET": subresources.get_scale,
        "PUT": subresources.put_scale,
        "PATCH": subresources.patch_scale,
    },
    "binding": {"POST": subresources.bind},
    "eviction": {"POST": subresources.evict},
    "exec": {"GET": execs.exec_, "POST": execs.exec_},
    "attach": {"GET": execs.attach, "POST": execs.attach},
    "log": {"GET": logs.log},
    "portforward": {"GET": portforward.forward, "POST": portforward.forward},
}


CUSTOM_KINDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"

_STREAMS: frozenset[Verb] = frozenset(
    (watches.watch, logs.log, execs.exec_, execs.attach, portforward.forward)
)


def build_app(
    registry: Registry,
    streams: PodStreams,
    extra: Iterable[web.RouteDef] = (),
    *,
    now: Callable[[], float] = time.time,
) -> web.Application:
    """The application: the Kubernetes API over a registry, and `extra` routes beside it.

    `now` gives epoch seconds, for the ages in tables. To be run by `serve_unix`, or by a runner
    with `handler_cancellation=True`: without it, clients that vanish are noticed late.
    """
    app = web.Application(client_max_size=bodies.LIMIT, middlewares=[_errors_as_status])
    app[BACKEND] = Backend(registry, streams, Encoder(), now)
    app[STREAMING] = set()
    app.on_response_prepare.append(_note_start)
    app.on_shutdown.append(_end_streams)
    app.router.add_routes(list(extra))
    for path in ("/healthz", "/livez", "/readyz"):
        app.router.add_get(path, _ok)
    for path in ("/version", "/version/"):
        app.router.add_get(path, _version)
    app.router.add_get(CUSTOM_KINDS, _custom_kinds)
    app.router.add_get("/openapi/v2", _swagger)
    app.router.add_get("/openapi/v3", _openapi_index)
    app.router.add_get("/openapi/v3/{path:.*}", _openapi)
    app.router.add_route("*", "/{path:(?s:.*)}", _dispatch)  # with newlines, too
    return app


async def serve_unix(app: web.Application, path: Path) -> web.AppRunner:
    """Listen on a unix socket that only its owner may use; `await runner.cleanup()` ends it.

    Its owner is who called sudo to start us, if anybody did: what may be asked of a lab needs no
    second sudo. That gives nothing away, for whoever starts labs decides what runs in them.
    A socket file that is there already is replaced: the caller knows that it is nobody's.
    """
    runner = web.AppRunner(
        app,
        access_log=None,
        logger=http_log,
        auto_decompress=False,  # kube-apiserver does not either: Content-Encoding means nothing
        handler_cancellation=True,
        shutdown_timeout=0.5,
        keepalive_timeout=3600,
    )
    await runner.setup()
    await web.SockSite(runner, _listening(path), backlog=512).start()
    return runner


def _listening(path: Path) -> socket:
    """Bound and its mode set before it listens: nobody connects in between."""
    if path.exists() and stat.S_ISSOCK(path.lstat().st_mode):
        path.unlink()
    sock = socket(AF_UNIX, SOCK_STREAM)
    sock.bind(os.fspath(path))
    path.chmod(0o600)
    if os.geteuid() == 0:
        os.chown(path, caller.uid(), -1)
    return sock


@web.middleware
async def _errors_as_status(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Every failure is answered with a Status object; our own mistakes are logged as well."""
    try:
        return await handler(request)
    except Exception as error:
        has_started = _STARTED in request
        if has_started and isinstance(error, ConnectionError):
            return _broken_off(request)  # by the client
        failure = _failure(request, error)
        return _broken_off(request) if has_started else _status_answer(failure)


def _failure(request: web.Request, error: Exception) -> ApiError:
    """What a client is told of an exception."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, web.HTTPException):
        return ApiError(error.reason, code=error.status, reason="")
    if isinstance(error, RecursionError):
        return BadRequest("the body of the request is nested too deeply")
    log.error("%s %s", request.method, request.path, exc_info=error)
    what = error.message if isinstance(error, NetlabError) else repr(error)
    return ApiError(f"Internal error occurred: {what}")


def _status_answer(error: ApiError) -> web.Response:
    status = error.status()
    if error.hint:
        status["details"] = {**error.details, "hint": error.hint}
    return plain_answer(status, error.code)


def _broken_off(request: web.Request) -> web.StreamResponse:
    """An answer that failed half-way: closing the connection is all that can still be said."""
    if request.transport is not None:
        request.transport.close()
    return request[_STARTED]


async def _note_start(request: web.Request, response: web.StreamResponse) -> None:
    request[_STARTED] = response


async def _end_streams(app: web.Application) -> None:
    for task in app[STREAMING]:
        task.cancel()


async def _ok(_request: web.Request) -> web.Response:
    return web.Response(text="ok")


async def _version(_request: web.Request) -> web.Response:
    return plain_answer(discovery.VERSION)


async def _custom_kinds(_request: web.Request) -> web.Response:
    """None: kubectl looks, for a kind it does not know, whether the file itself defines it."""
    return plain_answer(
        {
            "kind": "CustomResourceDefinitionList",
            "apiVersion": "apiextensions.k8s.io/v1",
            "metadata": {"resourceVersion": ""},
            "items": [],
        }
    )


async def _swagger(request: web.Request) -> web.Response:
    if "protobuf" in request.headers.get("Accept", ""):
        body = swagger.as_protobuf()
        return web.Response(body=body, headers={"Content-Type": swagger.PROTOBUF})
    return web.Response(body=swagger.as_json(), content_type="application/json")


async def _openapi_index(_request: web.Request) -> web.Response:
    return plain_answer(openapi.index())


async def _openapi(request: web.Request) -> web.Response:
    """One group's document; kept by clients when they ask for the state that it has."""
    path = request.match_info["path"]
    body = openapi.document(path)
    if body is None:
        raise no_such_path()
    response = web.Response(body=body, content_type="application/json")
    if request.query.get("hash") == openapi.digest(path):
        response.headers["Cache-Control"] = "public, immutable, max-age=31536000"
    return response


async def _dispatch(request: web.Request) -> web.StreamResponse:
    found = _discovery(request) or await reviews.answer(request)
    if found is not None:
        return found
    target = paths.parse(request.path)
    form = negotiate(request.headers.get("Accept", ""), request.query.get("includeObject", ""))
    deprecated = target.kind.deprecated
    warnings = [deprecated] if deprecated else []
    call = Call(request.app[BACKEND], request, target, form, warnings)
    verb = _verb(call)
    if verb in _STREAMS:
        return await _streamed(request, verb(call))
    answer = verb(call)
    return await answer if inspect.isawaitable(answer) else answer


async def _streamed(
    request: web.Request, answer: web.StreamResponse | Awaitable[web.StreamResponse]
) -> web.StreamResponse:
    """Await an answer that goes on until its client, or the server, ends it."""
    task, streaming = asyncio.current_task(), request.app[STREAMING]
    assert task is not None
    assert inspect.isawaitable(answer)
    if request.transport is not None:  # TLS would keep half a megabyte for who does not read
        request.transport.set_write_buffer_limits(_UNREAD)
    streaming.add(task)
    try:
        return await answer
    finally:
        streaming.discard(task)


def _verb(call: Call) -> Verb:
    """The function for a method on a target; 405 when the target has no such verb."""
    method, target = call.request.method, call.target
    if target.subresource:
        verbs = _SUBRESOURCE.get(target.subresource, {})
    elif method == "GET" and call.flag("watch"):
        return watches.watch
    else:
        verbs = _OBJECT if target.name else _COLLECTION
    if target.kind.namespaced and target.namespace is None and method != "GET":
        raise MethodNotAllowed
    if method not in verbs:
        raise MethodNotAllowed
    return verbs[method]


def _discovery(request: web.Request) -> web.Response | None:
    """The discovery document at a path; None when the path is not one of discovery's."""
    parts = request.path.strip("/").split("/")
    if parts[0] not in ("api", "apis") or len(parts) > 3:
        return None
    document = _root(request, core=parts[0] == "api") if len(parts) == 1 else _group(parts)
    if document is None:
        return None
    if request.method != "GET":
        raise MethodNotAllowed
    if isinstance(document, web.Response):
        return document
    return plain_answer(document)


def _root(request: web.Request, *, core: bool) -> discovery.Document | web.Response:
    """`/api` or `/apis`, aggregated when the client accepts that."""
    for _, parameters in media_types(request.headers.get("Accept", "")):
        version = parameters.get("v", "")
        wanted = parameters.get("as") == "APIGroupDiscoveryList"
        if wanted and version in ("v2", "v2beta1"):
            answer = plain_answer(discovery.aggregated(core=core, version=version))
            answer.headers["Content-Type"] = (
                f"application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList"
            )
            return answer
    return discovery.core_versions() if core else discovery.group_list()


def _group(parts: list[str]) -> discovery.Document | None:
    """`/apis/<group>`, `/api/v1` or `/apis/<group>/<version>`; NotFound when not served."""
    if parts[0] == "api":
        if len(parts) == 3:
            return None
        found = discovery.resource_list("", parts[1])
    elif len(parts) == 2:
        found = discovery.group_document(parts[1])
    else:
        found = discovery.resource_list(parts[1], parts[2])
    if found is None:
        raise no_such_path()
    return found
