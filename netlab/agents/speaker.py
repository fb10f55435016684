"""Which node answers for a load balancer's address: MetalLB's speaker in layer 2 mode.

One node has each address, on its link to the external network, and says so on that wire. The
Service's rules, which are the same on every node, do the rest.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from netlab.agents.draining import Draining
from netlab.agents.loop import Loop
from netlab.agents.podevents import Recorder
from netlab.client.informer import Informers
from netlab.network import apply, plan
from netlab.network.operations import Announce, Operation
from netlab.objects import meta
from netlab.objects.lab import Lab
from netlab.objects.loadbalancing import (
    announcing_node,
    ingress_ips,
    is_balanced,
    is_local,
    may_announce,
)
from netlab.objects.meta import Object
from netlab.retry import Retry

log = logging.getLogger(__name__)

REPAIR_INTERVAL = 1.0
"""Seconds between looks at the kernel for addresses that somebody took away by hand."""

RETRY = Retry(0.1, 5.0)

_BALANCED, _OF_SERVICE = "balanced", "announced service"


class Speaker:
    """Keeps each load balancer's address on the node that is to answer for it."""

    def __init__(
        self,
        lab: Lab,
        directory: Path,
        informers: Informers,
        draining: Draining,
        recorder: Recorder,
    ) -> None:
        self._lab = lab
        self._directory = directory
        self._network = plan.cluster(lab)
        self._draining = draining
        self._recorder = recorder
        self._services, self._nodes, self._slices = (
            informers[kind] for kind in ("Service", "Node", "EndpointSlice")
        )
        self._services.add_index(_BALANCED, _balanced)
        self._slices.add_index(_OF_SERVICE, _service_keys)
        self._announcers: dict[str, str] = {}
        """By Service, the node that answers for it."""
        self._touched = {plan.node_name(lab, node.name) for node in lab.nodes}
        """The namespaces that may have addresses; at first, any."""
        self._loop = Loop("speaker", self._work, retry=RETRY, every=self._patience)

    @property
    def idle(self) -> bool:
        """True when every address is where it belongs."""
        return self._loop.idle

    def at_work(self) -> Iterator[str]:
        """As `Agent` says."""
        if not self.idle:
            yield "addresses of load balancers are being announced"

    def lacking(self) -> Iterator[str]:
        """A line for each Service that has no address, which only somebody else can change."""
        for service in self._services.by_index(_BALANCED, "yes"):
            if self._lab.load_balancer_pools and not ingress_ips(service):
                key = meta.key(service)
                yield f"service {key}: no load balancer address (netlab describe service says why)"

    async def start(self) -> None:
        """Adopt the addresses that are there, take stray ones away, follow changes."""
        self._services.add_listener(self._on_service)
        self._nodes.add_listener(self._on_node)
        self._slices.add_listener(self._on_slice)
        self._loop.wake()
        self._loop.start()

    async def stop(self) -> None:
        """Stop; the nodes go on answering."""
        await self._loop.stop()

    # -- what concerns it ------------------------------------------------------------------

    def _on_service(self, old: Object | None, new: Object | None) -> None:
        if any(obj is not None and ingress_ips(obj) for obj in (old, new)):
            self._loop.wake()

    def _on_node(self, old: Object | None, new: Object | None) -> None:
        before, after = (obj is not None and may_announce(obj) for obj in (old, new))
        if before != after:
            self._loop.wake()

    def _on_slice(self, old: Object | None, new: Object | None) -> None:
        services = (self._services.get(key) for key in _service_keys(new or old or {}))
        if any(service and is_balanced(service) and is_local(service) for service in services):
            self._loop.wake()

    # -- work ------------------------------------------------------------------------------

    def _patience(self) -> float | None:
        """Seconds until it is time to look at the kernel, if there is anything to see."""
        return REPAIR_INTERVAL if self._touched else None

    async def _work(self, changed: bool) -> None:
        announcers = self._elected()
        wanted = self._wanted(announcers)
        if changed:  # a node without the rules for what is known by now would refuse who comes
            await self._draining.caught_up()
        await self._announce(announcers, wanted)

    async def _announce(
        self, announcers: dict[str, str], wanted: Mapping[str, Sequence[str]]
    ) -> None:
        self._touched |= wanted.keys()
        places = {name: wanted.get(name, ()) for name in sorted(self._touched)}
        done = await asyncio.to_thread(
            apply.ensure_announced, self._network, places, self._directory
        )
        self._touched = set(wanted)
        self._tell(announcers, done)
        self._announcers = announcers

    def _elected(self) -> dict[str, str]:
        """By Service, the node that is to answer for it."""
        nodes = [node for node in self._nodes.items() if self._lab.node(meta.name(node))]
        found = {}
        for service in self._services.by_index(_BALANCED, "yes"):
            slices = self._slices.by_index(_OF_SERVICE, meta.key(service))
            node = announcing_node(service, nodes, slices)
            if node is not None:
                found[meta.key(service)] = node
        return found

    def _wanted(self, announcers: Mapping[str, str]) -> dict[str, list[str]]:
        """The addresses, with their lengths, that each node's namespace is to have."""
        wanted: dict[str, list[str]] = {}
        for key, node in sorted(announcers.items()):
            name = plan.node_name(self._lab, node)
            wanted.setdefault(name, []).extend(self._addresses(key))
        return wanted

    def _addresses(self, key: str) -> list[str]:
        """The addresses of a Service that are the lab's to announce."""
        ips = ingress_ips(self._services.get(key) or {})
        return [plan.announced(ip) for ip in ips if self._lab.balances(ip)]

    def _tell(self, announcers: Mapping[str, str], done: Sequence[Operation]) -> None:
        moved = {operation.address for operation in done if isinstance(operation, Announce)}
        for key, node in announcers.items():
            service = self._services.get(key)
            if service is None or moved.isdisjoint(self._addresses(key)):
                continue
            if self._announcers.get(key) == node:
                log.warning("the address of %s had been taken from %s, put back", key, node)
            else:
                text = f'announcing from node "{node}" with protocol "layer2"'
                self._recorder.normal(service, "nodeAssigned", text)


def _balanced(service: Object) -> Iterable[str]:
    return ("yes",) if is_balanced(service) else ()


def _service_keys(endpoint_slice: Object) -> Iterable[str]:
    name = meta.labels(endpoint_slice).get("kubernetes.io/service-name")
    return (f"{meta.namespace(endpoint_slice)}/{name}",) if name else ()
