"""NodeLocal DNSCache: runs the pods whose image is node-cache, as that program would.

Its arguments say where it answers (`-localip`) and by which Service of its namespace it reaches
kube-dns (`-upstreamsvc`). It has a link for its addresses, rules by which queries pass connection
tracking by, dnsmasq for a cache, and port 8080 to say that it is well; all of it goes with the pod.
What somebody takes away meanwhile is put back, as node-cache looks at its rules every minute.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections.abc import Callable
from functools import partial

from netlab.agents.loop import Loop
from netlab.agents.podgroups import PodGroups
from netlab.agents.podprograms import Restarted, directory_of
from netlab.agents.podrun import PodRun
from netlab.agents.responder_keeper import ResponderKeeper
from netlab.agents.vigil import Vigil
from netlab.client.informer import Informers
from netlab.dns.config import NodeCacheDns, cache_servers_text
from netlab.dns.dnsmasq import Dnsmasq
from netlab.errors import NetlabError
from netlab.kernel import netns, userns
from netlab.network import cachelink
from netlab.objects import meta
from netlab.objects.lab import Lab
from netlab.proxy.untracked import HEALTH_PORT, Untracked, untracked
from netlab.workload.behaviour import parse_flags
from netlab.workload.published import Published
from netlab.workload.served import Listener, ServedContainer, ServedPod

log = logging.getLogger(__name__)

LOOK = 1.0
"""Seconds between looks at what somebody may have taken away."""

_PORT = 53
_SERVERS = "servers"


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
    ) -> None:
        self._groups = groups
        self._lab = lab
        self._keeper = keeper
        keeper.on_restart(self._say_health)
        self._services = informers["Service"]
        self._owner = owner
        self._vigil = vigil
        self._caches: dict[tuple[str, str], NodeCache] = {}
        self._loop = Loop("node caches", self._look, every=lambda: LOOK)

    async def start(self, run: PodRun, container: str, restarted: Restarted) -> None:
        """See `InPods`."""
        cache = self._of(run, container)
        cache.restarted = restarted
        await cache.start(self._servers(run, cache))
        self._vigil.watch(cache.program)
        await self._keeper.reached(partial(self._ensure_said, cache))
        if not self._loop.runs:
            self._loop.start()

    async def stop(self, run: PodRun, container: str) -> None:
        """See `InPods`."""
        cache = self._of(run, container)
        del self._caches[run.uid, container]
        await self._vigil.forget(cache.program)
        uids = [page.uid for page in cache.health]
        await self._keeper.reached(lambda: self._keeper.client.stop(uids))
        await cache.stop()

    async def detach(self) -> None:
        """See `InPods`."""
        await self._loop.stop()
        await asyncio.gather(*(cache.program.detach() for cache in self._caches.values()))

    async def _say_health(self) -> None:
        for cache in list(self._caches.values()):
            await self._ensure_said(cache)

    async def _ensure_said(self, cache: NodeCache) -> None:
        for page in cache.health:
            await self._keeper.client.ensure_served(page)

    def _of(self, run: PodRun, container: str) -> NodeCache:
        key = (run.uid, container)
        if key not in self._caches:
            self._caches[key] = NodeCache(self._lab, run, container, self._owner)
            self._caches[key].program.groups = partial(self._groups.of, run)
        return self._caches[key]

    def _servers(self, run: PodRun, cache: NodeCache) -> str:
        service = self._services.get(f"{meta.namespace(run.pod)}/{cache.upstream}")
        upstream = meta.spec(service).get("clusterIP") if service is not None else None
        return cache_servers_text(self._lab.dns.domain, upstream, self._lab.external.gateway_ips)

    async def _look(self, _: bool) -> None:
        await asyncio.gather(*(self._look_at(cache) for cache in list(self._caches.values())))

    async def _look_at(self, cache: NodeCache) -> None:
        try:
            await cache.keep(self._servers(cache.run, cache))
        except (NetlabError, OSError) as error:
            log.error("pod %s: %s", cache.run.key, error)


class NodeCache:
    """That of one pod. `InPods` calls one at a time."""

    def __init__(self, lab: Lab, run: PodRun, container: str, owner: str) -> None:
        self.run = run
        self.restarted: Callable[[], None] = lambda: None
        flags = parse_flags(run.spec_of(container).get("args") or ())
        self.addresses = local_addresses(flags.get("localip", ""))
        self.upstream = flags.get("upstreamsvc", "kube-dns")
        self._lab = lab
        self._rules = self._new_rules()
        self._turn = asyncio.Lock()
        self._is_up = False
        directory = directory_of(run, container)
        config = Published(directory / "config")
        self.program = Dnsmasq(
            NodeCacheDns(self.addresses, config.current / _SERVERS).arguments(),
            _PORT,
            directory,
            owner,
            userns.daemon_id(owner, userns.NODE_CACHE),
            name=f"node-cache of pod {run.key}",
            address=next(iter(self.addresses), "127.0.0.1"),
            config=config,
        )
        self.program.on_restart(self._tell)

    @property
    def health(self) -> list[ServedPod]:
        """What its probes ask, at each of its addresses."""
        listener = Listener(HEALTH_PORT, "http", "node-cache-health")
        said = (ServedContainer("health", (listener,)),)
        return [
            ServedPod(f"{self.run.uid}/health/{ip}", str(self.run.netns), (ip,), said, ip)
            for ip in self.addresses
        ]

    async def _tell(self) -> None:
        self.restarted()

    async def start(self, servers: str) -> None:
        """Answer, by that file; adopts what does already."""
        if not self.addresses:
            raise NetlabError("node-cache: -localip names no address")
        async with self._turn:
            self._rules = self._new_rules()  # a node that was off has another namespace
            await asyncio.to_thread(self._ensure)
            await self.program.configure({_SERVERS: servers})
            await self.program.start(self.run.netns)
            self._is_up = True

    async def keep(self, servers: str) -> None:
        """Put back what is missing, and go by that file from now on."""
        async with self._turn:
            if self._is_up:
                if await asyncio.to_thread(self._ensure):
                    log.warning(
                        "pod %s: link or rules were changed, and are put back", self.run.key
                    )
                await self.program.configure({_SERVERS: servers})

    async def stop(self) -> None:
        """Leave nothing of it. Idempotent."""
        async with self._turn:
            self._is_up = False
            await self.program.stop()
            await asyncio.to_thread(self._remove)

    def _new_rules(self) -> Untracked:
        lab = self._lab
        return untracked(lab.proxy_mode, lab.iptables, self.run.netns, self.addresses)

    def _ensure(self) -> bool:
        return any([cachelink.ensure(self.run.netns, self.addresses), self._rules.ensure()])

    def _remove(self) -> None:
        if netns.exists(self.run.netns):
            self._rules.remove()
            cachelink.remove(self.run.netns)


def local_addresses(text: str) -> tuple[str, ...]:
    """The addresses of `-localip`, as the kernel writes them; what is none is left out."""
    found = []
    for word in text.split(","):
        try:
            found.append(str(ipaddress.ip_address(word.strip())))
        except ValueError:
            continue
    return tuple(found)
