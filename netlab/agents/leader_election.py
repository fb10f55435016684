"""Which of several replicas leads: who holds a Lease and renews it, as client-go's programs do it.

Source: tools/leaderelection/leaderelection.go of client-go.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from msgspec import Struct

from netlab.agents.loop import Loop
from netlab.errors import NetlabError, NotFound
from netlab.objects import meta
from netlab.objects.meta import AnyObject
from netlab.objects.times import micro_time
from netlab.objects.types import Lease, LeaseSpec

JITTER = 1.2
"""Who does not lead waits longer before he tries again, by up to so many times as long."""

Say = Callable[[str], None]


class Leases(Protocol):
    """The API, as far as an election needs it: see `Api`."""

    async def get(self, kind: str, namespace: str, name: str) -> Any:
        """One object; `NotFound` if there is none."""

    async def create(self, obj: AnyObject) -> Any:
        """Create it."""

    async def update(self, obj: AnyObject) -> Any:
        """Replace it, `Conflict` unless it is current."""


class Candidate(Struct, frozen=True):
    """Who wants the Lease `name` of a namespace, for `duration` seconds each time."""

    namespace: str
    name: str
    identity: str
    duration: float = 30.0

    @property
    def lock(self) -> str:
        """The Lease as messages name it."""
        return f"{self.namespace}/{self.name}"


class LeaderElection:
    """One candidate's part in it, with what the API lets him do.

    He `says` how it goes, and `complains` each time of what he is refused ("": nothing); `changed`
    is called when he begins to lead, and when he does no more. A Lease of his is left to run out
    when he goes, so another one leads only then.
    """

    def __init__(
        self,
        api: Leases,
        candidate: Candidate,
        changed: Callable[[], None],
        says: Say,
        complains: Say,
    ) -> None:
        self._api, self._candidate = api, candidate
        self._changed, self._says, self._complains = changed, says, complains
        self._led = False
        self._renewed = self._seen_at = 0.0
        self._seen: LeaseSpec = {}
        self._loop = Loop(f"{candidate.identity}, {candidate.lock}", self._work, every=self._pause)

    @property
    def leads(self) -> bool:
        """Whether nobody else can be the leader: who does not get his Lease renewed gives up before
        it has run out."""
        return self._led and _now() < self._renewed + self._candidate.duration / 2

    @property
    def idle(self) -> bool:
        """False until he knows whether he leads."""
        return self._loop.idle

    def start(self) -> None:
        """Try to lead, now and from then on."""
        self._says(f"attempting to acquire leader lease {self._candidate.lock}...")
        self._loop.wake()
        self._loop.start()

    async def stop(self) -> None:
        """Try no more. Idempotent."""
        await self._loop.stop()

    def _pause(self) -> float:
        pause = self._candidate.duration / 4
        return pause if self._led else pause * (1 + JITTER * random.random())

    async def _work(self, _: bool) -> None:
        led, refused = self._led, ""
        try:
            self._led = await self._acquired()
        except NetlabError as error:
            refused, self._led = error.message, self.leads
        self._complains(refused)
        if led != self._led:
            deed = "failed to renew lease" if led else "successfully acquired lease"
            self._says(f"{deed} {self._candidate.lock}")
            self._changed()

    async def _acquired(self) -> bool:
        """Get or renew the Lease; False as long as it is another's."""
        candidate = self._candidate
        known = await self._known()
        if known is not None:
            self._look_at(meta.spec(known))
            if self._is_held():
                return False
        spec = self._renewal(known)
        if known is None:
            metadata = {"name": candidate.name, "namespace": candidate.namespace}
            made = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata}
            with _telling("error initially creating leader election record"):
                await self._api.create({**made, "spec": spec})
        else:
            with _telling("Failed to update lock"):
                await self._api.update({**known, "spec": spec})
        self._renewed = _now()
        self._look_at(spec)
        return True

    async def _known(self) -> Lease | None:
        with _telling(f"error retrieving resource lock {self._candidate.lock}"):
            try:
                found: Lease = await self._api.get(
                    "Lease", self._candidate.namespace, self._candidate.name
                )
            except NotFound:
                return None
            return found

    def _look_at(self, spec: LeaseSpec) -> None:
        """Whose it is, by when it was seen to be renewed: clocks of others may go wrong."""
        if spec != self._seen:
            holder = spec.get("holderIdentity") or ""
            if holder != self._seen.get("holderIdentity"):
                self._says(f'"New leader elected" identity="{holder}"')
            self._seen, self._seen_at = spec, _now()

    def _is_held(self) -> bool:
        holder = self._seen.get("holderIdentity")
        if not holder or holder == self._candidate.identity:
            return False
        return _now() < self._seen_at + (self._seen.get("leaseDurationSeconds") or 0)

    def _renewal(self, known: Lease | None) -> LeaseSpec:
        now = micro_time(time.time())
        before: LeaseSpec = meta.spec(known) if known is not None else {}
        is_mine = before.get("holderIdentity") == self._candidate.identity
        changes = (before.get("leaseTransitions") or 0) + (known is not None and not is_mine)
        return {
            **before,
            "holderIdentity": self._candidate.identity,
            "leaseDurationSeconds": int(self._candidate.duration),
            "acquireTime": before.get("acquireTime", now) if is_mine else now,
            "renewTime": now,
            "leaseTransitions": changes,
        }


@contextlib.contextmanager
def _telling(what: str) -> Iterator[None]:
    """Name in an error what was tried."""
    try:
        yield
    except NetlabError as error:
        error.message = f"{what}: {error.message}"
        raise


def _now() -> float:
    return asyncio.get_running_loop().time()
