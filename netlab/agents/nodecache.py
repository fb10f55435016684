"""NodeLocal DNSCache: runs the pods whose image is node-cache, as that program would.

Its arguments say where it answers (`-localip`) and by which Service of its namespace it reaches
kube-dns (`-upstreamsvc`), its Corefile, from a ConfigMap, the rest (`dns.corefile`). It has a link
for its addresses, rules by which queries pass connection tracking by, dnsmasq for a cache, a port
to say that it is well and one for Prometheus; all of it goes with the pod. What somebody takes away
meanwhile is put back, as node-cache looks at its rules every minute.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from netlab.agents.corefiles import Corefiles, local_addresses
from netlab.agents.loop import Loop
from netlab.agents.podevents import Recorder
from netlab.agents.podgroups import PodGroups
from netlab.agents.podprograms import Life, directory_of
from netlab.agents.podrun import PodRun
from netlab.agents.responder_keeper import ResponderKeeper
from netlab.agents.vigil import Vigil
from netlab.client.informer import Informers
from netlab.dns import statistics
from netlab.dns.config import NodeCacheDns, cache_servers_text
from netlab.dns.corefile import CacheSettings
from netlab.dns.dnsmasq import Dnsmasq
from netlab.errors import NetlabError
from netlab.kernel import netns, userns
from netlab.network import cachelink
from netlab.objects.lab import Lab
from netlab.proxy.untracked import HEALTH_PORT, Untracked, rules_of, untracked
from netlab.tasks import in_thread
from netlab.workload.behaviour import parse_flags
from netlab.workload.published import Published
from netlab.workload.served import HealthAnswer, Listener, ServedContainer, ServedPod

log = logging.getLogger(__name__)

LOOK = 1.0
"""Seconds between looks at what somebody may have taken away."""

COUNTED = 5
"""After how many of them it is asked for its numbers, which are for Prometheus."""

VERSION = "1.11.1"
"""The CoreDNS that node-cache 1.25 is made of."""

_PORT, _LOOPBACK = 53, "127.0.0.1"
SETUP_METRICS_PORT = 9353
"""Where node-cache itself, beside its CoreDNS, tells Prometheus how its set-up goes."""

_SERVERS = "servers"
_PATIENCE = 0.5


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
        self._vigil.watch(cache.program)
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
        await self._vigil.forget(cache.program)
        async with cache.saying:
            await self._keeper.reached(partial(self._say_nothing, cache))
        await cache.stop()

    async def detach(self) -> None:
        """See `InPods`."""
        await self._loop.stop()
        await asyncio.gather(*(cache.program.detach() for cache in self._caches.values()))

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
        before, pages = cache.program, cache.health
        await cache.keep(settings)
        if cache.program is not before:
            await self._vigil.forget(before)
            self._vigil.watch(cache.program)
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


class NodeCache:
    """That of one pod, in the control `groups` of it. `InPods` calls one at a time."""

    def __init__(
        self,
        lab: Lab,
        run: PodRun,
        container: str,
        owner: str,
        settings: CacheSettings,
        groups: Callable[[], Sequence[Path]],
    ) -> None:
        self.run = run
        self.container = container
        self.settings = settings
        self.ended: Callable[[int], Awaitable[None]] = _nobody
        self.restarted: Callable[[], Awaitable[None]] = _nobody
        flags = parse_flags(run.spec_of(container).get("args") or ())
        self.addresses = local_addresses(flags.get("localip", ""))
        self.metrics_uid = f"{run.uid}/metrics"
        self.setup_port = _port(flags.get("metrics-listen-address", ""), SETUP_METRICS_PORT)
        self.setup_errors = Counter[str]()
        """What went wrong with its link and rules, by node-cache's words."""
        self._lab = lab
        self._owner = owner
        self._groups = groups
        self._rules = self._new_rules()
        self._turn = asyncio.Lock()
        self._is_up = False
        self.saying = asyncio.Lock()
        """Held while the responder is told what to answer for it."""
        self.program = self._new_program()

    @property
    def health(self) -> list[ServedPod]:
        """What its probes ask, at each of its addresses or the one that its Corefile has."""
        if self.settings.health is None:
            return []
        address, port = self.settings.health
        said = (ServedContainer("health", (Listener(port, "http", "node-cache-health"),)),)
        return [
            ServedPod(f"{self.run.uid}/health/{ip}", str(self.run.netns), (ip,), said, ip)
            for ip in self.addresses
            if address in ("", ip)
        ]

    @property
    def _places(self) -> Sequence[str]:
        """The addresses at which its Corefile has it answer."""
        return [ip for ip in self.addresses if ip in self.settings.listen] or self.addresses

    def _new_program(self) -> Dnsmasq:
        directory = directory_of(self.run, self.container)
        config, said, places = Published(directory / "config"), self.settings, self._places
        program = Dnsmasq(
            NodeCacheDns(
                tuple(places),
                config.current / _SERVERS,
                said.size,
                said.ttl,
                said.denial,
                said.logs,
            ).arguments(),
            _PORT,
            directory,
            self._owner,
            userns.daemon_id(self._owner, userns.NODE_CACHE),
            name=f"node-cache of pod {self.run.key}",
            address=next(iter(places), _LOOPBACK),
            config=config,
        )
        program.groups = self._groups
        program.before_restart = self.ended
        program.on_restart(self._tell)
        return program

    async def _tell(self) -> None:
        await self.restarted()

    async def start(self, settings: CacheSettings) -> None:
        """Answer so; adopts what does already."""
        if not self.addresses:
            raise NetlabError("node-cache: -localip names no address")
        async with self._turn:
            self.settings = settings
            self._rules = self._new_rules()  # a node that was off has another namespace
            await in_thread(self._ensure)
            await self.program.detach()  # of a start that failed half-way
            self.program = self._new_program()
            await self._configured()
            await self.program.start(self.run.netns)
            self._is_up = True

    async def keep(self, settings: CacheSettings) -> None:
        """Put back what is missing, and answer so from now on."""
        async with self._turn:
            if not self._is_up:
                return
            if settings != self.settings:
                await self._change(settings)
            if await in_thread(self._ensure):
                log.warning("pod %s: link or rules were changed, and are put back", self.run.key)
            await self._configured()

    async def _change(self, settings: CacheSettings) -> None:
        """Go by other settings; of a part of them dnsmasq hears only when it begins."""
        before, self.settings = self.settings, settings
        if before.health != settings.health:
            await in_thread(self._rules.remove)
            self._rules = self._new_rules()
        if _when_it_begins(before) != _when_it_begins(settings):
            await self.program.detach()
            self.program = self._new_program()
            await self._configured()
            await self.program.start(self.run.netns)

    async def _configured(self) -> None:
        await self.program.configure({_SERVERS: cache_servers_text(self.settings.servers)})

    async def stop(self) -> None:
        """Leave nothing of it. Idempotent."""
        async with self._turn:
            self._is_up = False
            await self.program.stop()
            await in_thread(self._remove)

    async def counted(self) -> statistics.Statistics | None:
        """What it has counted; None while it does not answer."""
        asked = statistics.questions()
        answers: list[bytes] = []
        address = next(iter(self._places), _LOOPBACK)
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        try:
            with self.program.entered():
                sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            with sock:
                sock.connect((address, _PORT))
                async with asyncio.timeout(_PATIENCE):
                    for question in asked:
                        sock.send(question)
                        loop = asyncio.get_running_loop()
                        answers.append(await loop.sock_recv(sock, 4096))
        except (OSError, NetlabError, TimeoutError) as error:
            log.debug("pod %s: it tells no numbers: %s", self.run.key, error)
            return None
        return statistics.statistics(answers)

    def _new_rules(self) -> Untracked:
        lab, port = self._lab, self.settings.health[1] if self.settings.health else HEALTH_PORT
        return untracked(
            lab.proxy_mode, lab.iptables, self.run.netns, self.addresses, rules_of(port)
        )

    def _ensure(self) -> bool:
        with self._counting("interface_add"):
            linked = cachelink.ensure(self.run.netns, self.addresses)
        with self._counting("iptables"):
            return self._rules.ensure() or linked

    @contextlib.contextmanager
    def _counting(self, what: str) -> Iterator[None]:
        try:
            yield
        except (NetlabError, OSError):
            self.setup_errors[what] += 1
            raise

    def _remove(self) -> None:
        if netns.exists(self.run.netns):
            self._rules.remove()
            cachelink.remove(self.run.netns)


def _page(text: str) -> HealthAnswer:
    return HealthAnswer(200, {}, text=text, path="/metrics")


def _port(place: str, otherwise: int) -> int:
    """The port of `0.0.0.0:9353`."""
    word = place.rpartition(":")[2]
    return int(word) if word.isascii() and word.isdigit() and 0 < int(word) < 65536 else otherwise


async def _nobody(*_: int) -> None:
    """Nobody has it kept yet."""


def _when_it_begins(settings: CacheSettings) -> tuple[object, ...]:
    return settings.listen, settings.size, settings.ttl, settings.denial, settings.logs
