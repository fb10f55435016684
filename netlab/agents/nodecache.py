"""NodeLocal DNSCache: runs the pods whose image is node-cache, as that program would.

Its arguments say where it answers (`-localip`) and by which Service of its namespace it reaches
kube-dns (`-upstreamsvc`), its Corefile, from a ConfigMap, the rest (`dns.corefile`). It has a link
for its addresses, rules by which queries pass connection tracking by, dnsmasq for a cache, a port
to say that it is well and one for Prometheus; all of it goes with the pod. What somebody takes away
meanwhile is put back, as node-cache looks at its rules every minute.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial

from netlab.agents.corefiles import Corefiles
from netlab.agents.loop import Loop
from netlab.agents.nodecache_pod import NodeCache
from netlab.agents.podevents import Recorder
from netlab.agents.podgroups import PodGroups
from netlab.agents.podprograms import Life
from netlab.agents.podrun import PodRun
from netlab.agents.responder_keeper import ResponderKeeper
from netlab.agents.vigil import Vigil
from netlab.client.informer import Informers
from netlab.dns import statistics
from netlab.dns.corefile import CacheSettings
from netlab.errors import NetlabError
from netlab.objects.lab import Lab
from netlab.workload.served import HealthAnswer

log = logging.getLogger(__name__)

LOOK = 1.0
"""Seconds between looks at what somebody may have taken away."""

COUNTED = 5
"""After how many of them it is asked for its numbers, which are for Prometheus."""

VERSION = "1.11.1"
"""The CoreDNS that node-cache 1.25 is made of."""


class NodeCaches:
    """All of a lab; see `InPods`."""

    def __init__(
        self,
        lab: Lab,
        informers: Informers,
        owner: str,
        vigil: Vigil,
        keeper: ResponderKeeper,
        groups: PodGroups,
        recorder: Recorder,
    ) -> None:
        self._groups = groups
        self._lab = lab
        self._keeper = keeper
        keeper.on_restart(self._say_again)
        self._corefiles = Corefiles(lab, informers)
        self._owner = owner
        self._vigil = vigil
        self._recorder = recorder
        self._caches: dict[tuple[str, str], NodeCache] = {}
        self._told: dict[str, str] = {}
        """What was last said of a pod's Corefile, by its uid."""
        self._looks = 0
        self._loop = Loop("node caches", self._look, every=lambda: LOOK)

    async def start(self, run: PodRun, container: str, life: Life) -> bool:
        """See `InPods`."""
        settings = self._settings(run, container)
        cache = self._of(run, container)
        cache.ended = partial(self._ended, cache, life)
        cache.restarted = partial(self._restarted, cache, life)
        await cache.start(settings)
        for program in cache.programs:
            self._vigil.watch(program)
        await self._keeper.reached(partial(self._say, cache))
        if not self._loop.runs:
            self._loop.start()
        return cache.program.is_adopted

    async def _ended(self, cache: NodeCache, life: Life, code: int) -> None:
        async with cache.saying:
            await self._keeper.reached(partial(self._say_nothing, cache))
        await life.ended(code)

    async def _restarted(self, cache: NodeCache, life: Life) -> None:
        life.restarted()
        await self._keeper.reached(partial(self._say, cache))

    async def _say_nothing(self, cache: NodeCache) -> None:
        await self._keeper.client.stop([cache.metrics_uid, *(page.uid for page in cache.health)])

    async def end(self, run: PodRun, container: str, grace: float) -> None:
        """See `InPods`."""
        await self._of(run, container).program.end(grace)

    async def stop(self, run: PodRun, container: str) -> None:
        """See `InPods`."""
        cache = self._of(run, container)
        del self._caches[run.uid, container]
        self._told.pop(run.uid, None)
        for program in cache.programs:
            await self._vigil.forget(program)
        async with cache.saying:
            await self._keeper.reached(partial(self._say_nothing, cache))
        await cache.stop()

    async def detach(self) -> None:
        """See `InPods`."""
        await self._loop.stop()
        programs = [program for cache in self._caches.values() for program in cache.programs]
        await asyncio.gather(*(program.detach() for program in programs))

    def _of(self, run: PodRun, container: str) -> NodeCache:
        key = (run.uid, container)
        if key not in self._caches:
            settings = self._corefiles.usual(run.pod, run.spec_of(container))
            groups = partial(self._groups.of, run)
            self._caches[key] = NodeCache(self._lab, run, container, self._owner, settings, groups)
        return self._caches[key]

    def _settings(self, run: PodRun, container: str) -> CacheSettings:
        """What its Corefile says now; `CorefileError` if that is none."""
        settings = self._corefiles.settings(run.pod, run.spec_of(container))
        self._tell(run, "; ".join(settings.notes))
        return settings

    def _tell(self, run: PodRun, text: str) -> None:
        """Say in an Event what of a Corefile is not done, once."""
        if self._told.get(run.uid, "") != text:
            self._told[run.uid] = text
            if text:
                self._recorder.warning(run.pod, "Corefile", text)

    # -- while it runs ---------------------------------------------------------------------

    async def _look(self, _: bool) -> None:
        self._looks += 1
        await asyncio.gather(*(self._look_at(cache) for cache in list(self._caches.values())))

    async def _look_at(self, cache: NodeCache) -> None:
        try:
            settings = self._settings(cache.run, cache.container)
        except NetlabError as error:  # it goes on by what it had
            settings = cache.settings
            self._tell(cache.run, error.message)
        try:
            await self._keep(cache, settings)
            if self._looks % COUNTED == 0:
                await self._keeper.reached(partial(self._say, cache))
        except (NetlabError, OSError) as error:
            log.error("pod %s: %s", cache.run.key, error)

    async def _keep(self, cache: NodeCache, settings: CacheSettings) -> None:
        before, pages = cache.programs, cache.health
        await cache.keep(settings)
        for program in before:
            if program not in cache.programs:
                await self._vigil.forget(program)
        for program in cache.programs:
            self._vigil.watch(program)
        if cache.health != pages:
            gone = [page.uid for page in pages if page not in cache.health]
            await self._keeper.reached(lambda: self._keeper.client.stop(gone))
            await self._keeper.reached(partial(self._say, cache))

    async def _say_again(self) -> None:
        for cache in list(self._caches.values()):
            await self._say(cache)

    async def _say(self, cache: NodeCache) -> None:
        """Answer probes and Prometheus, unless it has been stopped meanwhile, or hangs."""
        async with cache.saying:
            if self._caches.get((cache.run.uid, cache.container)) is cache:
                counted = await cache.counted()
                if counted is None:
                    await self._say_nothing(cache)
                    return
                for page in cache.health:
                    await self._keeper.client.ensure_served(page)
                await self._tell_numbers(cache, counted)

    async def _tell_numbers(self, cache: NodeCache, counted: statistics.Statistics) -> None:
        answers: dict[int, HealthAnswer] = {}
        if cache.settings.metrics is not None:
            answers[cache.settings.metrics[1]] = _page(
                statistics.metrics(counted, cache.settings, VERSION)
            )
        answers[cache.setup_port] = _page(statistics.setup_metrics(cache.setup_errors))
        place = str(cache.run.netns)
        problems = await self._keeper.client.health(
            cache.metrics_uid, place, cache.addresses, answers
        )
        for problem in problems:
            log.error("pod %s: metrics: %s", cache.run.key, problem)


def _page(text: str) -> HealthAnswer:
    return HealthAnswer(200, {}, text=text, path="/metrics")
