"""How far a node's rules are, said in its Lease while somebody may be waiting for that.

Pods that end wait for the rules of all nodes (`draining`), and learn of other nodes by the API
alone. A node says up to which revision of the EndpointSlices its rules go; but only while pods
are ending, since nobody else asks.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable

from netlab.agents.lease import NAMESPACE, RULES
from netlab.agents.loop import Loop
from netlab.client.informer import Informers
from netlab.errors import NotFound
from netlab.objects import meta
from netlab.objects.types import Lease, Pod

_ENDING = "pods that end"


class RulesRevision:
    """Says in the Lease of `node` what `written` tells: the revision that its rules have."""

    def __init__(self, node: str, informers: Informers, written: Callable[[], int]) -> None:
        self._node = node
        self._api = informers.api
        self._pods = informers["Pod"]
        self._written = written
        self._said = 0
        self._loop = Loop(f"progress of {node}", self._work)

    def start(self) -> None:
        """Speak when somebody may listen."""
        self._pods.add_index(_ENDING, _ending)
        self._pods.add_listener(self._on_pod)
        self._loop.start()

    async def stop(self) -> None:
        """Speak no more."""
        self._pods.remove_listener(self._on_pod)
        await self._loop.stop()

    def look(self) -> None:
        """Rules were written."""
        if self._said < self._written() and self._pods.count(_ENDING, "yes"):
            self._loop.wake()

    def _on_pod(self, old: Pod | None, new: Pod | None) -> None:
        began = new is not None and meta.is_terminating(new)
        if began and not (old is not None and meta.is_terminating(old)):
            self.look()

    async def _work(self, _: bool) -> None:
        revision = self._written()
        note = {"metadata": {"annotations": {RULES: str(revision)}}}
        with contextlib.suppress(NotFound):  # it begins, or somebody deleted it: said next time
            await self._api.patch("Lease", NAMESPACE, self._node, note)
            self._said = revision


def _ending(pod: Pod) -> Iterable[str]:
    return ("yes",) if meta.is_terminating(pod) else ()


def said(lease: Lease) -> int | None:
    """The revision that the rules have of the node whose Lease this is, as far as it said; None
    for one that never says."""
    written = meta.annotations(lease).get(RULES, "")
    return int(written) if written.isdecimal() else None
