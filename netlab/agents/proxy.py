"""kube-proxy's part on each node: watches Services, EndpointSlices and the ranges of Services'
addresses, programs the rules.

Every node has a thread of its own, so that a slow restore on one holds up no other. Changes that
arrive while a restore runs are taken together by the next one, which in a flood of them waits for
more (`pace`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from netlab.agents.loop import Loop
from netlab.agents.pace import BURST, Pace
from netlab.client.informer import Informers, Listener
from netlab.kernel.notices import Notices
from netlab.objects import meta
from netlab.objects.nodes import is_left
from netlab.objects.types import EndpointSlice, Node, Service, ServiceCIDR
from netlab.proxy.metrics import Inventory, ProxyMetrics
from netlab.proxy.other_rules import OwnedRules
from netlab.proxy.syncer import HealthCheck
from netlab.retry import Retry

log = logging.getLogger(__name__)

REPAIR_INTERVAL, REPAIR_INTERVAL_DEAF = 1.0, 0.25
"""Seconds between looks at the kernel for rules that somebody deleted by hand: only to be sure
where it tells of that by itself (nf_tables), and where it does not (legacy tables)."""

RETRY = Retry(0.1, 5.0)

REST, REST_CAP = 4.0, 10.0
"""So many times as long as a look takes that found nothing to repair there is no other, and the
most seconds: with many Services a look is expensive, and others may change rules of their own."""

KINDS = ("Service", "EndpointSlice", "ServiceCIDR", "Node")


def crowd(nodes: int) -> float:
    """By how much longer each node's rules wait in a flood for there being so many beside it."""
    return max(1.0, nodes / (2 * (os.cpu_count() or 1)))


class Programmer(Protocol):
    """What programs one node; called by one thread at a time (`proxy.syncer.Proxier`)."""

    metrics: ProxyMetrics

    def set_node(self, node: Node) -> None:
        """Take the node's own object: its labels decide about topology hints."""

    def set_service(self, key: str, service: Service | None) -> None:
        """Take a Service, None when it is gone."""

    def set_slice(self, key: str, endpoint_slice: EndpointSlice | None) -> None:
        """Take an EndpointSlice, None when it is gone."""

    def set_range(self, name: str, service_cidr: ServiceCIDR | None) -> None:
        """Take a ServiceCIDR, None when it is gone."""

    def owned(self, owner: str, follows: frozenset[str] = frozenset()) -> OwnedRules:
        """The node's rules of somebody else, as a policy's, which it writes along with its own. In
        the built-in chains that he `follows` he comes after kube-proxy."""

    def sync(self) -> object:
        """Make the kernel's rules match."""

    def health_checks(self) -> dict[int, HealthCheck]:
        """What each healthCheckNodePort is to say, as of the last sync."""

    def inventory(self) -> Inventory:
        """What there is by now, for whoever asks for metrics."""

    def repair(self) -> bool:
        """Look whether the rules are still there; True if they had to be written again."""

    def notices(self) -> Notices | None:
        """What hears that somebody wrote rules; None where nobody tells. The caller closes it."""


