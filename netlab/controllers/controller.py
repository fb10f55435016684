"""What a controller is: the kinds it watches, how their changes become keys, `reconcile(key)`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any, ClassVar, TypeVar

from msgspec import Struct

from netlab.client.informer import Informer, Informers
from netlab.client.workqueue import WorkQueue
from netlab.controllers.events import EventRecorder
from netlab.objects import meta
from netlab.objects.pools import AddressRange
from netlab.objects.times import timestamp
from netlab.objects.types import AnyKind, CronJob, Job, Namespace, Workload

W = TypeVar("W", bound=Workload | Job | CronJob | Namespace)

Keys = Callable[[Any, Any], Iterable[str]]
"""`keys(old, new)`: what to reconcile after a change of an object of the kind that is watched; None
before it was, and after it went."""


class WatchedKind(Struct, frozen=True):
    """A kind whose changes concern a controller, and the keys that each change concerns.

    `delay`: seconds that such a key waits for further changes before it is reconciled.
    """

    kind: str
    keys: Keys
    delay: float = 0.0


class ControllerContext(Struct, frozen=True):
    """What every controller is given: the shared cache, the recorder of Events, the time.

    `load_balancer_pools` are the addresses for Services of type LoadBalancer; a node that says
    nothing for `node_monitor_grace_period` seconds is lost; `authority` returns the certificate of
    the lab's CA, once there is one.
    """

    informers: Informers
    recorder: EventRecorder
    clock: Callable[[], float]
    load_balancer_pools: Sequence[AddressRange] = ()
    node_monitor_grace_period: float = 50.0
    authority: Callable[[], Awaitable[str]] | None = None

    def now(self) -> str:
        """The time as the API writes it: `2026-01-31T12:00:00Z`."""
        return timestamp(self.clock())


class Controller(ABC):
    """Brings the world towards what the objects say, one key at a time.

    `name` is the source component of its Events. `reconcile` may run for `workers` keys at
    once, never twice at once for the same key; whatever it raises is logged and retried.
    """

    name: ClassVar[str]
    workers: ClassVar[int] = 2
    queue: WorkQueue

    def __init__(self, context: ControllerContext) -> None:
        self.context = context
        self.informers = context.informers
        self.recorder = context.recorder.source(self.name)
        self.queue = WorkQueue()

    @abstractmethod
    def watches(self) -> Sequence[WatchedKind]:
        """The kinds this controller watches; called once, before any event."""

    @abstractmethod
    async def reconcile(self, key: str) -> float | None:
        """Do what `key` needs; seconds until it wants to look at that key again, or None."""

    def beside(self) -> Iterable[Coroutine[None, None, None]]:
        """What it does beside looking at keys, until it is cancelled."""
        return ()

    async def write_status(self, obj: W, status: Mapping[str, Any]) -> W:
        """Merge-patch the status if that changes it; the object as it then is."""
        before = meta.status(obj)
        if all(before.get(field) == value for field, value in status.items()):
            return obj
        return await self.informers.patch_status(obj, status)


def omit_empty(status: Mapping[str, Any], *kept: str) -> dict[str, Any]:
    """A status as a merge patch: what is 0 or empty is left out, but for `kept`: Go's omitempty."""
    return {field: value if field in kept else value or None for field, value in status.items()}


def own_key(old: AnyKind | None, new: AnyKind | None) -> Iterable[str]:
    """The changed object's own key."""
    obj = new or old
    return (meta.key(obj),) if obj else ()


def owner_keys(kind: str) -> Keys:
    """The key of the controller of that kind which owns the changed object, before or after."""

    def keys(old: AnyKind | None, new: AnyKind | None) -> Iterable[str]:
        return {
            f"{meta.namespace(obj)}/{owner['name']}"
            for obj in (old, new)
            if obj is not None and (owner := meta.controller_of(obj)) and owner["kind"] == kind
        }

    return keys


def index_by_controller(informer: Informer[Any]) -> None:
    """Index "controller": the uid of the controlling owner; "orphans": namespace without one."""
    informer.add_index("controller", _controller_uid)
    informer.add_index("orphans", _orphan_namespace)


def _controller_uid(obj: AnyKind) -> Iterable[str]:
    uid = meta.controller_uid(obj)
    return (uid,) if uid else ()


def _orphan_namespace(obj: AnyKind) -> Iterable[str]:
    return () if meta.controller_of(obj) else (meta.namespace(obj),)


def index_by_namespace(informer: Informer[Any]) -> None:
    """Index "namespace"."""
    informer.add_index("namespace", lambda obj: (meta.namespace(obj),))
