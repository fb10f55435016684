"""What the API says of a node's network: NetworkUnavailable while it is broken, and Events.

A node whose network could not be put right at once is not Ready either, as a kubelet has it that
waits for its network plugin.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from netlab.agents.podevents import Recorder
from netlab.client.informer import Informers
from netlab.errors import NetlabError
from netlab.network import plan
from netlab.objects import bootstrap, meta
from netlab.objects.lab import Lab
from netlab.objects.meta import Object

log = logging.getLogger(__name__)

CHANGED, MENDED = "NetworkChanged", "NetworkMended"
_NOT_READY = (
    "container runtime network not ready: NetworkReady=false reason:NetworkChanged message:"
)


class NodeStatus:
    """Tells what is broken, of each namespace of a lab's network by its name."""

    def __init__(
        self, lab: Lab, informers: Informers, recorder: Recorder, now: Callable[[], str]
    ) -> None:
        self.broken: dict[str, str] = {}
        self._nodes = {plan.node_name(lab, node.name): node.name for node in lab.nodes}
        self._informers = informers
        self._recorder = recorder
        self._now = now

    async def found(self, damage: Mapping[str, str]) -> None:
        """This is amiss, and about to be put right."""
        for name, text in damage.items():
            if self.broken.get(name) != text:
                log.warning("network of %s, changed by hand: %s", name, text)
                self._recorder.warning(self._object(name), CHANGED, f"changed by hand: {text}")
                self.broken[name] = text
                await self._report(name, [bootstrap.network_unavailable(text)])

    async def remains(self, damage: Mapping[str, str], why: Iterable[object]) -> None:
        """This could not be put right, so far."""
        reasons = "; ".join(dict.fromkeys(str(each) for each in why))
        for name, text in damage.items():
            text = f"{text} ({reasons})" if reasons else text
            self.broken[name] = text
            message = f"{_NOT_READY}{text}"
            await self._report(
                name, [bootstrap.network_unavailable(text), bootstrap.not_ready(message)]
            )

    async def sound(self) -> None:
        """Everything is as planned."""
        for name, text in list(self.broken.items()):
            del self.broken[name]
            log.info("network of %s is as planned again", name)
            self._recorder.normal(self._object(name), MENDED, f"as planned again; before: {text}")
            await self._report(name, [bootstrap.network_available(), bootstrap.ready()])

    def _object(self, namespace: str) -> Object:
        """The node, or something like one for the other machines of the lab."""
        return self._node(self._nodes.get(namespace) or namespace.partition(".")[2])

    def _node(self, name: str) -> Object:
        metadata = {"name": name, "uid": name}
        known = self._informers["Node"].get(name)
        return known or {"apiVersion": "v1", "kind": "Node", "metadata": metadata}

    async def _report(self, namespace: str, wanted: list[dict[str, str]]) -> None:
        node = self._informers["Node"].get(self._nodes.get(namespace, ""))
        if node is None:
            return
        conditions = _with(meta.status(node).get("conditions") or [], wanted, self._now())
        if conditions is None:
            return
        try:
            await self._informers.patch_status(node, {"conditions": conditions})
        except NetlabError as error:
            log.error("node %s: status not written: %s", meta.name(node), error)


def _with(
    conditions: list[dict[str, Any]], wanted: list[dict[str, str]], now: str
) -> list[dict[str, Any]] | None:
    """The conditions with those wanted; None when nothing would change.

    Ready is given back only where it was us who took it.
    """
    by_type = {each["type"]: each for each in conditions}
    changed = False
    for new in wanted:
        old = by_type.get(new["type"], {})
        if new["type"] == "Ready" and new["status"] == "True" and not _is_ours(old):
            continue
        if any(old.get(key) != value for key, value in new.items()):
            moved = old.get("status") != new["status"]
            since = now if moved else old.get("lastTransitionTime", now)
            by_type[new["type"]] = {
                **new,
                "lastHeartbeatTime": now,
                "lastTransitionTime": since,
            }
            changed = True
    return list(by_type.values()) if changed else None


def _is_ours(ready: Mapping[str, Any]) -> bool:
    return ready.get("status") == "False" and str(ready.get("message", "")).startswith(_NOT_READY)
