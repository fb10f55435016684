"""What the API says of a node's network: NetworkUnavailable while it is broken, and Events.

A node whose network could not be put right at once is not Ready either, as a kubelet has it that
waits for its network plugin.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from netlab.agents.podevents import Recorder
from netlab.client.informer import Informers
from netlab.errors import NetlabError
from netlab.objects import bootstrap, meta
from netlab.objects.types import Node, NodeCondition, ObjectMeta

log = logging.getLogger(__name__)

CHANGED, MENDED = "NetworkChanged", "NetworkMended"
_NOT_READY = (
    "container runtime network not ready: NetworkReady=false reason:NetworkChanged message:"
)


class NodeStatus:
    """Tells what is broken in the network of one node, or of another machine of a lab."""

    def __init__(
        self, name: str, informers: Informers, recorder: Recorder, now: Callable[[], str]
    ) -> None:
        self.broken: str | None = None
        """What is amiss, if anything is."""
        self._name = name
        self._nodes = informers["Node"]
        self._informers = informers
        self._recorder = recorder
        self._now = now

    async def found(self, text: str) -> None:
        """This is amiss, and about to be put right."""
        if self.broken != text:
            log.warning("network of %s, changed by hand: %s", self._name, text)
            self._recorder.warning(self._object(), CHANGED, f"changed by hand: {text}")
            self.broken = text
            await self._report(bootstrap.network_unavailable(text))

    async def remains(self, text: str) -> None:
        """This could not be put right, so far."""
        self.broken = text
        message = f"{_NOT_READY}{text}"
        await self._report(bootstrap.network_unavailable(text), bootstrap.not_ready(message))

    async def sound(self) -> None:
        """Everything is as planned."""
        if self.broken is not None:
            text, self.broken = self.broken, None
            log.info("network of %s is as planned again", self._name)
            self._recorder.normal(self._object(), MENDED, f"as planned again; before: {text}")
            await self._report(bootstrap.network_available(), bootstrap.ready())

    def _object(self) -> Node:
        """The node, or something like one for the other machines of the lab."""
        metadata: ObjectMeta = {"name": self._name, "uid": self._name}
        known = self._nodes.get(self._name)
        return known or {"apiVersion": "v1", "kind": "Node", "metadata": metadata}

    async def _report(self, *wanted: NodeCondition) -> None:
        node = self._nodes.get(self._name)
        if node is None:
            return
        conditions = _with(meta.status(node).get("conditions") or [], wanted, self._now())
        if conditions is None:
            return
        try:
            await self._informers.patch_status(node, {"conditions": conditions})
        except NetlabError as error:
            log.error("node %s: status not written: %s", self._name, error)


def _with(
    conditions: Iterable[NodeCondition], wanted: Iterable[NodeCondition], now: str
) -> list[NodeCondition] | None:
    """The conditions with those wanted; None when nothing would change.

    Ready is given back only where it was us who took it.
    """
    by_type = {each["type"]: each for each in conditions}
    changed = False
    for new in wanted:
        old = by_type.get(new["type"])
        if new["type"] == "Ready" and new["status"] == "True" and not _is_ours(old):
            continue
        if old is None or not new.items() <= old.items():
            since = now
            if old is not None and old.get("status") == new["status"]:
                since = old.get("lastTransitionTime", now)
            by_type[new["type"]] = {
                **new,
                "lastHeartbeatTime": now,
                "lastTransitionTime": since,
            }
            changed = True
    return list(by_type.values()) if changed else None


def _is_ours(ready: NodeCondition | None) -> bool:
    if ready is None or ready.get("status") != "False":
        return False
    return ready.get("message", "").startswith(_NOT_READY)
