"""The Api protocol over HTTP: this lab's API on its unix socket, or any Kubernetes API at a URL."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from netlab.client import tcp
from netlab.client.endpoint import ApiEndpoint, Where, endpoint
from netlab.client.protocol import Propagation
from netlab.client.sync import error_from
from netlab.client.wire import BrokenAnswer, unreachable
from netlab.objects.kinds import BY_KIND
from netlab.objects.meta import AnyObject, Object
from netlab.objects.watch import Event, ObjectList

_MERGE_PATCH = "application/merge-patch+json"
_TIMEOUT = aiohttp.ClientTimeout(total=30)
_NO_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=10)
_STEP = 64 * 1024


class HttpApi:
    """Implements `client.protocol.Api`. Made inside a running loop; `close` when done.

    A broken connection raises a `NetlabError` (or ends the watch): whoever watches lists again.
    """

    def __init__(self, where: Where) -> None:
        self._endpoint = endpoint(where)
        self._session = aiohttp.ClientSession(
            connector=_connector(self._endpoint), headers=self._endpoint.headers
        )

    async def close(self) -> None:
        """Close all connections; watches still open end with an error."""
        await self._session.close()

    async def __aenter__(self) -> HttpApi:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # -- the protocol ----------------------------------------------------------------------

    async def list(
        self,
        kind: str,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
    ) -> ObjectList:
        """All objects of a kind, in one namespace or (None) in all."""
        query = _query(labelSelector=label_selector, fieldSelector=field_selector)
        answer = await self._json("GET", BY_KIND[kind].path(namespace or ""), query=query)
        items = [BY_KIND[kind].typed(item) for item in answer.get("items") or []]
        return ObjectList(items, str(answer["metadata"].get("resourceVersion", "")))

    async def watch(
        self,
        kind: str,
        namespace: str | None = None,
        *,
        resource_version: str,
        label_selector: str = "",
        field_selector: str = "",
    ) -> AsyncGenerator[Event, None]:
        """Every change after `resource_version`, until the server or the caller ends it."""
        query = _query(
            watch="true",
            resourceVersion=resource_version,
            labelSelector=label_selector,
            fieldSelector=field_selector,
        )
        path = BY_KIND[kind].path(namespace or "")
        async with self._request("GET", path, query=query, timeout=_NO_TIMEOUT) as response:
            async for line in _lines(response):
                event = json.loads(line)
                yield Event(event["type"], event["object"])

    async def get(self, kind: str, namespace: str, name: str) -> Object:
        """One object; `NotFound` if there is none."""
        return await self._json("GET", BY_KIND[kind].path(namespace, name))

    async def create(self, obj: AnyObject) -> Object:
        """Create; returns it as stored. A Binding binds its pod, and a Status comes back; a
        TokenRequest comes back with its token."""
        space = obj["metadata"].get("namespace") or "default"
        if obj["kind"] == "Binding":
            path = BY_KIND["Pod"].path(space, obj["metadata"]["name"], "binding")
            return await self._json("POST", path, obj)
        if obj["kind"] == "TokenRequest":
            path = BY_KIND["ServiceAccount"].path(space, obj["metadata"]["name"], "token")
            return await self._json("POST", path, obj)
        return await self._json("POST", BY_KIND[obj["kind"]].path(space), obj)

    async def update(self, obj: AnyObject, *, subresource: str = "") -> Object:
        """Replace, `Conflict` unless metadata.resourceVersion is current (or absent)."""
        space = obj["metadata"].get("namespace") or "default"
        path = BY_KIND[obj["kind"]].path(space, obj["metadata"]["name"], subresource)
        return await self._json("PUT", path, obj)

    async def patch(
        self,
        kind: str,
        namespace: str,
        name: str,
        patch: Mapping[str, Any],
        *,
        subresource: str = "",
    ) -> Object:
        """Apply a JSON merge patch (null removes)."""
        path = BY_KIND[kind].path(namespace, name, subresource)
        return await self._json("PATCH", path, patch, content_type=_MERGE_PATCH)

    async def patch_status(
        self, kind: str, namespace: str, name: str, status: Mapping[str, Any]
    ) -> Object:
        """Merge-patch `status` alone."""
        return await self.patch(kind, namespace, name, {"status": status}, subresource="status")

    async def delete(
        self,
        kind: str,
        namespace: str,
        name: str,
        *,
        grace_period: int | None = None,
        uid: str = "",
        propagation: Propagation = "Background",
    ) -> None:
        """Ask for deletion; with `grace_period=0` the object is gone on return."""
        options: Object = {"kind": "DeleteOptions", "apiVersion": "v1"}
        options["propagationPolicy"] = propagation
        if grace_period is not None:
            options["gracePeriodSeconds"] = grace_period
        if uid:
            options["preconditions"] = {"uid": uid}
        await self._json("DELETE", BY_KIND[kind].path(namespace, name), options)

    # -- the wire --------------------------------------------------------------------------

    async def _json(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        query: Mapping[str, str] | None = None,
        content_type: str = "application/json",
    ) -> Object:
        async with self._request(
            method, path, body, query=query, content_type=content_type
        ) as response:
            answer: Object = json.loads(await response.read())
            return answer

    @asynccontextmanager
    async def _request(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        query: Mapping[str, str] | None = None,
        content_type: str = "application/json",
        timeout: aiohttp.ClientTimeout = _TIMEOUT,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """A good answer, its body still to be read; ApiError for a bad one."""
        headers = {"Accept": "application/json"}
        data = None
        if body is not None:
            headers["Content-Type"] = content_type
            data = json.dumps(body, separators=(",", ":")).encode()
        try:
            async with self._session.request(
                method,
                self._endpoint.url + path,
                params=query,
                data=data,
                headers=headers,
                timeout=timeout,
                server_hostname=self._endpoint.server_name or None,
            ) as response:
                if response.status >= 300:
                    raise error_from(response.status, await response.read())
                yield response
        except aiohttp.ClientConnectorError as error:
            raise unreachable(self._endpoint, error) from None
        except (aiohttp.ClientError, ConnectionError):
            raise BrokenAnswer(f"the connection to {self._endpoint.where} was lost") from None


def _connector(server: ApiEndpoint) -> aiohttp.BaseConnector:
    if server.socket:
        return aiohttp.UnixConnector(server.socket, limit=0)
    return aiohttp.TCPConnector(limit=0, ssl=tcp.context(server))


async def _lines(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """The body's lines as they come; one may be of any length."""
    rest = bytearray()
    async for chunk in response.content.iter_chunked(_STEP):
        rest += chunk
        *whole, last = rest.split(b"\n")
        for line in whole:
            if line:
                yield bytes(line)
        rest = last


def _query(**parameters: str) -> dict[str, str]:
    return {name: value for name, value in parameters.items() if value}
