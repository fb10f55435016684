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
from collections.abc import Awaitable, Callable, Iterable, Iterator
from concurrent.futures import Future
from functools import partial
from pathlib import Path

from netlab import inventory
from netlab import standing as nodes_kept
from netlab.agents.account_api import ROLES
from netlab.agents.dns import DnsFeed
from netlab.agents.draining import Draining
from netlab.agents.election import Election
from netlab.agents.host import Host
from netlab.agents.network import NetworkKeeper
from netlab.agents.node import NodeAgent
from netlab.agents.node_proxier import NodeProxier
from netlab.agents.nodes import NodeAgents
from netlab.agents.nodestatus import NodeStatus
from netlab.agents.pod_runtime import PodRuntime
from netlab.agents.podgroups import PodGroups
from netlab.agents.podprograms import InPods, OnceNeeded
from netlab.agents.registration import register
from netlab.agents.responder_keeper import ResponderKeeper
from netlab.agents.speaker import Wire
from netlab.agents.vigil import Vigil
from netlab.client.informer import Informers
from netlab.client.kubelets import LocalKubelets
from netlab.client.protocol import Api
from netlab.control_plane import ControlPlane
from netlab.controllers.manager import RunningControllers, start_controllers
from netlab.dns import server, upstream
from netlab.dns.keeper import NamesKeeper
from netlab.dns.server import DnsServer
from netlab.dns.upstream import InternetDns
from netlab.joining import Joining
from netlab.kernel import machine, netns, paths
from netlab.kernel.process import Process
from netlab.network import plan
from netlab.network.model import Network
from netlab.objects import bootstrap, nameservers
from netlab.objects.lab import Lab
from netlab.objects.nodes import Standing, is_left, standing
from netlab.objects.times import timestamp
from netlab.proxy.sharing import Compiled
from netlab.readiness import Of, Readiness
from netlab.settling import Settling
from netlab.tasks import together
from netlab.workload.certificate import Issuer
from netlab.workload.served import Listener, ServedContainer, ServedPod

log = logging.getLogger("netlab")


