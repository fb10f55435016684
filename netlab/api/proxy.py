"""`proxy` of pods, services and nodes: an HTTP request handed on to what listens there.

It is sent from a node of the control plane, over the lab's own network, as an API server that runs
there would send it, and to no other address than the pod's, the endpoint's or the node's. Where the
answer leads elsewhere the client is told, not followed. The ways are those of
k8s.io/apimachinery/pkg/util/proxy, the locations those of pkg/registry/core.
"""

from __future__ import annotations

import asyncio
import contextlib
import posixpath
from collections.abc import AsyncIterator
from urllib.parse import quote

from aiohttp import hdrs, web
from msgspec import Struct
from multidict import CIMultiDict

from netlab.api import kubeletpaths, proxied
from netlab.api.call import Call
from netlab.api.proxied import Location
from netlab.api.rewriting import LARGEST_PAGE, Rewriter
from netlab.client.kubelets import PodConnection, Silent
from netlab.errors import ApiError
from netlab.objects import meta
from netlab.objects.meta import Object
from netlab.serving import tls
from netlab.serving.backend import BackendConnection, BrokenBackend, Head, Headers
from netlab.serving.pipes import RawPipe

_OF_THE_HOP = frozenset({
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection",
    "te", "trailer", "transfer-encoding", "upgrade",
})  # fmt: skip
"""Headers that are about one connection, and not handed on (RFC 9110, 7.6.1)."""

_SAFE = "/:@!$&'()*+,;=-._~"
"""What a path has unquoted."""

_CREDENTIALS = ("authorization", "impersonate-", "x-remote-")
"""How headers begin that are for the API server alone."""

_CORS = frozenset(
    f"access-control-allow-{what}" for what in ("credentials", "headers", "methods", "origin")
)


class Unreachable(ApiError):
    """Nobody answers there."""

    code, reason = 503, "ServiceUnavailable"

    def __init__(self, why: object) -> None:
        super().__init__(f"error trying to reach service: {why}")


async def proxy(call: Call) -> web.StreamResponse:
    """Hand the request on, and the answer back."""
    request, target = call.request, call.target
    location = proxied.location(call)
    if location.is_kubelet:
        return await kubeletpaths.answer(call)
    path = _path(target.rest, ends_in_slash=request.path.endswith("/"))
    is_upgrade = "upgrade" in request.headers.get(hdrs.CONNECTION, "").lower()
    if not path and not is_upgrade and request.method in ("GET", "HEAD"):
        return _with_slash(request)
    connection = await _connected(call, location)
    try:
        own = target.kind.path(target.namespace or "", target.name, target.subresource)
        proxying = _Proxying(request, connection, location, path, own)
        return await (proxying.upgrade() if is_upgrade else proxying.pass_on())
    except BrokenBackend as error:
        raise Unreachable(error) from None
    finally:
        await asyncio.shield(connection.close())


def _path(rest: str, *, ends_in_slash: bool) -> str:
    """The path to ask for: "" for none at all."""
    cleaned = posixpath.normpath(f"/{rest}").lstrip("/") if rest.strip("/") else ""
    if ends_in_slash:
        cleaned += "/"
    return f"/{cleaned.lstrip('/')}" if cleaned else ""


def _with_slash(request: web.Request) -> web.Response:
    """Relative links are to lead below the proxy's own path."""
    where = f"{request.rel_url.raw_path}/{_query(request)}"
    return web.Response(status=301, headers={"Location": where})


def _query(request: web.Request) -> str:
    """The query as it was sent: decoded, it could end a line."""
    return f"?{request.rel_url.raw_query_string}" if request.rel_url.raw_query_string else ""


async def _connected(call: Call, location: Location) -> PodConnection:
    """A connection to the place, with TLS where it says so."""
    raw = await _dialled(call, location)
    if location.scheme != "https":
        return raw
    try:
        return await tls.TlsConnection.open(raw, tls.trusting_all())
    except OSError as error:
        await raw.close()
        raise Unreachable(error) from None
    except BaseException:
        await asyncio.shield(raw.close())
        raise


async def _dialled(call: Call, location: Location) -> PodConnection:
    """From the first node that can: those of the control plane go first."""
    silent: ApiError = Unreachable("no node runs")
    for node in sorted(call.registry.list("Node").items, key=_turn):
        try:
            kubelet = call.backend.kubelets.of(meta.name(node))
            return await kubelet.connect(location.host, location.port)
        except Silent as error:
            silent = error
        except ApiError as error:
            raise Unreachable(error.message) from None
    raise silent


def _turn(node: Object) -> tuple[bool, str]:
    return "node-role.kubernetes.io/control-plane" not in meta.labels(node), meta.name(node)


