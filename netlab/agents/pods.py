"""The kubelet's part, for all nodes of the lab at once: makes scheduled pods real.

A pod that the scheduler placed gets addresses and a namespace, then its containers; a pod that
is to be deleted loses them and is then removed from the API. Pods that arrive together are
attached together: one batch of netlink messages a node costs little more than one pod.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from netlab.agents.addresses import NodeAddresses
from netlab.agents.podrun import PodRun, new_run
from netlab.agents.podstatus import compute
from netlab.client.informer import Informers
from netlab.errors import ApiError, Conflict, NetlabError, NotFound
from netlab.objects import meta
from netlab.objects.lab import Lab
from netlab.objects.meta import Object

log = logging.getLogger(__name__)

RETRY = 1.0
"""Seconds before a pod that could not be started is tried again."""


class Wiring(Protocol):
    """Gives pods their namespaces and links; both calls are blocking and run in a thread."""

    def attach(self, runs: Sequence[PodRun]) -> dict[str, Exception]:
        """Make namespaces and links; what exists already is adopted. Failures by the pod's uid."""

    def detach(self, runs: Sequence[PodRun]) -> None:
        """Take namespaces and links away; what is gone already is no error."""


class Containers(Protocol):
    """Runs what is in pods."""

    async def start(self, runs: Sequence[PodRun], changed: Callable[[PodRun], None]) -> None:
        """Start the containers, updating their states; `changed` is called when one changes."""

    async def stop(self, run: PodRun, grace: float) -> None:
        """End everything the pod runs, killing what is left after `grace` seconds."""


