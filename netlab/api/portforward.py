"""port-forward: connections to a pod's ports, each a pair of streams, one for its errors.

kubectl speaks SPDY, over the connection itself or (since 1.30) tunnelled through a websocket;
the Python clients name the ports in the query and get two channels of a websocket for each.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Protocol

from aiohttp import web

from netlab.api import containers
from netlab.api.call import Call
from netlab.client.kubelets import PodConnection
from netlab.errors import ApiError, BadRequest
from netlab.objects.meta import name, spec, status, uid
from netlab.objects.numbers import whole
from netlab.serving import subprotocols
from netlab.serving.channels import SPDY, refuse_unless_common, spdy_protocols
from netlab.serving.multiplex import Received, SpdyConnection, Stream
from netlab.serving.pipes import Pipe, RawPipe, SocketPipe
from netlab.serving.subprotocols import NONE, V4, V4_BASE64, ChannelSocket

_PROTOCOL = "portforward.k8s.io"
_TUNNEL = f"{SPDY}+{_PROTOCOL}"
_CHANNELS = (V4, V4_BASE64, NONE)
_QUEUE = 16
_PING_SECONDS = 10.0

Dial = Callable[[int], Awaitable[PodConnection]]


class Sink(Protocol):
    """One direction of a stream: bytes for the client."""

    async def write(self, data: bytes) -> None:
        """Send bytes."""

    async def end(self) -> None:
        """Send no more. Idempotent."""


async def forward(call: Call) -> web.StreamResponse:
    """Serve connections until the client goes."""
    pod = call.registry.get("Pod", call.target.namespace or "", call.target.name)
    if not spec(pod).get("nodeName"):
        raise BadRequest(f"pod {name(pod)} does not have a host assigned")
    if status(pod).get("phase") != "Running":
        raise BadRequest(f"pod {name(pod)} is not running")

    async def dial(port: int) -> PodConnection:
        return await containers.kubelet_of(call, pod).dial(containers.ref(pod), port)

    request = call.request
    upgrade = request.headers.get("Upgrade", "").lower()
    if upgrade == SPDY.lower():
        refuse_unless_common(spdy_protocols(request), (_PROTOCOL,))
        headers = {"Upgrade": SPDY, "X-Stream-Protocol-Version": _PROTOCOL}
        return await _Forwarding(await RawPipe.open(request, headers), dial, uid(pod)).run()
    if upgrade != "websocket":
        raise BadRequest("Upgrade request required")
    if _TUNNEL in subprotocols.asked(request):
        return await _Forwarding(await SocketPipe.open(request, _TUNNEL), dial, uid(pod)).run()
    protocol = subprotocols.negotiated(request, (*_CHANNELS, _TUNNEL))
    return await _serve_channels(request, protocol, _ports(call), dial, uid(pod))


class Forwarded:
    """One connection to the pod, and what the client has sent for it so far."""

    def __init__(self, port: int, data: Sink, errors: Sink, pod_uid: str) -> None:
        self._port = port
        self._data = data
        self._errors = errors
        self._pod_uid = pod_uid
        self._input: asyncio.Queue[bytes] = asyncio.Queue(_QUEUE)
        self._over = False

    async def feed(self, data: bytes) -> None:
        """Bytes for the pod, b"" at their end; waits while the pod does not read."""
        if not self._over:
            await self._input.put(data)

    async def run(self, dial: Dial) -> None:
        """Connect and copy in both directions until the pod has said everything."""
        try:
            connection = await dial(self._port)
        except ApiError as error:
            await self._errors.write(self._refusal(error).encode())
        else:
            await self._copy(connection)
        finally:
            self._over = True
            while not self._input.empty():  # lets go of who waits to feed
                self._input.get_nowait()
            with contextlib.suppress(ConnectionError):
                await self._data.end()
                await self._errors.end()

    async def _copy(self, connection: PodConnection) -> None:
        inward = asyncio.create_task(self._to_pod(connection))
        try:
            while data := await connection.read():
                await self._data.write(data)
        except ConnectionError:
            pass  # by the pod, or by the client: either way it is over
        finally:
            inward.cancel()
            await asyncio.gather(inward, return_exceptions=True)
            await asyncio.shield(connection.close())

    async def _to_pod(self, connection: PodConnection) -> None:
        while data := await self._input.get():
            await connection.write(data)
        await connection.end()

    def _refusal(self, error: ApiError) -> str:
        return (
            f"error forwarding port {self._port} to pod {self._pod_uid}: "
            f"dial tcp4 127.0.0.1:{self._port}: {error.message}"
        )


class _Forwarding:
    """A SPDY connection whose streams come in pairs of the same `requestID`."""

    def __init__(self, pipe: Pipe, dial: Dial, pod_uid: str) -> None:
        self._pipe = pipe
        self._dial = dial
        self._pod_uid = pod_uid
        self._connection = SpdyConnection(pipe)
        self._errors: dict[str, Stream] = {}
        self._running: dict[int, Forwarded] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> web.StreamResponse:
        """Until the client goes; then no connection is left."""
        pings = asyncio.create_task(self._pings())
        try:
            async for entry in self._connection.received():
                await self._take(entry)
        except ConnectionError:
            pass
        finally:
            for task in (pings, *self._tasks):
                task.cancel()
            await asyncio.gather(pings, *self._tasks, return_exceptions=True)
        with contextlib.suppress(ConnectionError):
            await self._pipe.close()
        return self._pipe.response

    async def _pings(self) -> None:
        while True:
            await asyncio.sleep(_PING_SECONDS)
            await self._connection.ping()

    async def _take(self, entry: Received) -> None:
        stream = entry.stream
        if entry.is_new:
            self._open(stream)
        running = self._running.get(stream.number)
        if running is None:
            return
        if entry.data:
            await running.feed(entry.data)
        if entry.is_last:
            await running.feed(b"")

    def _open(self, stream: Stream) -> None:
        """A new stream: `error` comes first, `data` makes the pair complete."""
        request_id = stream.headers.get("requestid", "")
        port = stream.headers.get("port", "")
        if stream.headers.get("streamtype") == "error":
            self._errors[request_id] = stream
        elif request_id in self._errors and 0 < (whole(port) or 0) < 65536:
            errors = self._errors.pop(request_id)
            forwarded = Forwarded(int(port), stream, errors, self._pod_uid)
            self._running[stream.number] = forwarded
            task = asyncio.create_task(self._serve(forwarded, stream, errors))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _serve(self, forwarded: Forwarded, data: Stream, errors: Stream) -> None:
        try:
            await forwarded.run(self._dial)
        except ConnectionError:
            pass  # the client has gone: whoever receives notices too
        finally:
            del self._running[data.number]
            self._connection.forget(data)
            self._connection.forget(errors)


# -- the Python clients' form --------------------------------------------------------------


def _ports(call: Call) -> list[int]:
    words = [word for text in call.request.query.getall("ports", []) for word in text.split(",")]
    ports = [whole(word) or 0 for word in words]
    if not ports or not all(0 < port < 65536 for port in ports):
        raise BadRequest("query parameter 'ports' is required: a list of port numbers")
    return ports


class _Channel:
    """One numbered channel of a websocket."""

    def __init__(self, socket: ChannelSocket, number: int) -> None:
        self._socket = socket
        self._number = number

    async def write(self, data: bytes) -> None:
        await self._socket.send(self._number, data)

    async def end(self) -> None:
        """A channel has no end of its own; the websocket's is all there is."""


