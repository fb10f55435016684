"""The internet's name server: a process that answers in the `internet` namespace.

It answers the names that the lab's internet knows, with the internet's own address or theirs. Of
others it says that they do not exist, or asks a real name server, if the Lab names one: by sockets
of its own on the machine's network, where it has no other right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from netlab.dns.internet import internet_names, is_outside
from netlab.dns.keeper import Door, NamesKeeper
from netlab.kernel import process
from netlab.objects import meta
from netlab.objects.types import Service, ServiceSpec
from netlab.workload.program import Program


class InternetDns:
    """Answers with the internet's `addresses`, and the given names with those they are given.

    `domain` is the cluster's: what Services name below it is not the internet's to know.
    """

    def __init__(
        self,
        names: NamesKeeper,
        addresses: Sequence[str],
        given: Mapping[str, Sequence[str]],
        upstreams: Sequence[tuple[str, int]] = (),
        domain: str = "cluster.local",
    ) -> None:
        self._names = names
        self._addresses = list(addresses)
        self._given = given
        self._upstreams = list(upstreams)
        self._domain = domain
        self._targets: dict[str, str] = {}  # by the key of the Service
        self._known: dict[str, list[str]] = {}
        self._changed = True
        self.apply()

    @property
    def programs(self) -> list[Program]:
        """What answers: one process."""
        return [self._names]

    @property
    def pid(self) -> int | None:
        """The process that answers."""
        return self._names.pid

    @property
    def idle(self) -> bool:
        """Whether all that was applied is known to whoever answers."""
        return self._names.idle

    async def start(self, netns: Path) -> None:
        """Answer on all addresses of a namespace; adopts what answers there already."""
        await self._names.start(
            netns,
            [Door(53)],
            dual=any(":" in address for address in self._addresses),
            asks=bool(self._upstreams),
            asks_from=None,
            role="internet",
            addresses=self._addresses,
            upstreams=self._upstreams,
        )

    async def stop(self) -> None:
        """End it. Idempotent."""
        await self._names.stop()

    async def detach(self) -> None:
        """Let go for the next controller: it goes on answering. Idempotent."""
        await self._names.detach()

    def set_service(self, key: str, service: Service | None) -> None:
        """The Service `namespace/name` is now this, or (None) gone; takes effect with `apply`."""
        spec: ServiceSpec = meta.spec(service) if service is not None else {}
        target = (spec.get("externalName") or "").rstrip(".").lower()
        before = self._targets.get(key)
        if spec.get("type") == "ExternalName" and is_outside(target, self._domain):
            self._targets[key] = target
        else:
            self._targets.pop(key, None)
        self._changed |= self._targets.get(key) != before

    def apply(self) -> None:
        """Let the internet know what Services name."""
        if not self._changed:
            return
        self._changed = False
        wanted = internet_names(self._given, self._targets.values())
        for name in self._known.keys() | wanted.keys():
            if self._known.get(name) != wanted.get(name):
                self._names.set(name, wanted.get(name))
        self._known = wanted


def names_keeper(
    socket: Path, owner: str, log: Path, coming: process.Process | None = None
) -> NamesKeeper:
    """The keeper of the process that answers for the internet; see `NamesKeeper`."""
    return NamesKeeper("internet", socket, owner, log, lambda addresses: addresses, coming)
