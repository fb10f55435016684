"""One more machine for a lab that runs: what it has is chosen, and its Node made, in one step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from aiohttp import web

from netlab.errors import BadRequest
from netlab.objects.meta import Object


class Joined(Protocol):
    """What keeps the Nodes."""

    def join(self, entry: Mapping[str, Any]) -> Object:
        """Make the Node of one more machine; what the entry does not say is chosen."""


class Joining:
    """Answers `/netlab/v1/nodes`."""

    def __init__(self, nodes: Joined) -> None:
        self._nodes = nodes

    def routes(self) -> list[web.RouteDef]:
        """What the API answers beside Kubernetes' own paths."""
        return [web.post("/netlab/v1/nodes", self._join)]

    async def _join(self, request: web.Request) -> web.Response:
        """Add a node: an entry of `spec.nodes` of a lab's file, of which the name is enough."""
        try:
            entry = await request.json()
        except ValueError as error:
            raise BadRequest(f"the node cannot be read: {error}") from None
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
            raise BadRequest("the node must be a mapping with a name")
        return web.json_response(self._nodes.join(entry), status=201)
