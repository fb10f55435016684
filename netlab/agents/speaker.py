"""A node's part in answering for load balancers: MetalLB's speaker in layer 2 mode.

One node has each address, on its link to the external network, and says so on that wire. The
Service's rules, which are the same on every node, do the rest.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from netlab.agents.election import Election
from netlab.agents.loop import Loop
from netlab.agents.podevents import Recorder
from netlab.agents.together import Batch
from netlab.network import apply, plan
from netlab.network.model import Namespace, Network
from netlab.network.operations import Announce, Operation
from netlab.objects import meta
from netlab.objects.loadbalancing import ingress_ips
from netlab.objects.types import Service
from netlab.retry import Retry

log = logging.getLogger(__name__)

REPAIR_INTERVAL = 1.0
"""Seconds between looks at the kernel for addresses that somebody took away by hand."""

RETRY = Retry(0.1, 5.0)

LIMIT = 2.0
"""Seconds after which nobody waits any more for rules that are not written yet."""

Asked = tuple[Namespace, tuple[str, ...]]


class Answering(Protocol):
    """Has nodes answer for addresses on the external network."""

    async def answer(self, node: Namespace, addresses: Iterable[str]) -> set[str]:
        """Have a node answer for these addresses (of full length) alone; those it had not."""

    def forget(self, node: Namespace) -> None:
        """There is no such node any more; what it answered for is free."""


class Wire:
    """The external network, as the nodes of one machine are on it.

    An address that moves is taken from one node before another gets it, in one call.
    """

    def __init__(self, lab: str, directory: Path) -> None:
        self._lab = lab
        self._directory = directory
        self._batch = Batch(self._ensure)
        self._known: dict[str, Asked] = {}

    async def answer(self, node: Namespace, addresses: Iterable[str]) -> set[str]:
        """As `Answering.answer`."""
        done = await self._batch.add([(node, tuple(addresses))])
        announced = (each for each in done if isinstance(each, Announce))
        return {each.address for each in announced if each.namespace == node.name}

    def forget(self, node: Namespace) -> None:
        """As `Answering.forget`."""
        self._known.pop(node.name, None)

    def _ensure(self, asked: Sequence[Asked]) -> tuple[Operation, ...]:
        wanted = {node.name: (node, addresses) for node, addresses in asked}
        given = {address for _, addresses in asked for address in addresses}
        for name, (node, addresses) in self._known.items():
            if name not in wanted and not given.isdisjoint(addresses):
                wanted[name] = node, tuple(each for each in addresses if each not in given)
        network = Network(self._lab, tuple(node for node, _ in wanted.values()))
        places = {name: addresses for name, (_, addresses) in wanted.items()}
        done = apply.ensure_announced(network, places, self._directory)
        self._known |= wanted
        return done


class Speaker:
    """Keeps the addresses on `node` that it is to answer for.

    `place` is the node's namespace as planned, `balances` says whether an address is the lab's to
    announce, and `caught_up` returns once the node's rules have all that is known.
    """

    def __init__(
        self,
        node: str,
        place: Namespace,
        election: Election,
        wire: Answering,
        recorder: Recorder,
        *,
        balances: Callable[[str], bool],
        caught_up: Callable[[], Awaitable[None]],
    ) -> None:
        self._node = node
        self._place = place
        self._election = election
        self._wire = wire
        self._recorder = recorder
        self._balances = balances
        self._caught_up = caught_up
        self._announced: frozenset[str] | None = None
        """The addresses that it has; at first, it may have any."""
        self._told: set[str] = set()
        """The Services that it answers for."""
        self._loop = Loop(f"speaker of {node}", self._work, retry=RETRY, every=self._patience)

    @property
    def idle(self) -> bool:
        """True when every address is where it belongs."""
        return self._loop.idle

    def at_work(self) -> Iterator[str]:
        """As `Working` says."""
        if not self.idle:
            yield "addresses of load balancers are being announced"

    async def start(self) -> None:
        """Adopt the addresses that are there, take stray ones away, follow changes."""
        self._election.add_listener(self._loop.wake)
        self._loop.wake()
        self._loop.start()

    async def stop(self) -> None:
        """Stop; the node goes on answering."""
        self._election.remove_listener(self._loop.wake)
        await self._loop.stop()

    async def leave(self) -> None:
        """Stop; the node goes, and all it has with it."""
        await self.stop()
        self._wire.forget(self._place)

    def _patience(self) -> float | None:
        """Seconds until it is time to look at the kernel, if there is anything to see."""
        return REPAIR_INTERVAL if self._announced != frozenset() else None

    async def _work(self, changed: bool) -> None:
        services = self._election.of(self._node)
        wanted = frozenset(address for service in services for address in self._ours(service))
        if changed:  # without the rules for what is known by now, it would refuse who comes
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LIMIT):
                    await self._caught_up()
        if wanted or self._announced != frozenset():
            given = await self._wire.answer(self._place, sorted(wanted))
            self._tell(services, given)
        self._announced = wanted
        self._told = {meta.key(service) for service in services}

    def _ours(self, service: Service) -> list[str]:
        """The addresses of a Service that are the lab's to announce."""
        return [plan.announced(ip) for ip in ingress_ips(service) if self._balances(ip)]

    def _tell(self, services: Sequence[Service], given: set[str]) -> None:
        for service in services:
            key = meta.key(service)
            if given.isdisjoint(self._ours(service)):
                continue
            if key in self._told:
                log.warning("the address of %s had been taken from %s, put back", key, self._node)
            else:
                text = f'announcing from node "{self._node}" with protocol "layer2"'
                self._recorder.normal(service, "nodeAssigned", text)
