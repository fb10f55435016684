"""The kubelets of this process over HTTP, for an API server that is elsewhere.

The paths and parameters are a kubelet's own, below the node's name:

    /NODE/containerLogs/{namespace}/{pod}/{container}?uid=…&follow=1&tailLines=9&sinceTime=…
    /NODE/exec/{namespace}/{pod}/{uid}/{container}?command=…&input=1&tty=1
    /NODE/attach/{namespace}/{pod}/{uid}/{container}?input=1&tty=1
    /NODE/portForward/{namespace}/{pod}/{uid}?port=80

and one more, for what an API server that runs on the node would reach by itself:

    /NODE/connect?address=10.244.1.2&port=80

Who listens to whom decides who may ask: there is no other authority here than the socket's mode.
`client.kubelet_http` is the other end, and says what goes over the websockets.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from aiohttp import web

from netlab.client.kubelet_http import SocketConnection
from netlab.client.kubelets import (
    ContainerRef,
    Kubelets,
    LogOptions,
    PodConnection,
    PodRef,
    PodStreams,
    ProcessStream,
)
from netlab.errors import BadRequest
from netlab.objects import times
from netlab.objects.numbers import whole
from netlab.serving import channels, chunks, http
from netlab.serving.answers import to_json
from netlab.serving.channels import ERROR, STDOUT, SocketEnds, StreamOptions

T = TypeVar("T")
Opening = Callable[[PodStreams, web.Request], Awaitable[web.StreamResponse]]


class Starting(Protocol):
    """Starts a process, or finds one."""

    def __call__(self, *, stdin: bool, tty: bool) -> Awaitable[ProcessStream]:
        """As `PodStreams` says."""


def build_app(kubelets: Kubelets) -> web.Application:
    """The application, to be run by `serving.http.serve_unix`."""
    app = http.application()
    container = "{namespace}/{pod}/{uid}/{container}"
    for path, opening in (
        ("containerLogs/{namespace}/{pod}/{container}", _logs),
        (f"exec/{container}", _exec),
        (f"attach/{container}", _attach),
        ("portForward/{namespace}/{pod}/{uid}", _port_forward),
        ("connect", _connect),
    ):
        app.router.add_get(f"/{{node}}/{path}", _served(kubelets, opening))
    return app


def _served(
    kubelets: Kubelets, opening: Opening
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handler(request: web.Request) -> web.StreamResponse:
        kubelet = kubelets.of(request.match_info["node"])
        return await http.until_over(request, opening(kubelet, request))

    return handler


async def _logs(kubelet: PodStreams, request: web.Request) -> web.StreamResponse:
    query = request.query
    pod = _pod(request, query.get("uid", ""))
    wanted = LogOptions(
        follow="follow" in query,
        tail=whole(query.get("tailLines", "")),
        since=times.seconds(query["sinceTime"]) if "sinceTime" in query else None,
        timestamps="timestamps" in query,
        previous="previous" in query,
    )
    at = ContainerRef(pod, request.match_info["container"])
    return await chunks.answer(request, kubelet.logs(at, wanted))


async def _exec(kubelet: PodStreams, request: web.Request) -> web.StreamResponse:
    at, argv = _container(request), request.query.getall("command", [])

    async def start(*, stdin: bool, tty: bool) -> ProcessStream:
        return await kubelet.exec(at, argv, stdin=stdin, tty=tty)

    return await _joined(request, start)


async def _attach(kubelet: PodStreams, request: web.Request) -> web.StreamResponse:
    at = _container(request)

    async def start(*, stdin: bool, tty: bool) -> ProcessStream:
        return await kubelet.attach(at, stdin=stdin, tty=tty)

    return await _joined(request, start)


async def _joined(request: web.Request, start: Starting) -> web.StreamResponse:
    """A process, joined to a websocket, whose first message says that it runs."""
    stdin, tty = "input" in request.query, "tty" in request.query
    ends = await SocketEnds.open(request)
    process = await _had(request, ends, start(stdin=stdin, tty=tty))
    if process is None:
        return ends.response
    return await channels.join(ends, process, StreamOptions(stdin, True, not tty, tty))


async def _port_forward(kubelet: PodStreams, request: web.Request) -> web.StreamResponse:
    return await _spliced(request, kubelet.dial(_pod(request), _port(request)))


async def _connect(kubelet: PodStreams, request: web.Request) -> web.StreamResponse:
    address = request.query.get("address", "")
    return await _spliced(request, kubelet.connect(address, _port(request)))


def _port(request: web.Request) -> int:
    port = whole(request.query.get("port", ""))
    if port is None:
        raise BadRequest("query parameter 'port' is required")
    return port


async def _spliced(request: web.Request, dialling: Awaitable[PodConnection]) -> web.StreamResponse:
    """A connection, joined to a websocket, whose first message says that it stands."""
    ends = await SocketEnds.open(request)
    connection = await _had(request, ends, dialling)
    if connection is not None:
        try:
            await ends.begin(STDOUT)
            await splice(SocketConnection(ends.response), connection)
        finally:
            await connection.close()
        await ends.close()
    return ends.response


async def _had(request: web.Request, ends: SocketEnds, opening: Awaitable[T]) -> T | None:
    """What was asked for; None if there is none, and the other end is told why."""
    try:
        return await opening
    except Exception as error:
        await ends.send(ERROR, to_json(http.failure(request, error).status()))
        await ends.close()
        return None


async def splice(asking: PodConnection, pod: PodConnection) -> None:
    """Copy both ways until the pod has said everything, or either has gone."""
    outward = asyncio.create_task(_copy(pod, asking))
    inward = asyncio.create_task(_copy(asking, pod))
    try:
        await asyncio.wait({outward, inward}, return_when=asyncio.FIRST_COMPLETED)
        if inward.done() and inward.exception() is None:
            await asyncio.wait({outward})
    finally:
        for task in (outward, inward):
            task.cancel()
        await asyncio.gather(outward, inward, return_exceptions=True)


async def _copy(source: PodConnection, sink: PodConnection) -> None:
    while data := await source.read():
        await sink.write(data)
    await sink.end()


def _pod(request: web.Request, uid: str = "") -> PodRef:
    path = request.match_info
    return PodRef(path["namespace"], path["pod"], path.get("uid", uid))


def _container(request: web.Request) -> ContainerRef:
    return ContainerRef(_pod(request), request.match_info["container"])
