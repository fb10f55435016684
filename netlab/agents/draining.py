"""When others may go by the rules: a pod's server ends once no node sends it new connections.

A web server that is told to end at the same moment as the proxies are told to leave it out loses
the connections of those few milliseconds. Built-in servers do what well-written ones do (or what a
`preStop` of `sleep` does for the others): they go on answering until nobody is sent to them.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Sequence

from netlab.agents.proxy import ProxyAgent
from netlab.client.informer import Informers
from netlab.objects.meta import Object

LIMIT = 2.0
"""Seconds after which nobody waits any more for rules that are not written yet."""

LINGER = 0.05
"""Seconds for connections that were on their way when the last rules changed."""

_INDEX = "pods that are sent connections"


class Draining:
    """Knows which pods Services send connections to, and what the nodes' rules have of that."""

    def __init__(self, informers: Informers) -> None:
        self._slices = informers["EndpointSlice"]
        self._proxies: Callable[[], Sequence[ProxyAgent]] = tuple
        self._progress = asyncio.Event()

    def follow(self, proxies: Callable[[], Sequence[ProxyAgent]]) -> None:
        """Watch the rules of the nodes there are; each proxy is to call `progressed` after it
        wrote some."""
        self._proxies = proxies
        self._slices.add_index(_INDEX, _ready_pods)
        self._slices.add_listener(self.progressed)

    def progressed(self, *_: Object | None) -> None:
        """Something happened that pods may be waiting for."""
        self._progress.set()
        self._progress = asyncio.Event()

    async def wait(self, uid: str, seconds: float) -> None:
        """Return once no new connection reaches the pod, or after `seconds` (at most `LIMIT`)."""
        if not self._slices.count(_INDEX, uid) and all(proxy.idle for proxy in self._proxies()):
            return  # no Service has it, or everybody knows already
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(seconds, LIMIT)):
                await self._left_out(uid)
                await asyncio.sleep(LINGER)

    async def caught_up(self) -> None:
        """Return once every node's rules have what is known now, or after `LIMIT`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LIMIT):
                await self._written()

    async def _left_out(self, uid: str) -> None:
        while self._slices.count(_INDEX, uid):
            await self._progress.wait()
        await self._written()

    async def _written(self) -> None:
        heard = [(proxy, proxy.heard) for proxy in self._proxies()]
        while any(proxy.written < then for proxy, then in heard):
            await self._progress.wait()


def _ready_pods(endpoint_slice: Object) -> Iterable[str]:
    for endpoint in endpoint_slice.get("endpoints") or ():
        if (endpoint.get("conditions") or {}).get("ready", True):
            yield str((endpoint.get("targetRef") or {}).get("uid", ""))