class Daemon:
    """The controllers and the nodes of one lab, whose API is `api`. Its server asks `kubelets`.

    `responder` is the process that was started a moment ago, if it was, and `network` ends when the
    nodes are connected. `authority` returns the certificate of the lab's CA.
    """

    def __init__(
        self,
        lab: Lab,
        directory: Path,
        api: Api,
        kubelets: LocalKubelets,
        responder: Process | None,
        network: Future[None],
        authority: Callable[[], Awaitable[str]],
    ) -> None:
        self.lab = lab
        self.failure: str | None = None
        """Why the lab could not be built, if it could not."""
        self._directory = directory
        self._kubelets = kubelets
        self._responder = responder
        self._network = network
        self._authority = authority
        self._facts = machine.facts()
        self._owner = netns.owner(directory) or ""
        self._api = api
        self._informers = Informers(api)
        self._standing = nodes_kept.read(lab, directory)
        self._internet = self._internet_dns()
        names = self._dns_server()
        self._groups = PodGroups(self._owner)
        self._dns = DnsFeed(names, self._internet, self._informers, self._groups)
        self._keeper = ResponderKeeper(directory, self._owner, responder)
        self._vigil = Vigil([self._keeper, *names.programs, *self._internet.programs])
        self._draining = Draining(self._informers)
        self._stack = contextlib.AsyncExitStack()
        self._readiness = Readiness(lab, self._informers)
        self._lacks: list[Callable[[], Iterable[str]]] = [self._vigil.lacking]

    async def start(self) -> None:
        """Start everything; what goes wrong is in `failure`."""
        self._vigil.start()
        self._stack.push_async_callback(self._vigil.stop)
        responder = asyncio.create_task(self._start_responder())
        try:
            await self._register_nodes()
            await asyncio.wrap_future(self._network)
            await self._start_agents(await responder)
        except Exception as error:
            log.exception("the lab could not be started")
            self.failure = str(error)

    async def stop(self) -> None:
        """Let go of everything, which goes on."""
        await self._stack.aclose()

    # -- how the lab is --------------------------------------------------------------------

    def at_work(self, of: Of = None) -> Iterator[str]:
        """What is still being done, a line each."""
        return self._readiness.at_work(of)

    def unready(self, of: Of = None) -> dict[str, bool]:
        """The pods that should be ready and are not; True if waiting will not make them so."""
        return self._readiness.unready(of)

    def lacking(self) -> Iterator[str]:
        """What else will not work without somebody doing something, a line each."""
        for lacks in self._lacks:
            yield from lacks()

    # -- starting --------------------------------------------------------------------------

    async def _register_nodes(self) -> None:
        """Make the Node objects that the file of a new lab asks for; later on, they say themselves
        which nodes there are."""
        is_new = not nodes_kept.is_kept(self._directory)
        for node in self._standing.nodes:
            await register(self._api, node, self._facts, timestamp(time.time()), create=is_new)
        nodes_kept.keep(self._standing, self._directory)

    async def _start_responder(self) -> ResponderKeeper:
        self._stack.push_async_callback(self._keeper.detach)
        with contextlib.suppress(Exception):  # `start` is told as well
            await asyncio.wrap_future(self._network)  # by the process that then is the responder
        await self._keeper.keep()
        return self._keeper

    async def _start_agents(self, keeper: ResponderKeeper) -> None:
        for kind in (
            *("Pod", "Service", "EndpointSlice", "Node", "ConfigMap", "Secret"),
            *("Ingress", "IngressClass", "Namespace", "Job", *ROLES),
        ):
            _ = self._informers[kind]
        controllers = await start_controllers(
            self._api,
            self._informers,
            load_balancer_pools=self.lab.load_balancer_pools,
            node_monitor_grace_period=self.lab.node_lifecycle.monitor_grace_period,
            authority=self._authority,
        )
        self._stack.push_async_callback(controllers.stop)
        self._dns.follow(controllers.recorder.source("kube-dns"))
        self._stack.push_async_callback(self._dns.detach)
        pod_runtime = self._pod_runtime(keeper, controllers)
        self._stack.push_async_callback(pod_runtime.stop)
        self._vigil.watch(pod_runtime.runtime)
        network = await self._start_network(pod_runtime, controllers)
        nodes = self._nodes(network, self._host(keeper, pod_runtime, controllers))
        self._stack.push_async_callback(nodes.stop)
        self._draining.start()
        self._stack.callback(self._draining.stop)
        pod_runtime.start(self._planned(self._standing).names)
        await together(self._start_internet(keeper), nodes.start())
        self._readiness.begun(pod_runtime, nodes, controllers, self._dns)
        log.info("the nodes' agents are at work")

    def _pod_runtime(self, keeper: ResponderKeeper, controllers: RunningControllers) -> PodRuntime:
        return PodRuntime(
            self.lab,
            self._directory,
            keeper,
            self._informers,
            {
                "dnsmasq": self._dns,
                "node-cache": OnceNeeded(partial(self._node_caches, controllers)),
                "nginx": OnceNeeded(partial(self._ingress_controllers, controllers)),
            },
            self._groups,
            self._draining,
            controllers.recorder.source("kubelet"),
            controllers.recorder.source("attachdetach-controller"),
            Issuer(paths.tls(self._directory), self._ensure_authority),
            owner=self._owner,
            now=_now,
        )

    async def _start_network(
        self, pod_runtime: PodRuntime, controllers: RunningControllers
    ) -> NetworkKeeper:
        recorder = controllers.recorder.source("network")

        def status_of(machine: str) -> NodeStatus:
            return NodeStatus(machine, self._informers, recorder, _now)

        pod_network, attached = pod_runtime.pod_network, pod_runtime.attached
        keeper = NetworkKeeper(
            self.lab,
            self._planned(self._standing),
            self._directory,
            pod_network,
            attached,
            status_of,
            recorder,
            lambda machine: is_left(self._informers["Node"].get(machine), "network"),
        )
        self._stack.push_async_callback(keeper.stop)
        await keeper.start()
        self._lacks.append(keeper.lacking)
        return keeper

    def _nodes(self, network: NetworkKeeper, host: Host) -> NodeAgents:
        return NodeAgents(
            self._informers,
            partial(standing, self.lab),
            lambda node: NodeAgent(node, host),
            partial(self._stand, network),
            self._standing,
        )

    def _planned(self, there: Standing) -> Network:
        return plan.cluster(self.lab, there.nodes, there.off)

    async def _stand(self, network: NetworkKeeper, there: Standing) -> None:
        """Have these nodes be connected, and others not; also if a new controller has to do it."""
        nodes_kept.keep(there, self._directory)
        await network.plan_anew(self._planned(there))

    def _host(
        self, keeper: ResponderKeeper, pod_runtime: PodRuntime, controllers: RunningControllers
    ) -> Host:
        compiled = Compiled()
        return Host(
            informers=self._informers,
            keeper=keeper,
            pod_runtime=pod_runtime,
            kubelets=self._kubelets,
            election=self._election(),
            wire=Wire(self.lab.name, self._directory),
            facts=self._facts,
            recorder=controllers.recorder.source,
            now=time.time,
            netns=lambda name: paths.namespace(self._directory, plan.node_name(self.lab, name)),
            place=lambda node: plan.alone(self.lab, node).namespaces[0],
            programmer=lambda node: NodeProxier(self.lab, node, self._directory, compiled),
            proxy_mode=self.lab.proxy_mode,
            balances=self.lab.balances,
            grace_period=self.lab.node_lifecycle.monitor_grace_period,
        )

    def _election(self) -> Election:
        election = Election(self._informers)
        election.start()
        self._stack.callback(election.stop)
        if self.lab.load_balancer_pools:
            self._lacks.append(election.lacking)
        return election

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

    def _ensure_authority(self) -> None:
        from netlab.api.identity import Identity

        Identity(paths.tls(self._directory)).ensure()

    def _node_caches(self, controllers: RunningControllers) -> InPods:
        from netlab.agents.nodecache import NodeCaches  # few labs have them

        return NodeCaches(
            self.lab,
            self._informers,
            self._owner,
            self._vigil,
            self._keeper,
            self._groups,
            controllers.recorder.source("node-cache"),
        )

    def _ingress_controllers(self, controllers: RunningControllers) -> InPods:
        from netlab.agents.ingress import IngressControllers  # few labs have one

        made = IngressControllers(
            self._informers,
            self._owner,
            self._vigil,
            controllers.recorder.source("nginx-ingress-controller"),
            bootstrap.dns_addresses(self.lab),
            self._draining,
            self._groups,
        )
        self._lacks.append(made.lacking)
        self._readiness.add(made)
        return made

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
    asyncio.run(_run(directory, ready, responder, network))


