"""StatefulSet: pods with lasting names, created and removed in the order of their numbers.

The status' currentRevision is the one that all pods had before a rolling update, and its end
makes the updateRevision the current one. A pod below the `partition` that is lost comes back
with the current revision's template. Its claims are made before a pod is (`setclaims`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct

from netlab.controllers import history, setclaims
from netlab.controllers import pods as podlib
from netlab.controllers.controller import Controller, WatchedKind, omit_empty, own_key
from netlab.controllers.ownership import claim, claims
from netlab.errors import NotFound
from netlab.objects import meta
from netlab.objects.podphase import is_pod_terminal
from netlab.objects.types import (
    ControllerRevision,
    PersistentVolumeClaim,
    Pod,
    StatefulSet,
    StatefulSetStatus,
)

NAME_LABEL = "statefulset.kubernetes.io/pod-name"
INDEX_LABEL = "apps.kubernetes.io/pod-index"

Numbered = dict[int, Pod]


class Revisions(Struct, frozen=True):
    """The revision that held before the present template did, and the present one's."""

    current: ControllerRevision
    update: ControllerRevision

    @property
    def names(self) -> tuple[str, str]:
        """(current, update)."""
        return meta.name(self.current), meta.name(self.update)


class StatefulSets(Controller):
    """Keeps each StatefulSet's numbered pods."""

    name = "statefulset-controller"

    def watches(self) -> Sequence[WatchedKind]:
        """StatefulSets, and pods and revisions for those who own them or could."""
        return (
            WatchedKind("StatefulSet", own_key),
            claims(self.informers, "StatefulSet", "Pod"),
            claims(self.informers, "StatefulSet", history.KIND),
            WatchedKind("PersistentVolumeClaim", self._awaited),
        )

    def _awaited(
        self, old: PersistentVolumeClaim | None, new: PersistentVolumeClaim | None
    ) -> Iterable[str]:
        """Claims are looked at when pods are; of one that is gone, a pod may have waited for it."""
        return () if old is None or new is not None else setclaims.sets_of(self.informers, old)

    async def reconcile(self, key: str) -> float | None:
        """Take the next step, or in parallel all of them; then write the status."""
        owner = self.informers["StatefulSet"].get(key)
        if owner is None:
            return None
        claimed = await claim(self.informers, owner, self.informers["Pod"])
        pods = {n: pod for pod in claimed if (n := number_of(owner, pod)) is not None}
        if self.informers["StatefulSet"].is_going(owner):
            await self._report(key, known_revisions(owner))
        elif (revisions := await self._keep_history(owner, claimed)) is not None:
            await self._step(owner, pods, revisions)
            await setclaims.own(self.informers, owner, pods, set(numbers(owner)))
            await self._report(key, revisions.names)
        min_ready = podlib.min_ready_seconds(owner)
        return podlib.seconds_to_available(pods.values(), min_ready, self.context.clock())

    async def _keep_history(self, owner: StatefulSet, pods: Iterable[Pod]) -> Revisions | None:
        """Keep the present template, forget the oldest; None if it has to be tried again."""
        kept = await claim(self.informers, owner, self.informers["ControllerRevision"])
        update = await history.present(self.informers, owner, kept, history.HASH_LABEL)
        if update is None:
            return None
        known = meta.status(owner).get("currentRevision")
        current = next((one for one in kept if meta.name(one) == known), update)
        revisions = Revisions(current, update)
        used = {*revisions.names, *map(history.of, pods)}
        idle = [one for one in history.by_number(kept) if meta.name(one) not in used]
        await history.forget(self.informers, idle[: max(0, len(idle) - history.limit(owner))])
        return revisions

    async def _step(self, owner: StatefulSet, pods: Numbered, revisions: Revisions) -> None:
        if await self._fill(owner, pods, revisions) and await self._trim(owner, pods):
            await self._renew(owner, pods, meta.name(revisions.update))

    async def _fill(self, owner: StatefulSet, pods: Numbered, revisions: Revisions) -> bool:
        """Create what is missing, lowest number first; True when all are there and healthy."""
        healthy = True
        for number in numbers(owner):
            if pods.get(number) is None:
                await self._create(owner, number, revisions)
            elif is_pod_terminal(pods[number]):
                await self._delete(owner, pods[number])
            elif self._is_healthy(owner, pods[number]):
                continue
            elif meta.status(pods[number]).get("phase") == "Pending":
                await self._make_claims(owner, number, meta.name(pods[number]))
            healthy = False
            if not _is_parallel(owner):
                break
        return healthy or _is_parallel(owner)

    async def _trim(self, owner: StatefulSet, pods: Numbered) -> bool:
        """Delete surplus pods, highest number first; True when none is left.

        One at a time waits until it is well, unless all below it are: what has lost its quorum
        should not lose more.
        """
        surplus = sorted(set(pods) - set(numbers(owner)), reverse=True)
        unwell = [n for n in surplus if not self._is_healthy(owner, pods[n])]
        for number in surplus:
            if not _is_parallel(owner) and number in unwell[:-1]:
                break
            await self._delete(owner, pods[number])
            if not _is_parallel(owner):
                break
        return not surplus

    async def _renew(self, owner: StatefulSet, pods: Numbered, wanted: str) -> None:
        """Rolling update: replace the highest pod of an older template once all above are well."""
        if not _is_rolling(owner):
            return
        for number in reversed(numbers(owner)[_partition(owner) :]):
            pod = pods.get(number)
            if pod is None or not self._is_healthy(owner, pod):
                # A pod of the old template that never became ready would block its own repair.
                if pod is not None and _is_parallel(owner) and history.of(pod) != wanted:
                    await self._delete(owner, pod)
                return
            if history.of(pod) != wanted:
                await self._delete(owner, pod)
                return

    def _is_healthy(self, owner: StatefulSet, pod: Pod) -> bool:
        wait = podlib.min_ready_seconds(owner)
        available = podlib.is_available(pod, wait, self.context.clock())
        return available and not self.informers["Pod"].is_going(pod)

    async def _create(self, owner: StatefulSet, number: int, revisions: Revisions) -> None:
        if setclaims.are_going(self.informers, owner, number):
            return
        held_back = _is_rolling(owner) and number in numbers(owner)[: _partition(owner)]
        pod = numbered_pod(owner, number, revisions.current if held_back else revisions.update)
        await self._make_claims(owner, number, meta.name(pod))
        await self.informers.create(pod)
        self._tell(owner, "SuccessfulCreate", "create", meta.name(pod))

    async def _make_claims(self, owner: StatefulSet, number: int, pod: str) -> None:
        """Of a pod that is to be, or that waits for one which somebody has deleted since."""
        for lacking in setclaims.lacking(self.informers, owner, number):
            await self.informers.create(lacking)
            text = f"create Claim {meta.name(lacking)} Pod {pod} in StatefulSet"
            text += f" {meta.name(owner)} success"
            self.recorder.normal(owner, "SuccessfulCreate", text)

    async def _delete(self, owner: StatefulSet, pod: Pod) -> None:
        if self.informers["Pod"].is_going(pod):
            return
        try:
            await self.informers.delete(pod)
        except NotFound:
            return
        self._tell(owner, "SuccessfulDelete", "delete", meta.name(pod))

    def _tell(self, owner: StatefulSet, reason: str, verb: str, pod: str) -> None:
        text = f"{verb} Pod {pod} in StatefulSet {meta.name(owner)} successful"
        self.recorder.normal(owner, reason, text)

    async def _report(self, key: str, revisions: tuple[str, str]) -> None:
        owner = self.informers["StatefulSet"].get(key)
        if owner is None:
            return
        pods = self.informers["Pod"].by_index("controller", meta.uid(owner))
        await self.write_status(owner, status_of(owner, pods, revisions, self.context.clock()))


