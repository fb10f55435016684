"""How the cluster's DNS says that it is well, and what it counts: its Corefile's `health`, `ready`
and `prometheus`, on ports of its pod."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from netlab import exposition
from netlab.agents.pages import Answer, Page, PagePorts
from netlab.dns.server import DnsServer
from netlab.dns.terms import PAGES, PagePlace
from netlab.errors import NetlabError

_TEXT = "text/plain; charset=utf-8"


class DnsPages:
    """Those of a `server` that is `ready` once it has all names."""

    def __init__(self, server: DnsServer, ready: Callable[[], bool]) -> None:
        self._server = server
        self._ready = ready
        self._netns: Path | None = None
        self._open: PagePorts | None = None
        self._places: tuple[PagePlace, ...] = ()

    async def start(self, netns: Path) -> None:
        """Answer in a pod's namespace, where the server's terms say."""
        self._netns = netns
        await self.renew()

    async def renew(self) -> None:
        """Answer where the terms say now, if anywhere."""
        places = self._server.terms.pages
        if self._netns is None or (self._open is not None and places == self._places):
            return
        if self._open is not None:
            await self._open.stop()
        said = {"health": self._health, "ready": self._readiness, "prometheus": self._metrics}
        pages: dict[int, dict[str, Page]] = {}
        for place in places:
            path = PAGES[place.plugin][1]
            pages.setdefault(place.port, {})[path] = said[place.plugin]
        local = frozenset(place.port for place in places if place.local)
        name = "pages of the cluster's DNS"
        self._open = PagePorts(name, self._netns, pages, dual=self._server.dual, local=local)
        self._places = places
        self._open.start()

    async def stop(self) -> None:
        """Answer nobody any more. Idempotent."""
        if self._open is not None:
            await self._open.stop()
        self._open = self._netns = None

    async def _health(self) -> Answer:
        return Answer(200, "OK", _TEXT)

    async def _readiness(self) -> Answer:
        return Answer(200, "OK", _TEXT) if self._ready() else Answer(503, "kubernetes", _TEXT)

    async def _metrics(self) -> Answer:
        try:
            return Answer(200, await self._server.counted(), exposition.FORMAT)
        except NetlabError as error:
            return Answer(503, f"{error.message}\n", _TEXT)
