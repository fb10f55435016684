"""The kubelet's part on one node: makes the pods real that were scheduled to it.

A pod that the scheduler placed gets addresses and a namespace, then its containers; a pod that
is to be deleted loses them and is then removed from the API. Pods that arrive together are
attached together, and those that go are detached together: one batch of netlink messages a node
costs little more than one pod.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from netlab.agents.addresses import Book, NoBook
from netlab.agents.admission import Admission
from netlab.agents.deadline import Deadlines
from netlab.agents.eviction import Evictions, Usage
from netlab.agents.loop import Loop
from netlab.agents.podevents import PodEvents
from netlab.agents.podrun import PodRun, conclude, ephemeral_states, is_over, lose, resume
from netlab.agents.status_writer import StatusWriter
from netlab.agents.termination import Detaching, Stopping, Termination
from netlab.client.informer import Informers
from netlab.errors import NetlabError
from netlab.objects import meta, types
from netlab.objects.lab import Node
from netlab.objects.podphase import is_pod_terminal
from netlab.objects.types import Pod
from netlab.retry import Retry

log = logging.getLogger(__name__)

RETRY = Retry(0.5, 30.0)
"""Of a pod that could not be started."""


async def _unknown(_: Sequence[str]) -> Usage:
    """What pods use where nobody says."""
    return {}


class Attaching(Detaching, Protocol):
    """Gives pods their namespaces and links, and takes them away."""

    async def attach(self, runs: Sequence[PodRun]) -> dict[str, Exception]:
        """Make namespaces and links; what exists already is adopted. Failures by the pod's uid."""


class Containers(Stopping, Protocol):
    """Runs what is in pods, and ends it."""

    async def start(self, runs: Sequence[PodRun]) -> None:
        """Start the containers, updating their states; a run is told of each change."""

    async def add(self, run: PodRun, names: Sequence[str]) -> None:
        """Start containers of these names, which came while the pod ran."""


