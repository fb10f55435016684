"""healthCheckNodePorts of one node: what load balancers ask to learn where endpoints are.

kube-proxy answers these itself; here the responder does, in the node's namespace, and says what
this controller told it last.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from netlab.agents.loop import Loop
from netlab.agents.responder_keeper import ResponderKeeper
from netlab.objects import meta
from netlab.proxy.syncer import HealthCheck
from netlab.workload.served import HealthAnswer

log = logging.getLogger(__name__)


class HealthPorts:
    """Keeps the responder told; `ips` are the node's addresses."""

    def __init__(
        self, node: str, netns: Path, ips: tuple[str, ...], keeper: ResponderKeeper
    ) -> None:
        self._node = node
        self._netns = netns
        self._ips = ips
        self._keeper = keeper
        self._answers: dict[int, HealthAnswer] = {}
        self._told: dict[int, HealthAnswer] | None = None
        self._left = False
        self._loop = Loop(f"health checks of {node}", self._work)

    def start(self) -> None:
        """Begin to tell; a responder started anew is told again."""
        self._keeper.on_restart(self._tell_again)
        self._loop.start()

    async def stop(self) -> None:
        """Tell no more; the ports go on saying what they say."""
        await self._loop.stop()

    async def leave(self) -> None:
        """Answer nothing any more: the node goes."""
        await self.stop()
        self._answers, self._left = {}, True
        await self._keeper.reached(self._tell)

    def update(self, checks: Mapping[int, HealthCheck]) -> None:
        """These ports, and no others, are to be answered."""
        self._answers = {port: answer(check) for port, check in checks.items()}
        if self._answers != self._told:
            self._loop.wake()

    async def _work(self, _: bool) -> None:
        await self._keeper.reached(self._tell)

    async def _tell_again(self) -> None:
        if not self._left:  # nor is there a namespace any more in which to answer
            await self._tell()

    async def _tell(self) -> None:
        answers = self._answers
        uid = f"health of {self._node}"
        problems = await self._keeper.client.health(uid, str(self._netns), self._ips, answers)
        for problem in problems:
            log.error("health checks of %s: %s", self._node, problem)
        self._told = answers


def answer(check: HealthCheck) -> HealthAnswer:
    """What kube-proxy says: 200 while the node has endpoints of the Service, else 503."""
    namespace, name = meta.split_key(check.service)
    body = {
        "service": {"namespace": namespace, "name": name},
        "localEndpoints": check.local_endpoints,
        "serviceProxyHealthy": True,
    }
    weight = {"X-Load-Balancing-Endpoint-Weight": str(check.local_endpoints)}
    return HealthAnswer(200 if check.local_endpoints else 503, body, weight)
