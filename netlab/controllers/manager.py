"""The controller manager: events become keys, keys are reconciled, errors come back later."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Sequence

from msgspec import Struct, field

from netlab.client.informer import Informers
from netlab.client.protocol import Api
from netlab.controllers.aggregation import AggregatedRoles
from netlab.controllers.controller import Controller, ControllerContext, WatchedKind
from netlab.controllers.deployment import Deployments
from netlab.controllers.endpoints import EndpointsObjects
from netlab.controllers.endpointslice import EndpointSlices
from netlab.controllers.ephemeralvolumes import EphemeralVolumes
from netlab.controllers.events import EventRecorder
from netlab.controllers.firsts import Firsts, OnceThere
from netlab.controllers.garbage import GarbageCollector
from netlab.controllers.kubernetes_service import KubernetesService
from netlab.controllers.loadbalancer import LoadBalancers
from netlab.controllers.mirroring import Mirroring
from netlab.controllers.namespaces import Namespaces, RootCertificates, ServiceAccounts
from netlab.controllers.nodes import Nodes
from netlab.controllers.replicaset import ReplicaSets
from netlab.controllers.scheduler import Scheduler
from netlab.controllers.servicecidr import HeldAddresses, ServiceCidrs
from netlab.controllers.volumebinding import StorageProtection, VolumeBinder
from netlab.errors import ApiError, Conflict, NetlabError, NotSaved
from netlab.later import Later
from netlab.objects.kinds.batch import JOB_TRACKING
from netlab.objects.pools import AddressRange
from netlab.objects.types import AnyKind
from netlab.tasks import Measured, cancel

log = logging.getLogger(__name__)

CONTROLLERS: tuple[type[Controller] | OnceThere, ...] = (
    Deployments,
    ReplicaSets,
    OnceThere(
        "ReplicationController",
        Later("netlab.controllers.replicationcontroller", "ReplicationControllers"),
    ),
    OnceThere("StatefulSet", Later("netlab.controllers.statefulset", "StatefulSets")),
    OnceThere("DaemonSet", Later("netlab.controllers.daemonset", "DaemonSets")),
    OnceThere("Job", Later("netlab.controllers.job", "Jobs"), finalizer=JOB_TRACKING),
    OnceThere("Job", Later("netlab.controllers.ttl", "FinishedJobs")),
    OnceThere("CronJob", Later("netlab.controllers.cronjob", "CronJobs")),
    OnceThere("ResourceQuota", Later("netlab.controllers.resourcequota", "ResourceQuotas")),
    EphemeralVolumes,
    VolumeBinder,
    StorageProtection,
    Scheduler,
    EndpointSlices,
    EndpointsObjects,
    Mirroring,
    KubernetesService,
    ServiceCidrs,
    HeldAddresses,
    LoadBalancers,
    GarbageCollector,
    Namespaces,
    ServiceAccounts,
    RootCertificates,
    AggregatedRoles,
    Nodes,
)
"""Everything a kube-controller-manager, a kube-scheduler and MetalLB's controller do here."""

_CALM_TURNS = 8
"""Turns of the event loop without a new key before a quiet moment counts as being idle."""

ROOM = 1.0
"""Seconds after which, at the latest, a write is tried again for which there was no room."""

_LONG = 0.001
"""Seconds of computing for a key from which on it rests afterwards."""

_REST, _REST_CAP = 20.0, 0.5
"""How many times as long as it took a key rests, and at most how many seconds."""


_Watched = tuple[Controller, WatchedKind]


class RunningControllers(Struct):
    """Controllers at work. `stop` ends them; `wait_idle` tells when there is nothing to do."""

    context: ControllerContext
    controllers: list[Controller] = field(default_factory=list)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    @property
    def informers(self) -> Informers:
        """The cache that they share."""
        return self.context.informers

    @property
    def recorder(self) -> EventRecorder:
        """Who writes their Events."""
        return self.context.recorder

    def start(self, kind: type[Controller]) -> None:
        """Have one more work; others watch what it watches already."""
        made = [kind(self.context)]
        self.begin(made, _watched(made))

    def begin(self, made: Sequence[Controller], watched: Iterable[_Watched]) -> None:
        """Have these work, all of which informers have synced."""
        self.controllers += made
        for controller, watch in watched:
            self.informers[watch.kind].add_listener(_listener(controller, watch))
        for controller in made:
            for number in range(controller.workers):
                self._do(_work(controller), f"{controller.name} {number}")
            for work in controller.beside():
                self._do(work, controller.name)

    def _do(self, work: Coroutine[None, None, None], name: str) -> None:
        self.tasks.append(asyncio.create_task(work, name=name))

    def is_idle(self) -> bool:
        """No key waits, none is being worked on, and every write of ours has been seen."""
        queues = (controller.queue for controller in self.controllers)
        return not self.informers.is_behind and all(queue.is_idle() for queue in queues)

    def at_work(self) -> Iterator[str]:
        """A line while there is something to do."""
        if not self.is_idle():
            yield "controllers are at work"

    async def wait_idle(self) -> None:
        """Return once the controllers have nothing left to do for what the API holds now.

        Over HTTP "now" is as far as the watches have come.
        """
        calm = 0
        while calm < _CALM_TURNS:
            for controller in self.controllers:
                await controller.queue.wait_idle()
            before = self._adds()
            await asyncio.sleep(0.002 if self.informers.is_behind else 0)
            quiet = self.is_idle() and self._adds() == before
            calm = calm + 1 if quiet else 0

    async def stop(self) -> None:
        """End all work: keys in hand are finished or cut off, events written, watches ended."""
        for controller in self.controllers:
            controller.queue.close()
        await cancel(*self.tasks)
        await self.recorder.stop()
        await self.informers.stop()

    def _adds(self) -> int:
        return sum(controller.queue.adds for controller in self.controllers)


