"""When others may go by the rules: a pod's server ends once no node sends it new connections.

A web server that is told to end at the same moment as the proxies are told to leave it out loses
the connections of those few milliseconds. Built-in servers do what well-written ones do (or what a
`preStop` of `sleep` does for the others): they go on answering until nobody is sent to them.

How far the rules of other nodes are, their Leases say (`progress`). Who sends connections to pods
without rules, as an Ingress controller does, is asked as well (`consider`).
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Callable, Iterable, Iterator

from netlab.agents import rules_revision
from netlab.agents.lease import NAMESPACE
from netlab.client.informer import Informers
from netlab.objects import meta
from netlab.objects.types import EndpointSlice, Lease, Node

LIMIT = 5.0
"""Seconds after which nobody waits any more for rules that are not written yet."""

LINGER = 0.05
"""Seconds for connections that were on their way when the last rules changed."""

KEPT = 10_000
"""Pods of which it is remembered when they were left out."""

_INDEX = "pods that are sent connections"


class Draining:
    """Knows which pods Services send connections to, and who has heard of that how far."""

    def __init__(self, informers: Informers) -> None:
        self._slices = informers["EndpointSlice"]
        self._leases = informers["Lease"]
        self._nodes = informers["Node"]
        self._left_out: dict[str, int] = {}
        """By pod: the revision of the slices since when no Service has it."""
        self._progress = asyncio.Event()
        self._written: float | None = None
        """The revision that all nodes' rules have, until one of them may have another."""
        self._others: list[Callable[[], Iterable[int]]] = []

    def consider(self, said: Callable[[], Iterable[int]]) -> None:
        """Ask `said` too for the revisions of EndpointSlices that have been heeded, each by
        somebody who sends connections to pods; he calls `progressed` when one is another."""
        self._others.append(said)

    def start(self) -> None:
        """Follow what Services have, and how far the rules are."""
        self._slices.add_index(_INDEX, _ready_pods)
        self._slices.add_listener(self._on_slice)
        self._leases.add_listener(self.progressed)
        self._nodes.add_listener(self.progressed)

    def stop(self) -> None:
        """Follow no longer."""
        self._slices.remove_listener(self._on_slice)
        self._leases.remove_listener(self.progressed)
        self._nodes.remove_listener(self.progressed)

    async def wait(self, uid: str, seconds: float) -> None:
        """Return once no new connection reaches the pod, or after `seconds` (at most `LIMIT`)."""
        if not self._slices.count(_INDEX, uid) and self._is_known(uid):
            return  # no Service has it, or everybody knows already
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(seconds, LIMIT)):
                while self._slices.count(_INDEX, uid) or not self._is_known(uid):
                    await self._progress.wait()
                await asyncio.sleep(LINGER)
        self._left_out.pop(uid, None)

    def _is_known(self, uid: str) -> bool:
        """Whether the rules of every node have that no Service has the pod."""
        revision = self._left_out.get(uid, 0)
        if not revision:
            return True
        if self._written is None:  # a thousand pods ask at once
            self._written = min(self._said(), default=math.inf)
        others = (said for others in self._others for said in others())
        return self._written >= revision and all(said >= revision for said in others)

    def _said(self) -> Iterator[int]:
        """What the nodes have said that live; one that was deleted routes nobody any more."""
        for node in self._nodes.items():
            lease = self._leases.get(f"{NAMESPACE}/{meta.name(node)}")
            said = rules_revision.said(lease) if lease and meta.is_ready(node) else None
            if said is not None:
                yield said

    def _on_slice(self, old: EndpointSlice | None, new: EndpointSlice | None) -> None:
        after = set(_ready_pods(new)) if new and (old or self._left_out) else set()
        for uid in after if self._left_out else ():
            self._left_out.pop(uid, None)
        if gone := set(_ready_pods(old)) - after if old else ():
            self._left_out |= dict.fromkeys(gone, self._slices.revision_of(new))
            while len(self._left_out) > KEPT:
                del self._left_out[next(iter(self._left_out))]
            self.progressed()

    def progressed(self, *_: Lease | Node | None) -> None:
        """Something happened that pods may be waiting for."""
        self._written = None
        self._progress.set()
        self._progress = asyncio.Event()


def _ready_pods(endpoint_slice: EndpointSlice) -> Iterable[str]:
    for endpoint in endpoint_slice.get("endpoints") or ():
        if (endpoint.get("conditions") or {}).get("ready", True):
            yield str((endpoint.get("targetRef") or {}).get("uid", ""))