def numbers(owner: StatefulSet) -> range:
    """The ordinals that the set's pods should have."""
    start = int((meta.spec(owner).get("ordinals") or {}).get("start") or 0)
    return range(start, start + int(meta.spec(owner).get("replicas", 1)))


def number_of(owner: StatefulSet, pod: Pod) -> int | None:
    """The ordinal at the end of the pod's name; None if it is not named after the set."""
    found = re.fullmatch(rf"{re.escape(meta.name(owner))}-(0|[1-9][0-9]*)", meta.name(pod))
    return int(found[1]) if found else None


def _is_parallel(owner: StatefulSet) -> bool:
    return bool(meta.spec(owner).get("podManagementPolicy") == "Parallel")


def _is_rolling(owner: StatefulSet) -> bool:
    strategy = meta.spec(owner).get("updateStrategy") or {}
    return bool(strategy.get("type", "RollingUpdate") == "RollingUpdate")


def _partition(owner: StatefulSet) -> int:
    """How many of the lowest numbers a rolling update leaves alone."""
    strategy = meta.spec(owner).get("updateStrategy") or {}
    return int((strategy.get("rollingUpdate") or {}).get("partition") or 0)


def known_revisions(owner: StatefulSet) -> tuple[str, str]:
    """The names of the current and the update revision by the status, "" before it has them."""
    status = meta.status(owner)
    return str(status.get("currentRevision") or ""), str(status.get("updateRevision") or "")


def numbered_pod(owner: StatefulSet, number: int, revision: ControllerRevision) -> Pod:
    """The pod of that ordinal: its name is also its hostname below the governing Service."""
    name = f"{meta.name(owner)}-{number}"
    pod = podlib.from_template(history.template_of(revision), owner, name)
    labels = pod["metadata"].setdefault("labels", {})
    labels |= {
        NAME_LABEL: name,
        INDEX_LABEL: str(number),
        history.LABEL: meta.name(revision),
    }
    pod["spec"]["hostname"] = name
    pod["spec"]["volumes"] = setclaims.volumes(owner, number, pod["spec"].get("volumes") or [])
    if not pod["spec"]["volumes"]:
        del pod["spec"]["volumes"]
    if subdomain := meta.spec(owner).get("serviceName"):
        pod["spec"]["subdomain"] = subdomain
    return pod


def status_of(
    owner: StatefulSet, pods: Iterable[Pod], revisions: tuple[str, str], now: float
) -> dict[str, Any]:
    """The status as a merge patch, by the names of the current and the update revision."""
    alive = [pod for pod in pods if not is_pod_terminal(pod)]
    wait = podlib.min_ready_seconds(owner)
    current, wanted = revisions
    staying = [pod for pod in alive if not meta.is_terminating(pod)]
    updated = sum(history.of(pod) == wanted for pod in staying)
    ready = sum(map(meta.is_ready, alive))
    if _is_rolling(owner) and updated == len(alive) == ready == len(numbers(owner)):
        current = wanted
    status: StatefulSetStatus = {
        "observedGeneration": owner["metadata"].get("generation", 0),
        "replicas": len(alive),
        "readyReplicas": ready,
        "availableReplicas": sum(podlib.is_available(pod, wait, now) for pod in alive),
        "currentReplicas": sum(history.of(pod) == current for pod in staying),
        "updatedReplicas": updated,
        "currentRevision": current,
        "updateRevision": wanted,
        "collisionCount": meta.status(owner).get("collisionCount") or 0,
    }
    return omit_empty(status, "replicas", "availableReplicas", "collisionCount")
