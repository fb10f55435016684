"""The controller process of one lab: composition, and the order of start and stop.

`netlab.boot` runs it. One process, one event loop: the API server over the store, the
controllers, and the agents of all nodes. Built-in pods, dnsmasq and pods' commands are processes of
their own, and all that the kernel holds outlives this process: a controller that is killed drops no
packet, and the next one adopts what it finds.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any

from aiohttp import web
from msgspec.structs import asdict

from netlab import lab as labs
from netlab import waiting
from netlab.agents import vigil
from netlab.agents.dns import DnsAgent
from netlab.agents.draining import Draining
from netlab.agents.health import HealthPorts
from netlab.agents.kubelet import Kubelet
from netlab.agents.leases import Leases
from netlab.agents.loop import Agent
from netlab.agents.network import NetworkAgent
from netlab.agents.nodestatus import NodeStatus
from netlab.agents.podevents import Recorder
from netlab.agents.proxies import proxier
from netlab.agents.proxy import ProxyAgent
from netlab.agents.responder_keeper import ResponderKeeper
from netlab.agents.speaker import Speaker
from netlab.agents.streams import LabStreams
from netlab.agents.vigil import Vigil
from netlab.api.secure import SecureListener
from netlab.api.server import build_app, serve_unix
from netlab.client.informer import Informers
from netlab.client.inprocess import InProcessApi
from netlab.controllers.runtime import RunningControllers, start_controllers
from netlab.dns import server, upstream
from netlab.dns.keeper import NamesKeeper
from netlab.dns.server import DnsServer
from netlab.dns.upstream import InternetDns
from netlab.errors import NetlabError, NotFound
from netlab.kernel import machine, netns, paths
from netlab.kernel.process import Process
from netlab.network import plan
from netlab.objects import bootstrap, meta, nameservers
from netlab.objects.lab import Lab
from netlab.objects.meta import Object
from netlab.objects.times import micro_time, timestamp
from netlab.store.registry import Registry
from netlab.store.store import Store
from netlab.workload.served import Listener, ServedContainer, ServedPod

log = logging.getLogger("netlab")

CALM_LOOKS = 3
"""Looks in a row, 2 ms apart, that must find nothing at work: events may be on their way."""


class Daemon:
    """Everything that runs in the controller of one lab."""

    def __init__(self, directory: Path, responder: Process | None, network: Future[None]) -> None:
        self.lab: Lab = labs.read_lab(directory)
        self._directory = directory
        self._responder = responder
        self._network = network
        self._owner = netns.owner(directory) or ""
        self._store = Store(paths.store(directory))
        self.registry = Registry(self._store, self.lab)
        self._api = InProcessApi(self.registry)
        self._informers = Informers(self._api)
        self._internet = self._internet_dns()
        names = self._dns_server()
        self._dns = DnsAgent(names, self._internet, self._informers)
        self._vigil = Vigil(vigil.processes(directory, names.dnsmasqs))
        self._draining = Draining(self._informers)
        self._stack = contextlib.AsyncExitStack()
        self._failure: str | None = None
        self._agents: list[Agent] = []
        """What the lab waits for, the quickest to ask first; none until all of them have begun."""
        self._proxies: list[ProxyAgent] = []
        self._pods: Kubelet | None = None
        self._lacks: list[Callable[[], Iterable[str]]] = [self._unsaved, self._vigil.silent]
        self.streams = LabStreams()

    async def run(self, ready: int) -> None:
        """Start everything, say so on `ready`, go on until told to end."""
        self._stack.callback(self._store.close)
        async with self._stack:
            self._create_initial_objects()
            self._vigil.start()
            self._stack.push_async_callback(self._vigil.stop)
            responder = asyncio.create_task(self._start_responder())
            runner = await self._serve_api()
            log.info("the API answers")
            with contextlib.suppress(BrokenPipeError):  # who started us does not live any more
                os.write(ready, b"1")
            os.close(ready)
            try:
                await asyncio.wrap_future(self._network)
                await self._start_agents(await responder)
                await self._listen_for_kubectl(runner)
            except Exception as error:
                log.exception("the lab could not be started")
                self._failure = str(error)
            await _told_to_end()

    # -- what the API says of the lab as a whole --------------------------------------------

    def _at_work(self) -> Iterator[str]:
        """What is still being done, a line each; what is cheap to know comes first."""
        if not self._agents:
            yield waiting.STARTING
        for agent in self._agents:
            yield from agent.at_work()

    def _unready(self) -> dict[str, bool]:
        """The pods that should be ready and are not; True if waiting will not make them so."""
        if self._pods is None:
            return {}
        unready = dict(self._pods.waiting_for())
        for pod in self._informers["Pod"].items():
            unplaced = not meta.spec(pod).get("nodeName") and meta.condition(pod, "PodScheduled")
            failed = meta.status(pod).get("phase") == "Failed" and not meta.controller_of(pod)
            if unplaced or failed:  # a controller makes another one of a pod that has failed
                unready[meta.key(pod)] = True
        return unready

    def _lacking(self) -> Iterator[str]:
        """What else will not work without somebody doing something, a line each."""
        for lacks in self._lacks:
            yield from lacks()

    def _unsaved(self) -> Iterator[str]:
        if refusal := self._store.refusal():
            yield f"{refusal}: nothing can change until there is room in {self._directory}"

    def _is_settled(self) -> bool:
        """Without room nothing changes, however long one waits."""
        stuck = self._store.refused and any(self._unsaved())
        return stuck or not any(self._at_work())

    async def _settled(self, request: web.Request) -> web.Response:
        """Wait until nothing changes by itself any more, or for `timeoutSeconds`.

        `atWork` has a line for each thing that is being done, `unreadyPods` says of pods whether
        they will not become ready by waiting, `lacking` what else only somebody can change.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + float(request.query.get("timeoutSeconds", "10"))
        calm = 0
        while calm < CALM_LOOKS and loop.time() < deadline and self._failure is None:
            calm = calm + 1 if self._is_settled() else 0
            await asyncio.sleep(0.002)
        return web.json_response(
            {
                "failed": self._failure,
                "settled": self._is_settled(),
                "atWork": list(self._at_work()),
                "unreadyPods": self._unready(),
                "lacking": list(self._lacking()),
            }
        )

    # -- starting --------------------------------------------------------------------------

    def _create_initial_objects(self) -> None:
        facts = machine.facts()
        for obj in bootstrap.initial_objects(self.lab, facts.architecture):
            if not self._exists(obj):
                self.registry.create(obj)
        for node in self.lab.nodes:
            known = self.registry.get("Node", "", node.name)
            if not meta.is_ready(known):
                uid = meta.uid(known)
                self._report(known, bootstrap.node_status(node, uid, **asdict(facts), now=_now()))
        ranges = self.registry.get("ServiceCIDR", "", "kubernetes")
        if not meta.is_ready(ranges):
            self._report(ranges, bootstrap.service_cidr_status(_now()))

    def _report(self, known: Object, status: dict[str, Any]) -> None:
        self.registry.update({**known, "status": status}, subresource="status")

    def _exists(self, obj: Object) -> bool:
        try:
            self.registry.get(obj["kind"], meta.namespace(obj), meta.name(obj))
        except NotFound:
            return False
        return True

    async def _serve_api(self) -> web.AppRunner:
        routes = [web.get("/netlab/v1/settled", self._settled)]
        app = build_app(self.registry, self.streams, routes)
        runner = await serve_unix(app, paths.api_socket(self._directory))
        self._stack.push_async_callback(runner.cleanup)
        return runner

    async def _listen_for_kubectl(self, runner: web.AppRunner) -> None:
        """Last of all: a lab works without it."""
        listener = SecureListener(runner, self.lab.name, self._directory)
        try:
            await listener.start()
        except (NetlabError, OSError):
            log.exception("kubectl cannot be served")
        self._stack.push_async_callback(listener.close)

    async def _start_responder(self) -> ResponderKeeper:
        keeper = await ResponderKeeper.start(
            paths.responder_socket(self._directory),
            self._owner,
            paths.responder_log(self._directory),
            self._responder,
        )
        self._stack.push_async_callback(keeper.stop)
        return keeper

    async def _start_agents(self, keeper: ResponderKeeper) -> None:
        for kind in ("Pod", "Service", "EndpointSlice", "Node", "ConfigMap", "Secret"):
            _ = self._informers[kind]
        controllers = await start_controllers(
            self._api, self._informers, load_balancer_pools=self.lab.load_balancer_pools
        )
        self._stack.push_async_callback(controllers.stop)
        self._dns.follow()
        self._stack.push_async_callback(self._dns.detach)
        _, pods, _, speaker = await asyncio.gather(
            self._start_internet(keeper),
            self._start_pods(keeper, controllers),
            self._start_proxies(keeper, controllers),
            self._start_speaker(controllers),
        )
        leases = Leases(
            self._api, [node.name for node in self.lab.nodes], lambda: micro_time(time.time())
        )
        leases.start()
        self._stack.push_async_callback(leases.stop)
        self._agents = [*self._proxies, controllers, self._dns, speaker, pods]
        log.info("the nodes' agents are at work")

    async def _start_pods(
        self, keeper: ResponderKeeper, controllers: RunningControllers
    ) -> Kubelet:
        kubelet = Kubelet(
            self.lab,
            self._directory,
            keeper,
            self._informers,
            self._dns,
            self._draining,
            controllers.recorder.source("kubelet"),
            owner=self._owner,
            now=_now,
        )
        self._stack.push_async_callback(kubelet.stop)
        await self._start_network(kubelet, controllers)
        await kubelet.start()
        self._pods = kubelet
        self.streams.connect(kubelet)
        return kubelet

    async def _start_network(self, kubelet: Kubelet, controllers: RunningControllers) -> None:
        recorder = controllers.recorder.source("network")
        status = NodeStatus(self.lab, self._informers, recorder, _now)
        pod_network, attached = kubelet.pod_network, kubelet.attached
        agent = NetworkAgent(self.lab, self._directory, pod_network, attached, status, recorder)
        self._stack.push_async_callback(agent.stop)
        await agent.start()
        self._lacks.append(agent.waiting_for)

    async def _start_proxies(
        self, keeper: ResponderKeeper, controllers: RunningControllers
    ) -> None:
        recorder = controllers.recorder.source("kube-proxy")
        for node in self.lab.nodes:
            netns = paths.namespace(self._directory, plan.node_name(self.lab, node.name))
            health = HealthPorts(node.name, netns, node.internal_ips, keeper)
            health.start()
            self._stack.push_async_callback(health.stop)
            programmer = proxier(self.lab, node, self._directory)
            done = partial(self._proxied, health)
            repaired = partial(self._repaired, recorder)
            proxy = ProxyAgent(node.name, programmer, self._informers, done, repaired)
            self._proxies.append(proxy)
            await proxy.start()
            self._stack.push_async_callback(proxy.stop)
        self._draining.follow(self._proxies)

    async def _start_speaker(self, controllers: RunningControllers) -> Speaker:
        speaker = Speaker(
            self.lab,
            self._directory,
            self._informers,
            self._draining,
            controllers.recorder.source("metallb-speaker"),
        )
        self._stack.push_async_callback(speaker.stop)
        await speaker.start()
        self._lacks.append(speaker.waiting_for)
        return speaker

    def _proxied(self, health: HealthPorts, proxy: ProxyAgent) -> None:
        """A node's rules are in force: so may others go by them."""
        health.update(proxy.health)
        self._draining.progressed()

    def _repaired(self, recorder: Recorder, proxy: ProxyAgent) -> None:
        node = self._informers["Node"].get(proxy.node)
        if node is not None:
            text = "the node's rules had been changed by hand, and are put back"
            recorder.warning(node, "RulesChanged", text)

    # -- names and the internet ------------------------------------------------------------

    def _dns_server(self) -> DnsServer:
        return DnsServer(
            paths.dns(self._directory) / "cluster",
            self._owner,
            self._names("cluster", server.names_keeper),
            self.lab.dns.domain,
            upstreams=self.lab.external.gateway_ips,
            local_cidrs=(*self.lab.pod_cidrs, *self.lab.service_cidrs),
            dual="IPv6" in self.lab.ip_families,
        )

    def _internet_dns(self) -> InternetDns:
        return InternetDns(
            self._names("internet", upstream.names_keeper),
            plan.public_ips(self.lab),
            self.lab.external.names,
            nameservers.servers(self.lab.external.upstream, machine.resolv_conf),
            self.lab.dns.domain,
        )

    def _names(self, which: str, keeper: Callable[..., NamesKeeper]) -> NamesKeeper:
        socket = paths.names_socket(self._directory, which)
        return keeper(socket, self._owner, paths.names_log(self._directory), self._responder)

    async def _start_internet(self, keeper: ResponderKeeper) -> None:
        """The world outside: its name server, and a page for each name."""
        path = paths.namespace(self._directory, plan.internet_name(self.lab))
        await self._internet.start(path)
        self._stack.push_async_callback(self._internet.detach)
        addresses = plan.web_ips(self.lab)
        listeners = (Listener(80, "http", "internet"), Listener(443, "http", "internet"))
        container = ServedContainer("internet", listeners, {})
        pages = ServedPod("internet", str(path), addresses, (container,))

        async def serve() -> None:
            await keeper.client.ensure_served(pages)

        keeper.on_restart(serve)
        await keeper.reached(serve)


async def _told_to_end() -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    await ended.wait()


def _now() -> str:
    return timestamp(time.time())


def run(directory: Path, ready: int, responder: Process | None, network: Future[None]) -> None:
    """Run the controller until it is told to end.

    `ready` is the descriptor on which to say that the API answers, `responder` the process that
    was started a moment ago, if it was, and `network` ends when the nodes are connected.
    """
    asyncio.run(Daemon(directory, responder, network).run(ready))
