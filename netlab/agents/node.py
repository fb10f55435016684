"""A node: all that runs on it. Made and unmade alone, while the others go on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from netlab.agents.health import HealthPorts
from netlab.agents.host import Host
from netlab.agents.hostports import HostPorts
from netlab.agents.lease import Lease
from netlab.agents.proxy import KubeProxy
from netlab.agents.proxyports import ProxyPorts
from netlab.agents.registration import Registration
from netlab.agents.rules_revision import RulesRevision
from netlab.agents.speaker import Speaker
from netlab.agents.streams import KubeletStreams
from netlab.objects.lab import Node
from netlab.objects.times import micro_time, timestamp


class NodeAgent:
    """The kubelet, the proxy and the speaker of `node`, on `host`: its pods and rules, what it says
    to load balancers and to the API server, its Node object and its lease."""

    def __init__(self, node: Node, host: Host) -> None:
        self.node = node
        self.name = node.name
        self._host = host
        self._informers = host.informers
        self._recorder = host.recorder("kube-proxy")
        self._health = HealthPorts(node.name, host.netns(node.name), node.internal_ips, host.keeper)
        self._lease = Lease(
            host.informers.api, node.name, host.grace_period, lambda: micro_time(host.now())
        )
        self._registration = Registration(
            node, host.informers, host.facts, lambda: timestamp(host.now())
        )
        self.proxy = KubeProxy(
            node.name, host.programmer(node), host.informers, self._proxied, self._repaired
        )
        self._rules_revision = RulesRevision(node.name, host.informers, lambda: self.proxy.revision)
        self._speaker = Speaker(
            node.name,
            host.place(node),
            host.election,
            host.wire,
            host.recorder("metallb-speaker"),
            balances=host.balances,
            caught_up=self.proxy.caught_up,
        )
        host_ports = HostPorts(node, host.netns(node.name), host.proxy_mode, self.proxy)
        self._kubelet = host.pod_runtime.kubelet_of(node, host_ports.around)
        self._ports = ProxyPorts(
            node.name,
            host.netns(node.name),
            host.proxy_mode,
            self.proxy,
            lambda: host.informers["Node"].get(node.name),
            dual=len(node.internal_ips) > 1,
        )
        self._stack = contextlib.AsyncExitStack()
        self._of_pods = contextlib.AsyncExitStack()

    def at_work(self) -> Iterator[str]:
        """As `Working` says, but for its pods, of which the pod runtime speaks."""
        yield from self.proxy.at_work()
        yield from self._speaker.at_work()

    async def start(self, *, boots: bool = False) -> None:
        """Begin; the node's namespace stands. If it `boots`, nothing runs there yet."""
        for agent in (self._registration, self._health, self._lease, self._rules_revision):
            agent.start()
            self._stack.push_async_callback(agent.stop)
        for other in (self.proxy, self._speaker):
            await other.start()
            self._stack.push_async_callback(other.stop)
        self._ports.start()
        self._stack.push_async_callback(self._ports.stop)
        left = await self._host.pod_runtime.adopted()
        await self._kubelet.start(left, boots=boots)
        self._of_pods.push_async_callback(self._kubelet.stop)
        streams = KubeletStreams(
            self._host.pod_runtime, self._kubelet.runs, self._host.netns(self.name)
        )
        self._host.kubelets.connect(self.name, streams)
        self._stack.callback(self._host.kubelets.disconnect, self.name)

    async def stop(self) -> None:
        """Let go of the node: its pods run on, its rules stay in force, its lease runs out."""
        await self._stack.aclose()
        await self._of_pods.aclose()

    async def leave(self) -> None:
        """End all that runs on the node, which is no more."""
        await self._kubelet.leave()
        await self._health.leave()
        await self._forgotten()

    async def silence(self) -> None:
        """Say no more, write no more rules, answer nobody; its pods run on."""
        await self._lease.stop()
        await self._health.leave()
        await self._stack.aclose()

    async def cut(self) -> None:
        """End all that runs on the node at once, as without power, and tell nobody."""
        await self._kubelet.cut()
        await self._forgotten()

    async def _forgotten(self) -> None:
        self._host.pod_runtime.forget(self.node)
        await self._speaker.leave()
        await self.stop()

    def _proxied(self, proxy: KubeProxy) -> None:
        """The node's rules are in force: so may others go by them."""
        self._health.update(proxy.health)
        self._rules_revision.look()

    def _repaired(self, proxy: KubeProxy) -> None:
        node = self._informers["Node"].get(proxy.node)
        if node is not None:
            text = "the node's rules had been changed by hand, and are put back"
            self._recorder.warning(node, "RulesChanged", text)