async def _serve_channels(
    request: web.Request, protocol: str, ports: list[int], dial: Dial, pod_uid: str
) -> web.WebSocketResponse:
    """For the i-th port, channel 2i carries data and 2i+1 errors; both begin with the port."""
    socket = await subprotocols.opened(request, protocol, heartbeat=_PING_SECONDS)
    channels = ChannelSocket(socket, protocol)
    forwards = []
    for index, port in enumerate(ports):
        data, errors = _Channel(channels, 2 * index), _Channel(channels, 2 * index + 1)
        for channel in (data, errors):
            await channel.write(port.to_bytes(2, "little"))
        forwards.append(Forwarded(port, data, errors, pod_uid))
    work = [asyncio.create_task(one.run(dial)) for one in forwards]
    feeding = asyncio.create_task(_feed_channels(channels, forwards))
    everything = asyncio.ensure_future(asyncio.wait(work))
    try:
        await asyncio.wait({everything, feeding}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (feeding, everything, *work):
            task.cancel()
        await asyncio.gather(feeding, everything, *work, return_exceptions=True)
    await socket.close()
    return socket


async def _feed_channels(channels: ChannelSocket, forwards: list[Forwarded]) -> None:
    async for channel, data in channels.received():
        index, is_error = divmod(channel, 2)
        if not is_error and index < len(forwards) and data:
            await forwards[index].feed(data)
