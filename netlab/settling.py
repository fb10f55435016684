"""What the API says of a lab as a whole: whether it has settled, and what it waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator
from typing import Protocol

from aiohttp import web

from netlab.client.settled import PATH
from netlab.errors import BadRequest

CALM_LOOKS, CALM_LOOKS_REMOTE = 3, 50
"""Looks in a row that must find nothing at work: events may be on their way."""

LOOK_AGAIN, LOOK_AGAIN_CALM = 0.005, 0.002
"""Seconds to the next look, when this one found something at work or nothing."""


Of = Collection[str] | None
"""Uids of objects of which only what comes of them counts, beside the lab's own; None: all does."""


class Saving(Protocol):
    """What keeps the objects."""

    @property
    def is_remote(self) -> bool:
        """Whether the controllers and nodes hear of a change only when it has come over a wire."""

    @property
    def is_stuck(self) -> bool:
        """Whether nothing changes, however long one waits."""

    def unsaved(self) -> Iterator[str]:
        """A line if no change can be saved."""


class Cluster(Protocol):
    """The controllers and nodes."""

    @property
    def failure(self) -> str | None:
        """Why the lab could not be built, if it could not."""

    def at_work(self, of: Of = None) -> Iterator[str]:
        """What is still being done, a line each."""

    def unready(self, of: Of = None) -> dict[str, bool]:
        """The pods that should be ready and are not; True if waiting will not make them so."""

    def lacking(self) -> Iterator[str]:
        """What else will not work without somebody doing something, a line each."""


class Settling:
    """Answers `/netlab/v1/settled`."""

    def __init__(self, saving: Saving, cluster: Cluster) -> None:
        self._saving = saving
        self._cluster = cluster

    def routes(self) -> list[web.RouteDef]:
        """What the API answers beside Kubernetes' own paths."""
        return [web.get(PATH, self._settled), web.post(PATH, self._settled)]

    def _is_settled(self, of: Of) -> bool:
        return self._saving.is_stuck or not any(self._cluster.at_work(of))

    async def _settled(self, request: web.Request) -> web.Response:
        """Wait until nothing changes by itself any more, or for `timeoutSeconds`.

        `atWork` has a line for each thing that is being done, `unreadyPods` says of pods whether
        they will not become ready by waiting, `lacking` what else only somebody can change. A body
        `{"of": [UID]}` says of which objects pods count.
        """
        of = await _of(request)
        await self._wait(float(request.query.get("timeoutSeconds", "10")), of)
        lacking = [*self._saving.unsaved(), *self._cluster.lacking()]
        return web.json_response(
            {
                "failed": self._cluster.failure,
                "settled": self._is_settled(of),
                "atWork": list(self._cluster.at_work(of)),
                "unreadyPods": self._cluster.unready(of),
                "lacking": lacking,
            }
        )

    async def _wait(self, seconds: float, of: Of) -> None:
        loop = asyncio.get_running_loop()
        deadline, calm = loop.time() + seconds, 0
        enough = CALM_LOOKS_REMOTE if self._saving.is_remote else CALM_LOOKS
        while calm < enough and loop.time() < deadline and self._cluster.failure is None:
            calm = calm + 1 if self._is_settled(of) else 0
            await asyncio.sleep(LOOK_AGAIN_CALM if calm else LOOK_AGAIN)


async def _of(request: web.Request) -> Of:
    if request.method == "GET":
        return None
    try:
        body = await request.json()
        return frozenset(map(str, body["of"]))
    except (ValueError, KeyError, TypeError) as error:
        raise BadRequest(f"which objects? {error}") from None
