"""kube-proxy's own ports on a node: what it measures, and whether it is well.

    127.0.0.1:10249   /metrics, /proxyMode, /healthz, for the node itself
    :10256            /healthz, /livez, for load balancers that choose among nodes

As in kube-proxy. /healthz fails for a node that is about to go, so that no new connections come;
both fail when what is to be written stays unwritten for too long. The controller answers, in the
node's namespace.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from netlab.agents.pages import Answer, PagePorts
from netlab.objects import meta
from netlab.objects.types import Node
from netlab.proxy.metrics import ProxyMetrics

METRICS_PORT, HEALTH_PORT = 10249, 10256

LATE = 60.0
"""Seconds after which what is not written yet makes the proxy unwell: two sync periods."""

LEAVING = "ToBeDeletedByClusterAutoscaler"
"""The taint of a node that is about to be deleted."""


class MeasuredProxy(Protocol):
    """The node's proxy, as far as it is asked."""

    metrics: ProxyMetrics

    async def measured(self) -> str:
        """Its metrics as a text."""

    def waiting(self) -> float:
        """For how many seconds there has been something to write."""


class ProxyPorts:
    """Answers in the namespace `netns` of a node; `mode` is kube-proxy's, `node` gives the Node as
    it is known now. With `dual` it answers on both families."""

    def __init__(
        self,
        name: str,
        netns: Path,
        mode: str,
        proxy: MeasuredProxy,
        node: Callable[[], Node | None],
        *,
        dual: bool,
    ) -> None:
        self._mode = mode
        self._proxy = proxy
        self._node = node
        self._well = time.time()
        pages = {
            METRICS_PORT: {
                "/metrics": self._metrics,
                "/proxyMode": self._proxy_mode,
                "/healthz": self._alive,
            },
            HEALTH_PORT: {"/healthz": self._healthz, "/livez": self._livez},
        }
        own = frozenset({METRICS_PORT})
        self.pages = PagePorts(f"ports of the proxy of {name}", netns, pages, dual=dual, local=own)

    def start(self) -> None:
        """Open the ports; one that somebody else has is tried again."""
        self.pages.start()

    async def stop(self) -> None:
        """Answer nobody any more."""
        await self.pages.stop()

    # -- pages -----------------------------------------------------------------------------

    async def _metrics(self) -> Answer:
        kind = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"
        return Answer(200, await self._proxy.measured(), kind)

    async def _proxy_mode(self) -> Answer:
        return Answer(200, self._mode)

    async def _alive(self) -> Answer:
        return Answer(200, "ok")

    async def _healthz(self) -> Answer:
        eligible = is_eligible(self._node())
        return self._health("healthz", f', "nodeEligible": {str(eligible).lower()}', also=eligible)

    async def _livez(self) -> Answer:
        return self._health("livez", "")

    def _health(self, what: str, more: str, *, also: bool = True) -> Answer:
        now = time.time()
        if self._proxy.waiting() < LATE:
            self._well = now
        status = 200 if self._well == now and also else 503
        self._proxy.metrics.asked(what, status)
        text = f'{{"lastUpdated": "{_moment(self._well)}","currentTime": "{_moment(now)}"{more}}}'
        return Answer(status, text, "application/json")


def is_eligible(node: Node | None) -> bool:
    """Whether load balancers may choose the node: not when it is being deleted, or about to be."""
    if node is None:
        return True
    taints = meta.spec(node).get("taints") or ()
    return not meta.is_terminating(node) and all(one["key"] != LEAVING for one in taints)


def _moment(seconds: float) -> str:
    """A time as Go prints one."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S.%f +0000 UTC")