class KubeProxy:
    """The proxy of one node. `on_sync` is called in the event loop after each successful sync,
    `on_repair` when somebody had changed the rules.

    `heard` counts the changes it was told of, `written` those that are in the kernel, and
    `revision` is that of the EndpointSlices there. `health` is what the healthCheckNodePorts are to
    say. One that `stands_still`, as its Node says, hears, but writes nothing until it goes on.
    """

    def __init__(
        self,
        node: str,
        programmer: Programmer,
        informers: Informers,
        on_sync: Callable[[KubeProxy], None] = lambda _: None,
        on_repair: Callable[[KubeProxy], None] = lambda _: None,
    ) -> None:
        self.node = node
        self.heard = self.written = self.revision = 0
        self._heard_revision = 0
        self.stands_still = False
        self.health: dict[int, HealthCheck] = {}
        self._health_services: set[str] = set()
        self._programmer = programmer
        self.metrics = programmer.metrics
        self._unwritten_since: float | None = None
        self._informers = informers
        self._on_sync = on_sync
        self._on_repair = on_repair
        self._progress = asyncio.Event()
        self._listeners: dict[str, Listener[Any]] = {}
        self._notices: Notices | None = None
        self._repaired = False
        self._pending: dict[tuple[str, str], Any] = {}
        self._pace = Pace(burst=BURST)
        self._loop = Loop(
            f"proxy of {node}",
            self._work,
            retry=RETRY,
            every=self._patience,
            pace=self._pace,
        )
        self._loop.wake()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"proxy-{node}")

    @property
    def idle(self) -> bool:
        """True when the kernel has everything that the informers have."""
        return self._loop.idle

    @property
    def error(self) -> str | None:
        """Why the rules could not be written the last time, if they could not."""
        return self._loop.error

    def owned(self, owner: str, follows: frozenset[str] = frozenset()) -> OwnedRules:
        """As `Programmer.owned`; `wake` says that they were set."""
        return self._programmer.owned(owner, follows)

    def wake(self) -> None:
        """Somebody whose rules are written along (`Programmer.owned`) has set others."""
        self.heard += 1
        self._loop.wake()

    async def caught_up(self) -> None:
        """Return once the rules have what is known now, or nobody writes them any more."""
        heard = self.heard
        while self.written < heard and self._loop.runs and not self.stands_still:
            await self._progress.wait()

    async def measured(self) -> str:
        """Its metrics, as Prometheus reads them."""
        there = await asyncio.get_running_loop().run_in_executor(
            self._thread, self._programmer.inventory
        )
        return self.metrics.text(there)

    def waiting(self) -> float:
        """For how many seconds there has been something to write."""
        since = self._unwritten_since
        return 0.0 if since is None else time.monotonic() - since

    def at_work(self) -> Iterator[str]:
        """As `Working` says."""
        if not self.idle:
            yield f"rules of node {self.node}: {self.error or 'being written'}"

    async def start(self) -> None:
        """Listen, and begin with a full sync. Informers must have synced."""
        for kind in KINDS:
            listener = self._listeners[kind] = self._listener(kind)
            self._informers[kind].add_listener(listener)
        self._notices = self._programmer.notices()
        if self._notices is not None:
            asyncio.get_running_loop().add_reader(self._notices.fileno(), self._on_notice)
        self._loop.start()

    async def stop(self) -> None:
        """Stop; the rules stay in force."""
        while self._listeners:
            kind, listener = self._listeners.popitem()
            self._informers[kind].remove_listener(listener)
        await self._loop.stop()
        self._progress.set()
        self._thread.shutdown(wait=True)
        if self._notices is not None:
            asyncio.get_running_loop().remove_reader(self._notices.fileno())
            self._notices.close()

    def _on_notice(self) -> None:
        assert self._notices is not None
        self._notices.take()
        self._loop.look()

    def _listener(self, kind: str) -> Listener[Any]:
        def listen(old: Any, new: Any) -> None:
            either = new if new is not None else old
            assert either is not None
            if kind == "Node":
                self._pace.crowd = crowd(len(self._informers[kind].items()))
                if meta.name(either) != self.node:
                    return
            self._pending[kind, meta.key(either)] = new
            if kind == "Node":
                self.stands_still = is_left(new, "rules")
            if kind == "EndpointSlice":
                revision = self._informers[kind].revision_of(new)
                self._heard_revision = max(self._heard_revision, revision)
            if kind == "Service":
                self._note_health_check(meta.key(either), new)
            self.metrics.changed(kind)
            self.heard += 1
            if self._unwritten_since is None:
                self._unwritten_since = time.monotonic()
            self._loop.wake()

        return listen

    def _note_health_check(self, key: str, service: Service | None) -> None:
        """Few Services have a health check; only for their sake all are looked through."""
        if service is not None and meta.spec(service).get("healthCheckNodePort"):
            self._health_services.add(key)
        else:
            self._health_services.discard(key)

    def _patience(self) -> float:
        return REPAIR_INTERVAL if self._notices else REPAIR_INTERVAL_DEAF

    async def _work(self, changed: bool) -> None:
        if self.stands_still:
            self._hasten()
            return
        heard, revision = self.heard, self._heard_revision
        await self._in_thread(self._sync_job() if changed else self._repair)
        if changed:
            self.written, self.revision = heard, revision
            self._unwritten_since = None if heard == self.heard else time.monotonic()
            self._hasten()
        self._on_sync(self)
        if self._repaired:
            self._repaired = False
            self._on_repair(self)

    def _hasten(self) -> None:
        """Whoever waits for rules is to look again."""
        self._progress.set()
        self._progress = asyncio.Event()

    async def _in_thread(self, function: Callable[[], None]) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._unheard, function)

    def _unheard(self, function: Callable[[], None]) -> None:
        """What we write ourselves is no news."""
        with self._notices.deaf() if self._notices else contextlib.nullcontext():
            function()

    def _sync_job(self) -> Callable[[], None]:
        has_health_checks = bool(self._health_services)
        pending, self._pending = self._pending, {}  # here, as listeners run in this thread too

        def sync() -> None:
            for (kind, key), obj in pending.items():
                self._take(kind, key, obj)
            self._programmer.sync()
            self.health = self._programmer.health_checks() if has_health_checks else {}

        return sync

    def _take(self, kind: str, key: str, obj: Any) -> None:
        if kind == "Service":
            self._programmer.set_service(key, obj)
        elif kind == "EndpointSlice":
            self._programmer.set_slice(key, obj)
        elif kind == "ServiceCIDR":
            self._programmer.set_range(key, obj)
        elif obj is not None:
            self._programmer.set_node(obj)

    def _repair(self) -> None:
        started = time.monotonic()
        repaired = self._programmer.repair()
        self._loop.rest = 0.0 if repaired else min(REST * (time.monotonic() - started), REST_CAP)
        if repaired:
            log.warning("proxy of %s: rules had been changed by hand, repaired", self.node)
            self._repaired = True
