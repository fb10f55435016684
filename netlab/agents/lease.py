"""A node's heartbeat: its Lease in kube-node-lease, renewed as a kubelet renews it."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable

from netlab.agents.loop import Loop
from netlab.client.protocol import Api
from netlab.errors import NetlabError, NotFound
from netlab.objects import types

log = logging.getLogger(__name__)

NAMESPACE = "kube-node-lease"
RULES = "netlab/rules-revision"
"""The annotation that tells how far the node's rules are (`progress`)."""
RENEWALS = 4
"""Heartbeats of a node in the time after which it counts as lost without one, as a kubelet has it.
"""


class Lease:
    """Renews the Lease of `node` for as long as that is at work.

    Without a heartbeat for `grace` seconds the node counts as lost. `now` gives the time as
    `MicroTime` writes it: `2026-01-31T12:00:00.000000Z`.
    """

    def __init__(self, api: Api, node: str, grace: float, now: Callable[[], str]) -> None:
        self._api = api
        self._node = node
        self._duration = max(1, round(grace))
        self._now = now
        self._loop = Loop(f"lease of {node}", self._work, every=lambda: grace / RENEWALS)

    def start(self) -> None:
        """Renew now, and from then on."""
        self._loop.wake()
        self._loop.start()

    async def stop(self) -> None:
        """Renew no more; the Lease stays, and runs out."""
        await self._loop.stop()

    async def _work(self, _: bool) -> None:
        try:
            await self._renew()
        except NetlabError as error:
            log.warning("the lease of node %s is not renewed: %s", self._node, error)

    async def _renew(self) -> None:
        node = self._node
        spec: types.LeaseSpec = {
            "holderIdentity": node,
            "leaseDurationSeconds": self._duration,
            "renewTime": self._now(),
        }
        try:
            await self._api.patch("Lease", NAMESPACE, node, {"spec": spec})
        except NotFound:
            with contextlib.suppress(NotFound):  # of the Node: somebody deleted it
                owner: types.Node = await self._api.get("Node", "", node)
                await self._create(lease_object(owner, spec))

    async def _create(self, obj: types.Lease) -> None:
        try:
            await self._api.create(obj)
        except NotFound:  # not even the namespace is there any more
            namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
            await self._api.create(namespace)
            await self._api.create(obj)


def lease_object(node: types.Node, spec: types.LeaseSpec) -> types.Lease:
    """The Lease of a node, which goes with it."""
    metadata = node["metadata"]
    owner: types.OwnerReference = {
        "apiVersion": "v1",
        "kind": "Node",
        "name": metadata["name"],
        "uid": metadata["uid"],
    }
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {
            "name": metadata["name"],
            "namespace": NAMESPACE,
            "ownerReferences": [owner],
            "annotations": {RULES: "0"},
        },
        "spec": spec,
    }