class _Proxying(Struct):
    """One request on its way."""

    request: web.Request
    connection: PodConnection
    location: Location
    path: str
    prefix: str
    """The proxy's own path, which stands before the server's."""

    async def pass_on(self) -> web.StreamResponse:
        """Send the request with its body, and the answer back as it comes."""
        request, backend = self.request, BackendConnection(self.connection)
        chunked = request.can_read_body and request.content_length is None
        await self._ask(backend, self._headers(chunked=chunked))
        sending = asyncio.create_task(self._send(backend, chunked=chunked))
        try:
            head = await backend.head()
            return await self._answer(head, backend)
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)

    async def _ask(self, backend: BackendConnection, headers: Headers) -> None:
        target = quote(self.path or "/", safe=_SAFE) + _query(self.request)
        await backend.ask(self.request.method, target, headers)

    async def _send(self, backend: BackendConnection, *, chunked: bool) -> None:
        if self.request.can_read_body:
            with contextlib.suppress(ConnectionError):  # it has answered without listening
                await backend.send(self.request.content.iter_any(), chunked=chunked)

    def _headers(self, *, chunked: bool) -> list[tuple[str, str]]:
        headers = [*self._handed_on(), ("Connection", "close")]
        if chunked:
            headers.append(("Transfer-Encoding", "chunked"))
        return headers

    def _handed_on(self) -> list[tuple[str, str]]:
        """The client's headers that are the server's concern, and whence they come."""
        said = self.request.headers
        dropped = _OF_THE_HOP | _named(said.getall(hdrs.CONNECTION, [])) | {"expect"}
        headers = [
            (name, value)
            for name, value in said.items()
            if name.lower() not in dropped
            and not name.lower().startswith((*_CREDENTIALS, "x-forwarded-"))
        ]
        before = said.getall("X-Forwarded-For", [])
        chain = [*before, *([self.request.remote] if self.request.remote else [])]
        if chain:
            headers.append(("X-Forwarded-For", ", ".join(chain)))
        return [*headers, ("X-Forwarded-Uri", quote(self.prefix + (self.path or "/"), safe=_SAFE))]

    async def _answer(self, head: Head, backend: BackendConnection) -> web.StreamResponse:
        if head.code == 101:
            raise BrokenBackend("unexpected 101 Switching Protocols")
        headers = self._answered(head)
        body = backend.body(head, self.request.method)
        kind = headers.get("Content-Type", "").partition(";")[0].strip()
        if kind == "text/html" and "Location" not in headers and self.request.method != "HEAD":
            return await self._page(head, headers, body)
        return await self._stream(head, headers, body)

    def _answered(self, head: Head) -> CIMultiDict[str]:
        dropped = (
            _OF_THE_HOP
            | _CORS
            | _named(value for name, value in head.headers if name.lower() == "connection")
        )
        headers = CIMultiDict((n, v) for n, v in head.headers if n.lower() not in dropped)
        if headers.get("Location"):
            headers["Location"] = self._rewriter().url(headers["Location"])
        return headers

    def _rewriter(self) -> Rewriter:
        hosts = {self.location.authority, self.request.headers.get("Host", "")}
        return Rewriter(self.prefix, frozenset(hosts - {""}))

    async def _page(
        self, head: Head, headers: CIMultiDict[str], body: AsyncIterator[bytes]
    ) -> web.StreamResponse:
        """HTML with its links rewritten; one that is too long as it is."""
        start = b""
        async for data in body:
            start += data
            if len(start) > LARGEST_PAGE:
                return await self._stream(head, headers, _joined(start, body))
        rewriting = self._rewriter().page
        encoding = headers.get("Content-Encoding", "")
        found = await asyncio.to_thread(rewriting, start, encoding)
        headers.popall("Content-Length", None)
        return web.Response(
            status=head.code,
            reason=head.reason or None,
            headers=headers,
            body=start if found is None else found,
        )

    async def _stream(
        self, head: Head, headers: CIMultiDict[str], body: AsyncIterator[bytes]
    ) -> web.StreamResponse:
        response = web.StreamResponse(status=head.code, reason=head.reason or None, headers=headers)
        await response.prepare(self.request)
        async for data in body:
            await response.write(data)
        await response.write_eof()
        return response

    async def upgrade(self) -> web.StreamResponse:
        """Hand both directions on once the server has agreed; what it answers else is answered."""
        request, backend = self.request, BackendConnection(self.connection)
        upgrade = [
            ("Connection", "Upgrade"),
            *(
                (name, value)
                for name, value in request.headers.items()
                if name.lower() == "upgrade"
            ),
        ]
        await self._ask(backend, [*self._handed_on(), *upgrade])
        head = await backend.head()
        if head.code != 101 and head.code < 400:
            raise ApiError(f"invalid upgrade response: status code {head.code}")
        if head.code != 101:
            body = backend.body(head, request.method)
            return await self._stream(head, self._answered(head), body)
        agreed = {
            n: v for n, v in head.headers if n.lower() not in ("connection", "content-length")
        }
        pipe = await RawPipe.open(request, agreed)
        await _splice(pipe, backend, self.connection)
        return pipe.response


async def _splice(pipe: RawPipe, backend: BackendConnection, connection: PodConnection) -> None:
    """Copy both ways until one of them is over."""

    async def inward() -> None:
        while data := await pipe.receive():
            await connection.write(data)

    async def outward() -> None:
        async for data in backend.rest():
            await pipe.send(data)

    copying = [asyncio.create_task(inward()), asyncio.create_task(outward())]
    try:
        await asyncio.wait(copying, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in copying:
            task.cancel()
        await asyncio.gather(*copying, return_exceptions=True)
        await pipe.close()


async def _joined(start: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield start
    async for data in rest:
        yield data


def _named(values: object) -> frozenset[str]:
    """The headers that Connection headers name as being about the connection."""
    assert not isinstance(values, str)
    return frozenset(
        part.strip().lower()
        for value in values  # type: ignore[attr-defined]
        for part in value.split(",")
    )
