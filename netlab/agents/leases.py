"""The nodes' heartbeats: a Lease of each in kube-node-lease, renewed as kubelets renew theirs."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Sequence
from typing import Any

from netlab.agents.loop import Loop
from netlab.client.protocol import Api
from netlab.errors import NetlabError, NotFound
from netlab.objects.meta import Object

log = logging.getLogger(__name__)

NAMESPACE = "kube-node-lease"
RENEWAL = 10.0
"""Seconds between two heartbeats of a node."""
DURATION = 40
"""Seconds without one after which a node counts as failed."""


class Leases:
    """Renews the leases of a lab's nodes for as long as their controller runs.

    `now` gives the time as `MicroTime` writes it: `2026-01-31T12:00:00.000000Z`.
    """

    def __init__(self, api: Api, nodes: Sequence[str], now: Callable[[], str]) -> None:
        self._api = api
        self._nodes = nodes
        self._now = now
        self._loop = Loop("leases", self._renew_all, every=lambda: RENEWAL)

    def start(self) -> None:
        """Renew now, and from then on."""
        self._loop.wake()
        self._loop.start()

    async def stop(self) -> None:
        """Renew no more; the leases stay, and run out."""
        await self._loop.stop()

    async def _renew_all(self, _: bool) -> None:
        for node in self._nodes:
            try:
                await self._renew(node)
            except NetlabError as error:
                log.warning("the lease of node %s is not renewed: %s", node, error)

    async def _renew(self, node: str) -> None:
        spec = {"holderIdentity": node, "leaseDurationSeconds": DURATION, "renewTime": self._now()}
        try:
            await self._api.patch("Lease", NAMESPACE, node, {"spec": spec})
        except NotFound:
            with contextlib.suppress(NotFound):  # of the Node: somebody deleted it
                owner = await self._api.get("Node", "", node)
                await self._create(lease(owner, spec))

    async def _create(self, obj: Object) -> None:
        try:
            await self._api.create(obj)
        except NotFound:  # not even the namespace is there any more
            namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
            await self._api.create(namespace)
            await self._api.create(obj)


def lease(node: Object, spec: dict[str, Any]) -> Object:
    """The Lease of a node, which goes with it."""
    metadata = node["metadata"]
    owner = {"apiVersion": "v1", "kind": "Node", "name": metadata["name"], "uid": metadata["uid"]}
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {
            "name": metadata["name"],
            "namespace": NAMESPACE,
            "ownerReferences": [owner],
        },
        "spec": spec,
    }