class Kubelet:
    """Runs the pods of `node`. `paths_of` gives a pod's namespace and directory, `book` what is
    remembered of a podCIDR, `cluster_domain` what all the cluster's names end with, `usage`
    tells what pods keep on disk."""

    def __init__(
        self,
        node: Node,
        informers: Informers,
        pod_network: Attaching,
        containers: Containers,
        events: PodEvents,
        *,
        paths_of: Callable[[Pod], tuple[Path, Path]],
        now: Callable[[], str],
        book: Callable[[str], Book] = lambda _: NoBook(),
        cluster_domain: str = "cluster.local",
        usage: Callable[[Sequence[str]], Awaitable[Usage]] = _unknown,
    ) -> None:
        self.runs: dict[str, PodRun] = {}
        self._node = node
        self._informers = informers
        self._pods = informers["Pod"]
        self._nodes = informers["Node"]
        self._is_ready = True
        self._pod_network = pod_network
        self._containers = containers
        self._events = events
        self._now = now
        self._left: dict[str, Pod] = {}
        self._lost: set[str] = set()
        """By uid: the pods of which nothing is left since the node was switched off."""
        self._keys: dict[str, None] = {}
        self._loop = Loop(f"pods of {node.name}", self._work)
        self._admission = Admission(
            node,
            informers,
            events,
            paths_of=paths_of,
            book=book,
            cluster_domain=cluster_domain,
        )
        self._statuses = StatusWriter(
            informers, node.internal_ips, now=now, wake=self._loop.wake, gone=self._enqueue
        )
        self._termination = Termination(
            informers, pod_network, containers, self._gone, self._statuses.close
        )
        self._deadlines = Deadlines(events, self._expire)
        self._evictions = Evictions(usage, events, self._expire)
        self._failures: dict[str, tuple[int, str]] = {}

    @property
    def idle(self) -> bool:
        """True when every pod the API knows is as it should be, or waits for somebody else."""
        return self._loop.idle and self._termination.idle

    async def start(self, left: Iterable[Pod] = (), *, boots: bool = False) -> None:
        """Take over the pods that ran before, then follow the API.

        `left` are those that a former controller may have run; some may be gone by now. On a node
        that `boots`, none runs any more.
        """
        ours = [pod for pod in self._pods.items() if self._is_ours(pod)]
        self._lost = {meta.uid(pod) for pod in ours} if boots else set()
        self._left = {meta.key(pod): pod for pod in left if self._is_ours(pod)}
        self._admission.reserve([*self._left.values(), *ours])
        self._termination.start()
        self._pods.add_listener(self._on_pod)
        self._nodes.add_listener(self._on_node)
        for key in self._left:
            self._enqueue(key)
        self._loop.start()

    async def stop(self) -> None:
        """Stop following; pods go on running."""
        self._pods.remove_listener(self._on_pod)
        self._nodes.remove_listener(self._on_node)
        self._deadlines.stop()
        await self._evictions.stop()
        await self._loop.stop()
        await self._termination.stop()

    async def leave(self) -> None:
        """End all pods, now and by force, and stop: their node is no more."""
        self._pods.remove_listener(self._on_pod)
        await self._loop.finish()
        for run in list(self.runs.values()):
            self._termination.begin(run)
        await self._termination.ended()
        await self.stop()

    async def cut(self) -> None:
        """End all pods at once and stop, and leave their objects: nobody is there to tell of it."""
        self._pods.remove_listener(self._on_pod)
        await self._loop.finish()
        for run in list(self.runs.values()):
            self._termination.cut(run)
        await self._termination.ended()
        await self.stop()

    def volume_runs(self) -> list[PodRun]:
        """The running pods that have volumes."""
        return [run for run in self.runs.values() if meta.spec(run.pod).get("volumes")]

    def not_started(self) -> Iterator[str]:
        """Each pod that could not be given a namespace so far; its Events say why."""
        for pod in self._pods.items() if self._failures else ():
            if meta.uid(pod) in self._failures:
                yield meta.key(pod)

    def _is_ours(self, pod: Pod) -> bool:
        return meta.spec(pod).get("nodeName") == self._node.name

    def _on_pod(self, old: Pod | None, new: Pod | None) -> None:
        either = new if new is not None else old
        assert either is not None
        if not self._is_ours(either):
            return
        run = self.runs.get(meta.key(either))
        if new is not None and run is not None and run.uid == meta.uid(new):
            before, run.pod = run.pod, new
            if _deadline(before) != _deadline(new) and run.failure is None:
                self._deadlines.watch(run)
            if not meta.is_terminating(new):
                if _gates(before) != _gates(new) or (self._is_ready and _is_lost(new)):
                    self._statuses.changed(run)
                if ephemeral_states(new).keys() == run.ephemeral.keys():
                    return
        self._enqueue(meta.key(either))

    def _on_node(self, _: types.Node | None, new: types.Node | None) -> None:
        """While the node was lost, somebody else has said of its pods that they are not ready."""
        if new is None or meta.name(new) != self._node.name:
            return
        was_ready, self._is_ready = self._is_ready, meta.is_ready(new)
        for run in self.runs.values() if self._is_ready and not was_ready else ():
            if _is_lost(run.pod):
                self._statuses.changed(run)

    def _enqueue(self, key: str) -> None:
        self._keys[key] = None
        self._loop.wake()

    async def _work(self, _: bool) -> None:
        keys, self._keys = self._keys, {}
        try:
            await self._work_on(keys)
        except Exception:  # the loop says so, and comes again
            self._keys = keys | self._keys
            raise
        await self._statuses.write()

    async def _work_on(self, keys: Iterable[str]) -> None:
        starting: list[Pod] = []
        for key in keys:
            pod = self._own(key)
            run = self.runs.get(key) or self._left_run(key, pod)
            if run is not None and (pod is None or meta.uid(pod) != run.uid):
                self._termination.begin(run)
            elif pod is not None and meta.is_terminating(pod):
                self._end(pod, run)
            elif pod is not None and run is None and not is_pod_terminal(pod):
                starting.append(pod)
            elif pod is not None and run is not None and not is_over(run):
                await self._add_ephemeral(run, pod)
        if starting:
            await self._start(starting)

    def _counts(self, run: PodRun) -> bool:
        """Whether a pod has something of the node: one that is out of the API has nothing more."""
        known = self._pods.get(run.key)
        is_there = known is not None and meta.uid(known) == run.uid
        return is_there and not is_pod_terminal(run.pod)

    def _own(self, key: str) -> Pod | None:
        """Our pod of that name: the successor of one of ours may be another node's, or nobody's."""
        pod = self._pods.get(key)
        return pod if pod is not None and self._is_ours(pod) else None

    def _left_run(self, key: str, pod: Pod | None) -> PodRun | None:
        """What a former controller left of a pod that was removed before we took it over."""
        left = self._left.get(key)
        if left is None or (pod is not None and meta.uid(pod) == meta.uid(left)):
            return None
        del self._left[key]
        self.runs[key] = self._run_of(left)
        return self.runs[key]

    # -- starting --------------------------------------------------------------------------

    async def _start(self, pods: Sequence[Pod]) -> None:
        others = (run.pod for run in self.runs.values() if self._counts(run))
        fitting = await self._admission.fitting(pods, others)
        runs = [run for pod in fitting if (run := self._admit(pod)) is not None]
        failed = await self._attach([run for run in runs if not run.host_network])
        for run in runs:
            if run.uid in failed:
                self._admission.release(run)
                self._failed(run.pod, failed[run.uid])
        attached = [run for run in runs if run.uid not in failed]
        for run in attached:
            if run.renewed:
                lose(run, self._now())
            else:
                resume(run)
            self._failures.pop(run.uid, None)
            self.runs[run.key] = run
            self._left.pop(run.key, None)
            self._statuses.changed(run)
            self._deadlines.watch(run)
            self._evictions.watch(run)
        await self._containers.start([run for run in attached if not is_over(run)])

    async def _add_ephemeral(self, run: PodRun, pod: Pod) -> None:
        """Start the containers that somebody has added to a pod that runs."""
        known = ephemeral_states(pod)
        added = {name: state for name, state in known.items() if name not in run.ephemeral}
        if added:
            run.ephemeral.update(added)
            self._statuses.changed(run)
            await self._containers.add(run, tuple(added))

    async def _attach(self, runs: Sequence[PodRun]) -> dict[str, Exception]:
        """Failures by the pod's uid: of one pod, or of all, if the kernel cannot be reached."""
        if not runs:
            return {}
        try:
            return await self._pod_network.attach(runs)
        except (NetlabError, OSError) as error:
            return {run.uid: error for run in runs}
        except Exception as error:
            if len(runs) > 1:
                apart = [await self._attach([run]) for run in runs]
                return {uid: each for failed in apart for uid, each in failed.items()}
            log.exception("pod %s: unexpected error", runs[0].key)
            return {runs[0].uid: error}

    def _admit(self, pod: Pod) -> PodRun | None:
        try:
            return self._followed(self._admission.admit(pod))
        except NetlabError as error:
            self._failed(pod, error)
            return None

    def _run_of(self, pod: Pod) -> PodRun:
        return self._followed(self._admission.run_of(pod))

    def _followed(self, run: PodRun) -> PodRun:
        run.on_change = self._statuses.changed
        run.renewed = not run.host_network or run.uid in self._lost
        return run

    def _failed(self, pod: Pod, error: Exception) -> None:
        """Say why a pod could not be given its place, and try again, each time later."""
        log.error("pod %s: %s", meta.key(pod), error)
        self._events.failed_sandbox(pod, error)
        count, _ = self._failures.get(meta.uid(pod), (0, ""))
        self._failures[meta.uid(pod)] = (count + 1, str(error))
        delay = RETRY.delay(count + 1)
        asyncio.get_running_loop().call_later(delay, self._enqueue, meta.key(pod))

    # -- stopping --------------------------------------------------------------------------

    def _end(self, pod: Pod, run: PodRun | None) -> None:
        """End a pod. One that this controller never ran may have been run by the one before."""
        self._termination.begin(run or self._run_of(pod))

    def _gone(self, run: PodRun) -> None:
        """Nothing is left of a pod; a successor of the same name may be waiting."""
        self._admission.release(run)
        self._deadlines.forget(run)
        self._evictions.forget(run)
        self._statuses.forget(run)
        self._failures.pop(run.uid, None)
        if meta.uid(self._left.get(run.key, run.pod)) == run.uid:
            self._left.pop(run.key, None)
        if self.runs.get(run.key) is run:
            del self.runs[run.key]
        pod = self._pods.get(run.key)
        if pod is None or meta.uid(pod) != run.uid:  # or a finalizer keeps it: that is all
            self._enqueue(run.key)

    async def _expire(self, run: PodRun) -> None:
        """The pod has been active for longer than it may be: it ends, and stays to be seen."""
        await self._containers.stop(run, 0.0)
        for name in run.names:
            if run.state(name).running:
                run.state(name).end(self._now(), 137)
        conclude(run)
        self._statuses.changed(run)


def _gates(pod: Pod) -> list[str | None]:
    """How the pod's readiness gates stand: others than we set those conditions."""
    gates = meta.spec(pod).get("readinessGates") or []
    known = (meta.condition(pod, gate["conditionType"]) for gate in gates)
    return [condition.get("status") if condition else None for condition in known]


def _deadline(pod: Pod) -> int | None:
    return meta.spec(pod).get("activeDeadlineSeconds")


def _is_lost(pod: Pod) -> bool:
    """Whether the node controller says, of a pod whose node it has lost, that it is not ready."""
    ready = meta.condition(pod, "Ready")
    return ready is not None and ready.get("reason") == "NodeNotReady"