async def _run(
    directory: Path, ready: int, responder: Process | None, network: Future[None]
) -> None:
    lab, kubelets = inventory.read_lab(directory), LocalKubelets()
    control_plane = ControlPlane(lab, directory, kubelets)
    daemon = Daemon(
        lab,
        directory,
        control_plane.api(),
        kubelets,
        responder,
        network,
        control_plane.authority,
    )
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(control_plane.close)
        stack.push_async_callback(daemon.stop)
        if control_plane.is_remote:
            await _serve_kubelets(kubelets, directory, stack)
        routes = [*Settling(control_plane, daemon).routes(), *Joining(control_plane).routes()]
        await control_plane.start(routes)
        log.info("the API answers")
        with contextlib.suppress(BrokenPipeError):  # who started us does not live any more
            os.write(ready, b"1")
        os.close(ready)
        await daemon.start()
        await control_plane.listen_for_clients()  # last of all: a lab works without it
        await _told_to_end()


async def _serve_kubelets(
    kubelets: LocalKubelets, directory: Path, stack: contextlib.AsyncExitStack
) -> None:
    from netlab.agents import kubelet_server
    from netlab.serving.http import serve_unix

    runner = await serve_unix(kubelet_server.build_app(kubelets), paths.kubelet_socket(directory))
    stack.push_async_callback(runner.cleanup)
