"""What runs on one node beside its pods: its proxy, what that says to load balancers, its lease."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from netlab.agents.health import HealthPorts
from netlab.agents.lease import Lease
from netlab.agents.podevents import Recorder
from netlab.agents.proxy import Programmer, ProxyAgent
from netlab.agents.responder_keeper import ResponderKeeper
from netlab.client.informer import Informers
from netlab.client.protocol import Api
from netlab.objects.lab import Node


class NodeAgent:
    """The agents of `node`, whose namespace is at `netns`. `programmer` writes its rules, `now` is
    the time for its lease; `on_rules` is called whenever rules are in force."""

    def __init__(
        self,
        node: Node,
        netns: Path,
        api: Api,
        informers: Informers,
        programmer: Programmer,
        keeper: ResponderKeeper,
        recorder: Recorder,
        *,
        now: Callable[[], str],
        on_rules: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = node.name
        self._informers = informers
        self._recorder = recorder
        self._on_rules = on_rules
        self._health = HealthPorts(node.name, netns, node.internal_ips, keeper)
        self._lease = Lease(api, node.name, now)
        self.proxy = ProxyAgent(node.name, programmer, informers, self._proxied, self._repaired)
        self._stack = contextlib.AsyncExitStack()

    def at_work(self) -> Iterator[str]:
        """As `Agent` says."""
        yield from self.proxy.at_work()

    async def start(self) -> None:
        """Begin; the node's namespace stands."""
        self._health.start()
        self._stack.push_async_callback(self._health.stop)
        await self.proxy.start()
        self._stack.push_async_callback(self.proxy.stop)
        self._lease.start()
        self._stack.push_async_callback(self._lease.stop)

    async def stop(self) -> None:
        """Let go of the node: its rules stay in force, its lease runs out."""
        await self._stack.aclose()

    def _proxied(self, proxy: ProxyAgent) -> None:
        """The node's rules are in force: so may others go by them."""
        self._health.update(proxy.health)
        self._on_rules()

    def _repaired(self, proxy: ProxyAgent) -> None:
        node = self._informers["Node"].get(proxy.node)
        if node is not None:
            text = "the node's rules had been changed by hand, and are put back"
            self._recorder.warning(node, "RulesChanged", text)
