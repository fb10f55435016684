"""The pods that have their links, by what a node's notices say of them: port, or namespace.

Used by the threads that attach, detach and mend pods, one at a time (`turn`), and read by the event
loop.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping

from msgspec import Struct

from netlab.network.apply import Connected


class Station(Struct, frozen=True):
    """A pod on its wire: its node's namespace, its own and a descriptor of that, its port's index,
    the number by which the node knows the namespace, its addresses and hardware address, and since
    when (seconds, monotonic)."""

    node: str
    name: str
    descriptor: int
    port: int
    number: int
    ips: tuple[str, ...]
    mac: str
    since: float


class Attached:
    """The stations of a lab's pods, by the pod's uid.

    `on_turn` is told, by whatever thread, when somebody begins to attach or take away pods (True)
    and when he has ended (False); `on_change`, that there are others now.
    """

    def __init__(self) -> None:
        self.on_turn: Callable[[bool], None] = lambda _: None
        self.on_change: Callable[[], None] = lambda: None
        self._turn = threading.Lock()
        self._stations: dict[str, Station] = {}

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """The right to attach pods and to take them away."""
        with self._turn:
            self.on_turn(True)
            try:
                yield
            finally:
                self.on_turn(False)

    def add(self, pods: Iterable[Connected]) -> None:
        """These pods are attached; their descriptors are ours from now on."""
        for each in pods:
            self._stations[each.pod.uid] = _station(each)
        self.on_change()

    def remove(self, uids: Iterable[str]) -> None:
        """These are not, or no more."""
        for uid in uids:
            station = self._stations.pop(uid, None)
            if station is not None:
                os.close(station.descriptor)

    @contextlib.contextmanager
    def free(self) -> Iterator[bool]:
        """Have the turn, unless pods are being attached or taken away, which may take seconds."""
        has = self._turn.acquire(timeout=0.02)
        try:
            yield has
        finally:
            if has:
                self._turn.release()

    def close(self) -> None:
        """Let go of all namespaces."""
        with self._turn:
            self.remove(self.uids())

    def places(self) -> dict[tuple[str, int], str]:
        """The pods' uids by node (its namespace) and, of each, the port's index as well as the
        number of its namespace: these are smaller than any index."""
        found = {}
        for uid, station in list(self._stations.items()):
            found[station.node, station.port] = found[station.node, station.number] = uid
        return found

    def uids(self) -> list[str]:
        """All of them."""
        return list(self._stations)

    def get(self, uid: str) -> Station | None:
        """A pod's station, if it is attached."""
        return self._stations.get(uid)

    def macs(self) -> Mapping[str, str]:
        """The hardware address that answers for each address."""
        return {ip: each.mac for each in list(self._stations.values()) for ip in each.ips}

    def names(self) -> dict[str, tuple[str, int]]:
        """The uid, and a descriptor of the namespace, by the namespace's name."""
        pods = list(self._stations.items())
        return {each.name: (uid, each.descriptor) for uid, each in pods}


def _station(connected: Connected) -> Station:
    pod, descriptor, number = connected
    mac = pod.stations[0][0]
    ips = tuple(ip for _, ip in pod.stations)
    return Station(
        pod.node, pod.name, descriptor, pod.port.index, number, ips, mac, time.monotonic()
    )
