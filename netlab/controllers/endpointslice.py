"""EndpointSlices: the addresses behind each Service, as kube-proxy and DNS read them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from netlab.client.informer import Informer, Informers
from netlab.controllers import endpoints_of, hints, slicing
from netlab.controllers.controller import Controller, ControllerContext, WatchedKind, own_key
from netlab.controllers.perpod import PerPod
from netlab.controllers.triggers import Triggers
from netlab.errors import NotFound
from netlab.objects import meta
from netlab.objects.endpointslices import LABEL_SERVICE_NAME, service_keys
from netlab.objects.ranges import Family
from netlab.objects.types import AnyKind, Endpoint, EndpointSlice, Node, ObjectMeta, Pod, Service

MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
CONTROLLER = "endpointslice-controller.k8s.io"


class ServicesOfPods:
    """Which Services a pod is an endpoint of, and which pods a Service has."""

    def __init__(self, context: ControllerContext) -> None:
        self._services = context.informers["Service"]
        self._pods = context.informers["Pod"]
        self._services.add_index("selector", _one_pair)
        self._pods.add_index("label", _label_pairs)

    def keys(self, old: Pod | None, new: Pod | None) -> Iterable[str]:
        """The Services whose endpoints a change of a pod may change."""
        if not endpoints_of.concerns_endpoints(old, new):
            return ()
        versions = [obj for obj in (old, new) if obj is not None]
        candidates = {
            meta.key(service): service
            for pair in {pair for obj in versions for pair in _label_pairs(obj)}
            for service in self._services.by_index("selector", pair)
        }
        return [
            key
            for key, service in candidates.items()
            if any(_selector(service).items() <= meta.labels(obj).items() for obj in versions)
        ]

    def pods(self, service: Service) -> list[Pod]:
        """The pods that the Service selects."""
        selector = _selector(service)
        # The pair that fewest pods carry, rather than every pod of the namespace.
        pairs = _pairs(service, selector)
        rarest = min(pairs, key=lambda pair: self._pods.count("label", pair))
        candidates = self._pods.by_index("label", rarest)
        if len(pairs) == 1:
            return candidates
        return [pod for pod in candidates if selector.items() <= meta.labels(pod).items()]


def _selector(service: Service) -> dict[str, str]:
    return meta.spec(service).get("selector") or {}


_AUTOMATIC = "hints by CPUs"


def _automatic(service: Service) -> Iterable[str]:
    return ("yes",) if hints.is_automatic(service) else ()


def _pairs(obj: AnyKind, labels: Mapping[str, str]) -> list[str]:
    space = meta.namespace(obj)
    return [f"{space} {key}={value}" for key, value in labels.items()]


def _label_pairs(pod: Pod) -> Iterable[str]:
    return _pairs(pod, meta.labels(pod))


def _one_pair(service: Service) -> Iterable[str]:
    """Any one pair of the selector: a pod that is selected carries them all."""
    return _pairs(service, _selector(service))[:1]


class EndpointSlices(Controller):
    """Keeps the slices of every Service that has a selector."""

    name = "endpoint-slice-controller"

    def __init__(self, context: ControllerContext) -> None:
        super().__init__(context)
        self._selection = ServicesOfPods(context)
        index_by_service(self.informers["EndpointSlice"])
        self.informers["Service"].add_index(_AUTOMATIC, _automatic)
        self._triggers = Triggers()
        self._made: PerPod[endpoints_of.Placed | None] = PerPod()
        self._said: dict[str, str] = {}
        """What was said last of hints by CPUs, by Service and family."""

    def watches(self) -> Sequence[WatchedKind]:
        """Services, the pods they select, slices changed by others, and nodes for their zones."""
        return (
            WatchedKind("Service", own_key),
            WatchedKind("Pod", self._selection.keys),
            WatchedKind("EndpointSlice", self._slice_keys),
            WatchedKind("Node", self._node_keys),
        )

    def _slice_keys(self, old: EndpointSlice | None, new: EndpointSlice | None) -> Iterable[str]:
        managed = [
            obj for obj in (old, new) if obj and meta.labels(obj).get(MANAGED_BY) == CONTROLLER
        ]
        return {key for obj in managed for key in service_keys(obj)}

    def _node_keys(self, old: Node | None, new: Node | None) -> Iterable[str]:
        services, both = self.informers["Service"], (old, new)
        before, after = (_zone(obj) if obj else None for obj in both)
        if before != after:
            return map(meta.key, services.items())
        if not services.count(_AUTOMATIC, "yes"):
            return ()
        had, has = (hints.cpus_of(obj) if obj else None for obj in both)
        return map(meta.key, services.by_index(_AUTOMATIC, "yes") if had != has else ())

    async def reconcile(self, key: str) -> float | None:
        """Write the slices that differ from what the Service's pods make of them.

        A Service that loses its selector keeps its slices as they are, as in Kubernetes.
        """
        services = self.informers["Service"]
        service = services.get(key)
        if service is None:
            self._triggers.forget(key)
            self._made.forget(key)
            self._said = {of: said for of, said in self._said.items() if of.split()[0] != key}
            await write_changes(self.informers, slicing.Changes(delete=self._existing(key)))
            return None
        if services.is_going(service) or not endpoints_of.has_managed_endpoints(service):
            return None
        pods, zones = self._selection.pods(service), self._zones()
        metadata, families = _metadata(service), endpoints_of.families(service)
        if triggered := self._triggers.of(service, pods):
            metadata["annotations"] = triggered
        existing = self._existing(key)
        stale = [one for one in existing if one["addressType"] not in families]
        await write_changes(self.informers, slicing.Changes(delete=stale))
        for family in families:
            groups = endpoints_of.grouped(service, pods, family, zones, self._made)
            if hints.are_wanted(service):
                groups = {ports: [one.copy() for one in each] for ports, each in groups.items()}
            self._hint(service, family, [one for each in groups.values() for one in each])
            mine = [one for one in existing if one["addressType"] == family]
            await write_changes(self.informers, slicing.plan(family, groups, mine, metadata))
        return None

    def _hint(self, service: Service, family: Family, endpoints: Sequence[Endpoint]) -> None:
        """Write hints, as the Service wants them. Of those by CPUs, Events tell whether there are
        any."""
        place = f"{meta.key(service)} {family}"
        if not hints.is_automatic(service):
            hints.near(service, endpoints)
            if self._said.pop(place, ""):
                self._say(service, family, hints.DISABLED)
            return
        try:
            hints.by_cpus(endpoints, hints.cpu_shares(self.informers["Node"].items()))
            said = ""
        except hints.NotHinted as error:
            said = str(error)
        if self._said.get(place) != said:
            self._say(service, family, said)
        self._said[place] = said

    def _say(self, service: Service, family: Family, why_not: str) -> None:
        if why_not:
            text = f"{why_not}, addressType: {family}"
            self.recorder.warning(service, "TopologyAwareHintsDisabled", text)
        else:
            text = f"{hints.ENABLED}, addressType: {family}"
            self.recorder.normal(service, "TopologyAwareHintsEnabled", text)

    def _existing(self, key: str) -> list[EndpointSlice]:
        slices = self.informers["EndpointSlice"]
        return [
            one
            for one in slices.by_index("service", key)
            if meta.labels(one).get(MANAGED_BY) == CONTROLLER and not slices.is_going(one)
        ]

    def _zones(self) -> dict[str, str]:
        return {
            meta.name(node): zone
            for node in self.informers["Node"].items()
            if (zone := _zone(node))
        }


def _zone(node: Node) -> str | None:
    return meta.labels(node).get(endpoints_of.ZONE_LABEL)


async def write_changes(informers: Informers, changes: slicing.Changes) -> None:
    """Carry planned changes of slices out; a slice already gone is as good as deleted."""
    for one in changes.create:
        await informers.create(one)
    for one in changes.update:
        await informers.update(one)
    for one in changes.delete:
        try:
            await informers.delete(one)
        except NotFound:
            continue


def index_by_service(informer: Informer[EndpointSlice]) -> None:
    """Index "service": the key of the Service whose slice it is."""
    informer.add_index("service", service_keys)


def _metadata(service: Service) -> ObjectMeta:
    """What every slice of the Service starts with."""
    labels = {k: v for k, v in meta.labels(service).items() if k != endpoints_of.HEADLESS_LABEL}
    headless = {endpoints_of.HEADLESS_LABEL: ""} if endpoints_of.is_headless(service) else {}
    return {
        "generateName": f"{meta.name(service)}-",
        "namespace": meta.namespace(service),
        "labels": {
            **labels,
            **headless,
            LABEL_SERVICE_NAME: meta.name(service),
            MANAGED_BY: CONTROLLER,
        },
        "ownerReferences": [meta.owner_reference(service)],
    }