async def start_controllers(
    api: Api,
    informers: Informers | None = None,
    *,
    clock: Callable[[], float] = time.time,
    controllers: Sequence[type[Controller] | OnceThere] = CONTROLLERS,
    load_balancer_pools: Sequence[AddressRange] = (),
    node_monitor_grace_period: float = 50.0,
    authority: Callable[[], Awaitable[str]] | None = None,
) -> RunningControllers:
    """Start the controllers on shared informers; returns once these have synced.

    `clock` gives seconds since the epoch. Pass `informers` to share them with node agents.
    Without `load_balancer_pools` Services of type LoadBalancer get no address; a node is lost that
    says nothing for `node_monitor_grace_period` seconds; without an `authority` namespaces get no
    certificate of it.
    """
    shared = informers if informers is not None else Informers(api)
    recorder = EventRecorder(api, clock)
    context = ControllerContext(
        shared, recorder, clock, load_balancer_pools, node_monitor_grace_period, authority
    )
    running = RunningControllers(context)
    late = [kind for kind in controllers if isinstance(kind, OnceThere)]
    at_once = [kind(context) for kind in controllers if not isinstance(kind, OnceThere)]
    made = [*at_once, Firsts(context, late, running.start)]
    # All indexes and informers must exist before the first listener runs.
    watched = _watched(made)
    for _, watch in watched:
        _ = shared[watch.kind]
    await shared.start()
    running.begin(made, watched)
    return running


def _watched(made: Iterable[Controller]) -> list[_Watched]:
    return [(controller, watch) for controller in made for watch in controller.watches()]


def _listener(
    controller: Controller, watch: WatchedKind
) -> Callable[[AnyKind | None, AnyKind | None], None]:
    def listen(old: AnyKind | None, new: AnyKind | None) -> None:
        for key in watch.keys(old, new):
            controller.queue.add_after(key, watch.delay)

    return listen


async def _work(controller: Controller) -> None:
    """One worker: keys until the queue closes.

    A key that took much rests in proportion: a Service of a thousand pods is not looked at anew
    for each of them that becomes ready, but a few times for them all. What it waited does not
    count: that is others' work. Whatever else there is to do has its turn between keys.
    """
    queue, computed = controller.queue, 0.0
    while (key := await queue.get()) is not None:
        work = Measured(controller.reconcile(key))
        try:
            again = await work
        except Exception as error:
            if isinstance(error, ApiError) and error.is_of_going_namespace:
                queue.forget(key)  # whatever it is to make there, it never will
            else:
                seconds = queue.retry(key, cap=ROOM if isinstance(error, NotSaved) else None)
                _log_failure(controller, key, error, seconds)
        else:
            queue.forget(key)
            if again is not None:
                queue.add_after(key, again)
        finally:
            took = work.seconds
            queue.done(key, rest=min(took * _REST, _REST_CAP) if took > _LONG else 0.0)
        computed += took
        if computed > _LONG:  # what it asked of the API may have been answered on the spot
            computed = 0.0
            await asyncio.sleep(0)


def _log_failure(controller: Controller, key: str, error: Exception, seconds: float) -> None:
    """A conflict is the way of things, an API error is worth a line, anything else a traceback.

    That nothing can be saved is for the store to say, once.
    """
    text = f"{controller.name}: {key}: {error}; again in {seconds:.3f} s"
    if isinstance(error, Conflict | NotSaved):
        log.debug(text)
    elif isinstance(error, NetlabError):
        log.warning(text)
    else:
        log.error(text, exc_info=error)