class PodAgent:
    """Runs the pods of all nodes. `paths_of` gives a pod's namespace and directory."""

    def __init__(
        self,
        lab: Lab,
        informers: Informers,
        wiring: Wiring,
        containers: Containers,
        *,
        paths_of: Callable[[Object], tuple[Path, Path]],
        now: Callable[[], str],
        warn: Callable[[Object, str, str], None],
    ) -> None:
        self.runs: dict[str, PodRun] = {}
        self._nodes = {node.name: node for node in lab.nodes}
        self._addresses = {node.name: NodeAddresses(node.pod_cidrs) for node in lab.nodes}
        self._informers = informers
        self._pods = informers["Pod"]
        self._wiring = wiring
        self._containers = containers
        self._paths_of = paths_of
        self._now = now
        self._warn = warn
        self._keys: dict[str, None] = {}
        self._wake = asyncio.Event()
        self._stops: dict[str, asyncio.Task[None]] = {}
        self._dirty: dict[str, PodRun] = {}
        self._busy = False
        self._task: asyncio.Task[None] | None = None

    @property
    def idle(self) -> bool:
        """True when every pod the API knows is as it should be."""
        return not (self._busy or self._keys or self._stops or self._dirty)

    async def start(self) -> None:
        """Take over the pods that ran before, then follow the API."""
        self._reserve_known_addresses()
        self._pods.add_listener(self._on_pod)
        self._task = asyncio.create_task(self._run(), name="pods")

    async def stop(self) -> None:
        """Stop following; pods go on running."""
        tasks = [task for task in (self._task, *self._stops.values()) if task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def container_changed(self, run: PodRun) -> None:
        """A container started, ended or became ready: its pod's status is to be written."""
        self._dirty[run.uid] = run
        self._wake.set()

    def _reserve_known_addresses(self) -> None:
        for pod in self._pods.items():
            node = self._addresses.get(str(meta.spec(pod).get("nodeName")))
            if node is not None:
                node.reserve(_ips(pod))

    def _on_pod(self, old: Object | None, new: Object | None) -> None:
        either = new if new is not None else old
        assert either is not None
        run = self.runs.get(meta.key(either))
        if new is not None and run is not None and run.uid == meta.uid(new):
            run.pod = new
            if not meta.is_terminating(new):
                return
        if meta.spec(either).get("nodeName") in self._nodes:
            self._enqueue(meta.key(either))

    def _enqueue(self, key: str) -> None:
        self._keys[key] = None
        self._wake.set()

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            self._busy = True
            try:
                await self._work()
            except Exception:
                log.exception("pods: unexpected error")
            self._busy = False

    async def _work(self) -> None:
        keys, self._keys = list(self._keys), {}
        starting: list[Object] = []
        for key in keys:
            pod, run = self._pods.get(key), self.runs.get(key)
            if run is not None and (pod is None or meta.uid(pod) != run.uid):
                self._begin_stop(run)
            elif pod is not None and meta.is_terminating(pod):
                await self._end(pod, run)
            elif pod is not None and run is None and _is_to_run(pod):
                starting.append(pod)
        if starting:
            await self._start(starting)
        await self._write_statuses()

    # -- starting --------------------------------------------------------------------------

    async def _start(self, pods: Sequence[Object]) -> None:
        runs = [run for pod in pods if (run := self._admit(pod)) is not None]
        failed = await asyncio.to_thread(self._wiring.attach, runs) if runs else {}
        attached = [run for run in runs if run.uid not in failed]
        for run in runs:
            if run.uid in failed:
                self._addresses[run.node].release(run.ips)
                self._failed(run.pod, "FailedCreatePodSandBox", failed[run.uid])
        self.runs.update({run.key: run for run in attached})
        await self._containers.start(attached, self.container_changed)
        self._dirty.update({run.uid: run for run in attached})

    def _admit(self, pod: Object) -> PodRun | None:
        """Give the pod its addresses: those it had, or new ones."""
        node = str(meta.spec(pod)["nodeName"])
        try:
            ips = _ips(pod) or self._addresses[node].take()
        except NetlabError as error:
            self._failed(pod, "FailedCreatePodSandBox", error)
            return None
        netns, directory = self._paths_of(pod)
        return new_run(pod, node, ips, netns, directory)

    def _failed(self, pod: Object, reason: str, error: Exception) -> None:
        log.error("pod %s: %s", meta.key(pod), error)
        self._warn(pod, reason, str(error))
        asyncio.get_running_loop().call_later(RETRY, self._enqueue, meta.key(pod))

    # -- stopping --------------------------------------------------------------------------

    async def _end(self, pod: Object, run: PodRun | None) -> None:
        if run is not None:
            self._begin_stop(run)
        else:  # scheduled, but never started here
            await self._remove(pod)

    def _begin_stop(self, run: PodRun) -> None:
        if not run.stopping:
            run.stopping = True
            self._stops[run.uid] = asyncio.create_task(self._stop(run), name=f"stop {run.key}")

    async def _stop(self, run: PodRun) -> None:
        """End containers, then the namespace, then the object, as a kubelet does."""
        grace = float(run.pod["metadata"].get("deletionGracePeriodSeconds") or 0)
        try:
            await self._containers.stop(run, grace)
            await asyncio.to_thread(self._wiring.detach, [run])
        except (NetlabError, OSError) as error:
            log.error("pod %s: %s", run.key, error)
        self._addresses[run.node].release(run.ips)
        self._dirty.pop(run.uid, None)
        self.runs.pop(run.key, None)
        self._stops.pop(run.uid, None)
        await self._remove(run.pod)
        self._enqueue(run.key)  # a successor of the same name may be waiting

    async def _remove(self, pod: Object) -> None:
        with contextlib.suppress(NotFound, Conflict):
            await self._informers.delete(pod, grace_period=0)

    # -- status ----------------------------------------------------------------------------

    async def _write_statuses(self) -> None:
        dirty, self._dirty = self._dirty, {}
        for run in dirty.values():
            if not run.stopping:
                await self._write_status(run)

    async def _write_status(self, run: PodRun) -> None:
        status = compute(
            run.pod,
            list(run.containers.values()),
            list(run.inits.values()),
            host_ips=self._nodes[run.node].internal_ips,
            pod_ips=run.ips,
            now=self._now(),
        )
        try:
            run.pod = await self._informers.patch_status(run.pod, status)
        except NotFound:
            self._enqueue(run.key)
        except ApiError as error:
            log.error("pod %s: status not written: %s", run.key, error)


def _ips(pod: Object) -> tuple[str, ...]:
    return tuple(entry["ip"] for entry in meta.status(pod).get("podIPs") or [])


def _is_to_run(pod: Object) -> bool:
    return meta.status(pod).get("phase") not in ("Succeeded", "Failed")


STARTING = ("ContainerCreating", "PodInitializing")
"""What a container waits for that passes by itself; all else wants somebody to do something."""


def waiting_for(runs: Iterable[PodRun]) -> Iterator[tuple[str, bool]]:
    """A line for each container that should be ready and is not; True if waiting will not help."""
    for run in runs:
        for state in (*run.inits.values(), *run.containers.values()):
            over = state.exit_code is not None and not state.waiting
            if not state.ready and not over and not run.stopping:
                reason = state.waiting or "running, not ready"
                why = f"{reason}: {state.message}" if state.message else reason
                line = f"pod {run.key}: container {state.name} is not ready ({why})"
                yield line, bool(state.waiting) and state.waiting not in STARTING
