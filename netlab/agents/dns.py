"""Feeds the cluster's DNS, and the internet's, with every change of a Service or EndpointSlice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeVar

from netlab.agents.dnspages import DnsPages
from netlab.agents.loop import Loop
from netlab.agents.pace import BURST, Pace
from netlab.agents.podevents import Recorder
from netlab.agents.podgroups import PodGroups
from netlab.agents.podprograms import Life
from netlab.agents.podrun import PodRun
from netlab.client.informer import Informers
from netlab.dns.forwarding import Forwarding
from netlab.dns.server import DnsServer
from netlab.dns.upstream import InternetDns
from netlab.errors import NetlabError
from netlab.objects import bootstrap, meta
from netlab.objects.types import AnyKind, ConfigMap
from netlab.retry import Retry

RETRY = Retry(1.0, 1.0)
"""Of records for which there was no room."""


CONFIGURED = ("kube-system/coredns", "kube-system/kube-dns")
"""The ConfigMaps that say whom a cluster's DNS is to ask."""

T = TypeVar("T", bound=AnyKind)

PODS_AND_NAMES = "pods and names are being set up"


def _pace() -> Pace:
    """Publishing is quick, but dnsmasq reads whole files: names of a flood go together."""
    return Pace(settle=0.0, quiet=20.0, lull=0.02, times=100.0, cap=0.25, burst=BURST)


class DnsFeed:
    """Keeps the internet told, and a `DnsServer`, which runs where the kube-dns pod does."""

    def __init__(
        self, server: DnsServer, internet: InternetDns, informers: Informers, groups: PodGroups
    ) -> None:
        self._groups = groups
        self._recorder: Recorder
        self._forwardings: dict[str, Forwarding] = {}
        """By the name of the ConfigMap that asks for it."""
        self._server = server
        self._internet = internet
        self._informers = informers
        self._pages = DnsPages(server, lambda: server.is_applied)
        self._pod = ""
        self._life: Life | None = None
        for each in server.dnsmasqs:
            each.on_restart(self._restarted)
        self._loop = Loop("dns", self._publish, retry=RETRY, pace=_pace())
        self._turn = asyncio.Lock()

    @property
    def idle(self) -> bool:
        """True when everything known has been published."""
        return self._loop.idle and self._server.idle and self._internet.idle

    def at_work(self) -> Iterator[str]:
        """As `Working` says."""
        if not self.idle:
            yield PODS_AND_NAMES

    def follow(self, recorder: Recorder) -> None:
        """Listen to Services, EndpointSlices and ConfigMaps, whose informers have synced; what of a
        ConfigMap is not done the `recorder` is told."""
        self._recorder = recorder
        self._informers["ConfigMap"].add_listener(self._on_config)
        self._informers["Service"].add_listener(self._listener(self._server.set_service))
        self._informers["Service"].add_listener(self._listener(self._internet.set_service))
        self._informers["EndpointSlice"].add_listener(self._listener(self._server.set_slice))
        self._loop.start()

    async def start(
        self,
        run: PodRun,
        container: str,  # noqa: ARG002 - see `InPods`
        life: Life,
    ) -> bool:
        """Serve in the namespace of a pod; of two pods the one that came last."""
        async with self._turn:
            if self._pod:
                await self._pages.stop()
                await self._server.stop()
            self._pod, self._life = run.uid, life
            try:
                self._apply()
            except OSError:  # the loop says so
                self._loop.wake()
            await self._server.start(run.netns, partial(self._groups.of, run))
            await self._pages.start(run.netns)
        return all(each.is_adopted for each in self._server.dnsmasqs)

    async def _restarted(self) -> None:
        """Of two dnsmasqs one answers while the other is started again: that is told alone."""
        if self._life is not None and all(each.is_up for each in self._server.dnsmasqs):
            self._life.restarted()

    async def end(
        self,
        run: PodRun,
        container: str,  # noqa: ARG002 - see `InPods`
        grace: float,
    ) -> None:
        """See `InPods`."""
        if self._pod == run.uid:
            await asyncio.gather(*(each.end(grace) for each in self._server.dnsmasqs))

    async def stop(self, run: PodRun, container: str) -> None:  # noqa: ARG002 - see `InPods`
        """The pod is going away."""
        async with self._turn:
            if self._pod == run.uid:
                self._pod, self._life = "", None
                await self._pages.stop()
                await self._server.stop()

    async def detach(self) -> None:
        """The controller ends; names are answered on."""
        await self._loop.stop()
        await self._pages.stop()
        await self._server.detach()

    def _on_config(self, old: ConfigMap | None, new: ConfigMap | None) -> None:
        """It says whom to ask, as people tell CoreDNS or kube-dns. What neither would begin with
        changes nothing."""
        either = new if new is not None else old
        assert either is not None
        if meta.key(either) not in CONFIGURED:
            return
        name, data = meta.name(either), (new.get("data") or {}) if new is not None else {}
        first = {"Corefile": bootstrap.corefile(self._server.domain)}
        if not self._forwardings and data == first:
            return  # in most labs it stays so, and what reads Corefiles need not be imported
        from netlab.dns import configmaps

        server = self._server
        try:
            found = configmaps.asked(name, data, server.domain, server.upstreams)
        except NetlabError as error:
            self._recorder.warning(either, "NotConfigured", error.message)
            return
        if found.notes:
            self._recorder.warning(either, "NotConfigured", "; ".join(found.notes))
        self._forwardings[name] = found
        server.set_forwarding(configmaps.both(*map(self._forwardings.get, configmaps.NAMES)))
        self._loop.wake()

    def _listener(
        self, take: Callable[[str, T | None], None]
    ) -> Callable[[T | None, T | None], None]:
        def listen(old: T | None, new: T | None) -> None:
            either = new if new is not None else old
            assert either is not None
            take(meta.key(either), new)
            self._loop.wake()

        return listen

    async def _publish(self, _: bool) -> None:
        self._apply()
        async with self._turn:
            await self._server.refit()
            await self._pages.renew()

    def _apply(self) -> None:
        self._internet.apply()
        self._server.apply()
