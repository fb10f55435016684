"""Containers that are built-in servers: the responder listens in their pods' namespaces.

The responder knows each container by a name of its own, so that one can be restarted, as a failed
liveness probe demands, while its neighbours in the pod go on.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from netlab.agents.certificates import PodCertificates
from netlab.agents.lifecycle import KILLED, Lifecycle, grace_period, restarts
from netlab.agents.podrun import PodRun, known_status
from netlab.agents.probes.prober import Kill
from netlab.agents.responder_keeper import ResponderKeeper
from netlab.errors import in_words, is_foreseen
from netlab.objects.times import timestamp
from netlab.tasks import Background
from netlab.workload.behaviour import served_pod
from netlab.workload.client import LogLine
from netlab.workload.served import ServedPod

log = logging.getLogger(__name__)

Environment = Mapping[str, str]
StartAgain = Callable[[PodRun, str], Awaitable[None]]
"""Starts a container anew, with the environment that it has by then."""

REFUSED_RETRY = 5.0
"""Seconds before a server is tried again whose port was in use."""

RELEASE_TRIES, RELEASE_RETRY = 50, 0.1
"""How often, and after how many seconds, ports of a responder that was killed are tried."""


class PodServers:
    """All containers of the lab that are built in."""

    def __init__(
        self,
        keeper: ResponderKeeper,
        lifecycle: Lifecycle,
        start_again: StartAgain,
        certificates: PodCertificates,
        kill_process: Kill,
    ) -> None:
        self._keeper = keeper
        self._lifecycle = lifecycle
        self._start_again = start_again
        self._certificates = certificates
        self._kill_process = kill_process
        self._adopted: dict[str, ServedPod] = {}
        self._served: dict[str, dict[str, ServedPod]] = {}
        self._tasks = Background()
        keeper.on_restart(self._serve_all)

    async def adopt(self) -> frozenset[str]:
        """Note what the responder serves already: those connections are left alone. Pods' uids."""
        self._adopted = await self._keeper.client.list()
        return frozenset(served_uid.partition("/")[0] for served_uid in self._adopted)

    async def detach(self) -> None:
        """Look after them no longer; they go on answering."""
        await self._tasks.stop_all()
        await self._certificates.stop()

    async def start(self, wanted: Sequence[tuple[PodRun, str, Environment]]) -> None:
        """Let these containers answer, in one message, and then those that need certificates."""
        new: list[tuple[PodRun, str, ServedPod]] = []
        for run, container, env in wanted:
            try:
                served = self._prepared(run, container, env)
            except Exception as error:
                log.exception("pod %s: container %s: unexpected error", run.key, container)
                self._refused(run, container, [in_words(error)])
                continue
            if served is not None:
                new.append((run, container, served))
        for has_tls in (False, True):
            await self._open([each for each in new if each[2].has_tls is has_tls])

    def _prepared(self, run: PodRun, container: str, env: Environment) -> ServedPod | None:
        """What the responder is to be told of a container; None if it runs without that."""
        served = served_container(run, container, env)
        if served is not None:
            self._served.setdefault(run.uid, {})[container] = served
        if served is not None and served.has_tls:
            self._certificates.add(served.uid, run)
        if self._is_adopted(run, container, served):
            self._certificates.adopt(served_uid(run, container))
            self._began(run, container, adopted=True)
        elif served is None:  # it answers on no port at all
            self._began(run, container)
        else:
            self._lifecycle.starting(run, container)
            return served
        return None

    async def _open(self, new: Sequence[tuple[PodRun, str, ServedPod]]) -> None:
        problems = await self._serve([served for _, _, served in new])
        for run, container, served in new:
            if found := problems.get(served.uid):
                self._refused(run, container, found)
            elif not run.stopping:
                self._lifecycle.events.created(run, container)
                self._began(run, container)

    async def stop(self, run: PodRun, containers: Iterable[str]) -> None:
        """Close the ports and the connections of these containers."""
        await self._tasks.stop(run.uid)
        served = self._served.pop(run.uid, {})
        uids = [one.uid for one in served.values()]
        uids += [uid for name in containers if (uid := served_uid(run, name)) not in uids]
        self._certificates.forget(uids)
        await self._keeper.reached(lambda: self._keeper.client.stop(uids))

    async def past(self, run: PodRun, container: str) -> list[LogLine]:
        """What a container that is served has in its log."""
        client = self._keeper.client

        async def lines() -> list[LogLine]:
            return [line async for line in client.logs(served_uid(run, container), container)]

        return await self._keeper.reached(lines)

    async def share(self, run: PodRun, container: str, owner: int) -> None:
        """Let the user who is to answer on a container's ports listen there before we `leave`."""
        await self._keeper.client.share(served_uid(run, container), owner)

    async def leave(self, run: PodRun, container: str) -> None:
        """Close the ports of a container, which somebody else answers on from now on."""
        self._served.get(run.uid, {}).pop(container, None)
        uid = served_uid(run, container)
        self._adopted.pop(uid, None)
        self._certificates.forget([uid])
        await self._keeper.reached(lambda: self._keeper.client.leave(uid))

    async def forget(self, uid: str) -> None:
        """Close what is still answered of a pod that is no more."""
        uids = [known for known in self._adopted if known.partition("/")[0] == uid]
        await self._keeper.reached(lambda: self._keeper.client.stop(uids))

    # -- one container ---------------------------------------------------------------------

    def _is_adopted(self, run: PodRun, container: str, served: ServedPod | None) -> bool:
        known = self._adopted.pop(served_uid(run, container), None)
        if known is None:
            return served is None and bool(known_status(run, container).get("started"))
        return served is not None and not run.renewed and known.netns == served.netns

    def _began(self, run: PodRun, container: str, *, adopted: bool = False) -> None:
        running = (known_status(run, container).get("state") or {}).get("running") or {}
        at = str(running.get("startedAt") or "") if adopted else ""

        def kill(run: PodRun, container: str, why: str, grace: float | None) -> None:
            self._background(run, self._restart(run, container, why, grace))

        if not adopted and (run.spec_of(container).get("lifecycle") or {}).get("postStart"):
            self._background(run, self._post_start(run, container))
        self._lifecycle.began(run, container, at or timestamp(time.time()), kill, adopted=adopted)

    def _background(self, run: PodRun, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.start(run.uid, work, f"server of {run.key}")

    async def _post_start(self, run: PodRun, container: str) -> None:
        if not await self._lifecycle.post_start(run, container):
            await self._restart(run, container, "failed postStart hook", None)

    async def _restart(self, run: PodRun, container: str, why: str, grace: float | None) -> None:
        """End a server that a probe found wanting, and start it again as the policy says."""
        if container in run.entered:
            self._kill_process(run, container, why, grace)
            return
        began = time.monotonic()
        self._lifecycle.events.killing(run, container, why)
        await self._lifecycle.pre_stop(
            run, container, grace_period(run) if grace is None else grace
        )
        self._served.get(run.uid, {}).pop(container, None)
        uids = [served_uid(run, container)]
        await self._keeper.reached(lambda: self._keeper.client.stop(uids))
        self._lifecycle.ended(run, container, timestamp(time.time()), KILLED)
        if restarts(run, container, KILLED):
            await self._lifecycle.back_off(run, container, time.monotonic() - began)
            run.state(container).restarts += 1
            await self._start_again(run, container)

    def _refused(self, run: PodRun, container: str, problems: Sequence[str]) -> None:
        """A port could not be opened: say so, and try again in a while."""
        message = "; ".join(problems)
        log.error("pod %s: container %s: %s", run.key, container, message)
        run.state(container).wait("CreateContainerError", message)
        self._lifecycle.events.failed(run, message)
        run.changed()

        async def again() -> None:
            await asyncio.sleep(REFUSED_RETRY)
            self._served.get(run.uid, {}).pop(container, None)
            uids = [served_uid(run, container)]
            await self._keeper.reached(lambda: self._keeper.client.stop(uids))
            await self._start_again(run, container)

        self._background(run, again())

    async def _serve(self, served: Sequence[ServedPod]) -> Mapping[str, Sequence[str]]:
        if not served:
            return {}
        certificates, errors = await self._certificates.of([one.uid for one in served])
        problems = {uid: [error.message] for uid, error in errors.items()}
        sound = [one for one in served if one.uid not in problems]
        try:
            found = await self._keeper.reached(
                lambda: self._keeper.client.serve(sound, certificates)
            )
        except Exception as error:
            if not is_foreseen(error):
                log.exception("the responder could not be told of %d containers", len(sound))
            found = {one.uid: [in_words(error)] for one in sound}
        return {**problems, **found}

    async def _serve_all(self) -> None:
        """The responder was started anew and knows of nothing.

        What the one before had open, and we did not, is free only once that has come to its end.
        """
        for _ in range(RELEASE_TRIES):
            served = [one for pod in self._served.values() for one in pod.values()]
            certificates, _ = await self._certificates.of([one.uid for one in served])
            problems = await self._keeper.client.serve(served, certificates) if served else {}
            if not problems:
                return
            await asyncio.sleep(RELEASE_RETRY)
        for uid, found in problems.items():
            log.error("%s: %s", uid, "; ".join(found))


def served_uid(run: PodRun, container: str) -> str:
    """The responder's name of a container."""
    return f"{run.uid}/{container}"


def served_container(run: PodRun, container: str, env: Environment) -> ServedPod | None:
    """What the responder is told of one container; None if that is no server with ports."""
    pod = served_pod(run.pod, str(run.netns), run.ips, {container: env})
    chosen = [
        replace(entry, variables={**entry.variables, "hostname": run.hostname})
        for entry in (pod.containers if pod else ())
        if entry.name == container
    ]
    if pod is None or not chosen:
        return None
    return replace(pod, uid=served_uid(run, container), containers=tuple(chosen))
