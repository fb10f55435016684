"""IPAddresses: what an API server stores of each address that a Service has."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator

from netlab.errors import NotSaved
from netlab.objects import ipaddresses, meta
from netlab.objects.kinds.networking import IP_ADDRESS
from netlab.objects.meta import Object
from netlab.store import preparation
from netlab.store.allocate import Claim, holding
from netlab.store.store import Store


class HeldAddresses:
    """Keeps an IPAddress for each address of the Services in the store. Nobody sees a Service whose
    addresses have none: they are written before it."""

    def __init__(self, store: Store, now: Callable[[], str]) -> None:
        self._store = store
        self._now = now

    @contextlib.contextmanager
    def taken(self, claim: Claim, service: Object) -> Iterator[None]:
        """Store what the claim takes; it is gone again if the Service cannot be written."""
        new = sorted(claim.after.addresses - claim.before.addresses)
        try:
            for address in new:
                self._hold(address, service)
            yield
        except Exception:
            self.let_go(new, service)
            raise

    def let_go(self, addresses: Iterable[str], service: Object) -> None:
        """Remove what this Service has no more, and not what is somebody else's by now. One for
        which there was no room to say so is removed later on, by the controller that repairs."""
        for address in addresses:
            there = self._store.get("IPAddress", "", address)
            if there is not None and ipaddresses.is_of(there, service):
                self._remove(there)

    def repair(self) -> None:
        """Make what a Service in the store lacks, and remove what is of none."""
        held = set()
        for service in self._store.list("Service"):
            for address in holding(service).addresses:
                held.add(address)
                with contextlib.suppress(NotSaved):
                    self._put_right(address, service)
        for one in self._store.list("IPAddress"):
            if ipaddresses.is_managed(one) and meta.name(one) not in held:
                self._remove(one)

    def _put_right(self, address: str, service: Object) -> None:
        there = self._store.get("IPAddress", "", address)
        if there is not None and not ipaddresses.is_of(there, service):
            self._store.remove(there, expected=there["metadata"]["resourceVersion"])
            there = None
        if there is None:
            self._hold(address, service)

    def _hold(self, address: str, service: Object) -> None:
        """Only what nobody has, which the claim has made sure of."""
        new: Object = {**ipaddresses.held(address, service)}
        preparation.prepare_create(IP_ADDRESS, new, self._now())
        self._store.write(new, expected="")

    def _remove(self, one: Object) -> None:
        with contextlib.suppress(NotSaved):
            self._store.remove(one, expected=one["metadata"]["resourceVersion"])
