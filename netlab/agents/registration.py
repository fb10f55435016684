"""A node's own Node object: made where there is none, and reported on, as a kubelet does.

Everybody goes by what the object says of the node. What a node knows of itself better than anybody
(its addresses), it says again when somebody has written something else there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import asdict

from netlab.agents.loop import Loop
from netlab.client.informer import Informers
from netlab.client.protocol import Api
from netlab.errors import AlreadyExists, NotFound
from netlab.kernel.machine import MachineFacts
from netlab.objects import bootstrap, meta, types
from netlab.objects.lab import Node


async def register(
    api: Api, node: Node, facts: MachineFacts, now: str, *, create: bool = True
) -> None:
    """Make the Node object if it is not there and to be made; report on one that is not Ready."""
    try:
        known: types.Node = await api.get("Node", "", node.name)
    except NotFound:
        if not create:
            return
        known = await _create(api, bootstrap.node_object(node, facts.architecture))
    if not meta.is_ready(known):
        await api.update(
            {**known, "status": _status(node, known, facts, now)}, subresource="status"
        )


async def _create(api: Api, obj: types.Node) -> types.Node:
    try:
        known: types.Node = await api.create(obj)
    except AlreadyExists:  # `up` makes it, too
        known = await api.get("Node", "", meta.name(obj))
    return known


class Registration:
    """Keeps the Node object of `node` saying what that is; `now` gives the time."""

    def __init__(
        self, node: Node, informers: Informers, facts: MachineFacts, now: Callable[[], str]
    ) -> None:
        self._node = node
        self._informers = informers
        self._facts = facts
        self._now = now
        self._loop = Loop(f"registration of {node.name}", self._work)

    def start(self) -> None:
        """Say what is missing, now and from now on."""
        self._informers["Node"].add_listener(self._on_node)
        self._loop.start()

    async def stop(self) -> None:
        """Say no more; what was said stands."""
        self._informers["Node"].remove_listener(self._on_node)
        await self._loop.stop()

    def _on_node(self, _: types.Node | None, new: types.Node | None) -> None:
        if new is not None and meta.name(new) == self._node.name and not self._is_said(new):
            self._loop.wake()

    async def _work(self, _: bool) -> None:
        known = self._informers["Node"].get(self._node.name)
        if known is None or self._is_said(known):
            return
        lacking = _lacking(known, bootstrap.node_object(self._node, self._facts.architecture))
        if lacking:
            known = await self._informers.patch(known, lacking)
        if not _has_reported(known):
            status = _status(self._node, known, self._facts, self._now())
            said: types.Node = {**known, "status": status}
            await self._informers.update(said, subresource="status")
        else:
            addresses = {"addresses": bootstrap.node_addresses(self._node)}
            await self._informers.patch_status(known, addresses)

    def _is_said(self, known: types.Node) -> bool:
        addresses = meta.status(known).get("addresses") or []
        return _has_reported(known) and addresses == bootstrap.node_addresses(self._node)


def _has_reported(known: types.Node) -> bool:
    """Whether anything is known of the node; one that said nothing for a while is not known."""
    ready = meta.condition(known, "Ready")
    return ready is not None and ready.get("status") != "Unknown"


def _lacking(known: types.Node, own: types.Node) -> dict[str, Any]:
    """A patch with what an object that somebody else made lacks of the node's own."""
    labels = own["metadata"]["labels"].items() - meta.labels(known).items()
    missing = {name: value for name, value in labels if name not in meta.labels(known)}
    patch: dict[str, Any] = {"metadata": {"labels": missing}} if missing else {}
    if not meta.spec(known).get("podCIDRs"):
        patch["spec"] = {name: own["spec"][name] for name in ("podCIDR", "podCIDRs")}
    return patch


def _status(node: Node, known: types.Node, facts: MachineFacts, now: str) -> types.NodeStatus:
    return bootstrap.node_status(node, meta.uid(known), **asdict(facts), now=now)
