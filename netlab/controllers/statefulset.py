"""StatefulSet: pods with lasting names, created and removed in the order of their numbers.

Volume claims are not served; older templates are not kept, so a `partition` holds pods back
from being replaced, but a pod below it that is lost comes back with the present template.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from netlab.controllers import pods as podlib
from netlab.controllers import revision
from netlab.controllers.controller import Controller, Watch, own_key
from netlab.controllers.ownership import claim, claims
from netlab.errors import NotFound
from netlab.objects import meta
from netlab.objects.meta import Object

NAME_LABEL = "statefulset.kubernetes.io/pod-name"
INDEX_LABEL = "apps.kubernetes.io/pod-index"

Numbered = dict[int, Object]


class StatefulSets(Controller):
    """Keeps each StatefulSet's numbered pods."""

    name = "statefulset-controller"

    def watches(self) -> Sequence[Watch]:
        """StatefulSets, and pods for those who own them or could."""
        return (Watch("StatefulSet", own_key), claims(self.informers, "StatefulSet", "Pod"))

    async def reconcile(self, key: str) -> float | None:
        """Take the next step, or in parallel all of them; then write the status."""
        owner = self.informers["StatefulSet"].get(key)
        if owner is None:
            return None
        claimed = await claim(self.informers, owner, "Pod")
        pods = {n: pod for pod in claimed if (n := number_of(owner, pod)) is not None}
        if not self.informers["StatefulSet"].is_going(owner):
            await self._step(owner, pods)
        await self._report(key)
        min_ready = podlib.min_ready_seconds(owner)
        return podlib.seconds_to_available(pods.values(), min_ready, self.context.clock())

    async def _step(self, owner: Object, pods: Numbered) -> None:
        if await self._fill(owner, pods) and await self._trim(owner, pods):
            await self._renew(owner, pods)

    async def _fill(self, owner: Object, pods: Numbered) -> bool:
        """Create what is missing, lowest number first; True when all are there and healthy."""
        healthy = True
        for number in numbers(owner):
            if pods.get(number) is None:
                await self._create(owner, number)
            elif podlib.is_finished(pods[number]):
                await self._delete(owner, pods[number])
            elif self._is_healthy(owner, pods[number]):
                continue
            healthy = False
            if not _is_parallel(owner):
                break
        return healthy or _is_parallel(owner)

    async def _trim(self, owner: Object, pods: Numbered) -> bool:
        """Delete surplus pods, highest number first; True when none is left."""
        surplus = sorted(set(pods) - set(numbers(owner)), reverse=True)
        for number in surplus:
            await self._delete(owner, pods[number])
            if not _is_parallel(owner):
                break
        return not surplus

    async def _renew(self, owner: Object, pods: Numbered) -> None:
        """Rolling update: replace the highest pod of an older template once all above are well."""
        strategy = meta.spec(owner).get("updateStrategy") or {}
        if strategy.get("type") == "OnDelete":
            return
        partition = int((strategy.get("rollingUpdate") or {}).get("partition") or 0)
        wanted = revision.update_revision(owner)
        for number in reversed(numbers(owner)[partition:]):
            pod = pods.get(number)
            if pod is None or not self._is_healthy(owner, pod):
                # A pod of the old template that never became ready would block its own repair.
                if pod is not None and _is_parallel(owner) and revision.of(pod) != wanted:
                    await self._delete(owner, pod)
                return
            if revision.of(pod) != wanted:
                await self._delete(owner, pod)
                return

    def _is_healthy(self, owner: Object, pod: Object) -> bool:
        wait = podlib.min_ready_seconds(owner)
        available = podlib.is_available(pod, wait, self.context.clock())
        return available and not self.informers["Pod"].is_going(pod)

    async def _create(self, owner: Object, number: int) -> None:
        pod = numbered_pod(owner, number)
        await self.informers.create(pod)
        self._tell(owner, "SuccessfulCreate", "create", meta.name(pod))

    async def _delete(self, owner: Object, pod: Object) -> None:
        if self.informers["Pod"].is_going(pod):
            return
        try:
            await self.informers.delete(pod)
        except NotFound:
            return
        self._tell(owner, "SuccessfulDelete", "delete", meta.name(pod))

    def _tell(self, owner: Object, reason: str, verb: str, pod: str) -> None:
        text = f"{verb} Pod {pod} in StatefulSet {meta.name(owner)} successful"
        self.recorder.normal(owner, reason, text)

    async def _report(self, key: str) -> None:
        owner = self.informers["StatefulSet"].get(key)
        if owner is None:
            return
        pods = self.informers["Pod"].by_index("controller", meta.uid(owner))
        await self.write_status(owner, status_of(owner, pods, self.context.clock()))


def numbers(owner: Object) -> range:
    """The ordinals that the set's pods should have."""
    start = int((meta.spec(owner).get("ordinals") or {}).get("start") or 0)
    return range(start, start + int(meta.spec(owner).get("replicas", 1)))


def number_of(owner: Object, pod: Object) -> int | None:
    """The ordinal at the end of the pod's name; None if it is not named after the set."""
    found = re.fullmatch(rf"{re.escape(meta.name(owner))}-(0|[1-9][0-9]*)", meta.name(pod))
    return int(found[1]) if found else None


def _is_parallel(owner: Object) -> bool:
    return bool(meta.spec(owner).get("podManagementPolicy") == "Parallel")


def numbered_pod(owner: Object, number: int) -> Object:
    """The pod of that ordinal: its name is also its hostname below the governing Service."""
    name = f"{meta.name(owner)}-{number}"
    pod = podlib.from_template(meta.spec(owner)["template"], owner, name)
    labels = pod["metadata"].setdefault("labels", {})
    labels |= {
        NAME_LABEL: name,
        INDEX_LABEL: str(number),
        revision.LABEL: revision.update_revision(owner),
    }
    pod["spec"]["hostname"] = name
    if subdomain := meta.spec(owner).get("serviceName"):
        pod["spec"]["subdomain"] = subdomain
    return pod


def status_of(owner: Object, pods: Iterable[Object], now: float) -> dict[str, Any]:
    """The status as a merge patch."""
    alive = [pod for pod in pods if not podlib.is_finished(pod)]
    wait = podlib.min_ready_seconds(owner)
    wanted = revision.update_revision(owner)
    staying = [pod for pod in alive if not meta.is_terminating(pod)]
    updated = sum(revision.of(pod) == wanted for pod in staying)
    ready = sum(map(meta.is_ready, alive))
    current = meta.status(owner).get("currentRevision") or wanted
    if updated == len(alive) == ready == len(numbers(owner)):
        current = wanted
    return {
        "observedGeneration": owner["metadata"].get("generation"),
        "replicas": len(alive),
        "readyReplicas": ready or None,
        "availableReplicas": sum(podlib.is_available(pod, wait, now) for pod in alive),
        "currentReplicas": sum(revision.of(pod) == current for pod in staying) or None,
        "updatedReplicas": updated or None,
        "currentRevision": current,
        "updateRevision": wanted,
        "collisionCount": 0,
    }
