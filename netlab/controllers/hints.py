"""Which zones and nodes an endpoint is meant for: the hints of EndpointSlices. Pure.

As the EndpointSlice controller writes them. `trafficDistribution` sends clients to what is near
them, whatever load that makes; the annotation `service.kubernetes.io/topology-mode: Auto`, which
goes before it, gives each zone as many endpoints as it has of the cluster's CPUs, or none at all.
Proxies follow hints only where every endpoint has them (`proxy.categorize`).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from fractions import Fraction

from msgspec import Struct, field

from netlab.controllers.endpoints_of import ZONE_LABEL
from netlab.objects import meta, quantity
from netlab.objects.types import Endpoint, EndpointHints, Node, Service

_MODE_ANNOTATIONS = (
    "service.kubernetes.io/topology-aware-hints",
    "service.kubernetes.io/topology-mode",
)
_CONTROL_PLANE = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")

NEAR = ("PreferClose", "PreferSameZone", "PreferSameNode")
"""The values of `trafficDistribution`; the first two mean the same."""

_HALF = Fraction(1, 2)
_OVERLOAD = Fraction(1, 5)
"""By how much an endpoint may have more to do for being hinted for a zone."""

NO_NODES = (
    "Insufficient Node information: allocatable CPU or zone not specified on one or more nodes"
)
TOO_FEW = "Insufficient number of endpoints"
OVERLOADED = "Unable to allocate minimum required endpoints to each zone without exceeding "
OVERLOADED += "overload threshold"
NO_ZONE = "One or more endpoints do not have a zone specified"
ENABLED = "Topology Aware Hints has been enabled"
DISABLED = "Topology Aware Hints was disabled"


class NotHinted(Exception):
    """There can be no hints by CPUs; the message is the controller's."""


def is_automatic(service: Service) -> bool:
    """Whether the Service wants its endpoints shared out to zones by their CPUs."""
    annotations = meta.annotations(service)
    chosen = next((annotations[name] for name in _MODE_ANNOTATIONS if name in annotations), "")
    return chosen in ("Auto", "auto")


def are_wanted(service: Service) -> bool:
    """Whether anything may be written into the Service's endpoints."""
    return is_automatic(service) or meta.spec(service).get("trafficDistribution") in NEAR


def near(service: Service, endpoints: Iterable[Endpoint]) -> None:
    """Write the hints of `trafficDistribution` into endpoints; none where it says nothing."""
    distribution = meta.spec(service).get("trafficDistribution")
    for endpoint in endpoints if distribution in NEAR else ():
        hints: EndpointHints = {}
        if zone := endpoint.get("zone"):
            hints["forZones"] = [{"name": zone}]
        if distribution == "PreferSameNode" and (node := endpoint.get("nodeName")):
            hints["forNodes"] = [{"name": node}]
        if hints and _is_ready(endpoint):
            endpoint["hints"] = hints


def cpu_shares(nodes: Iterable[Node]) -> dict[str, Fraction]:
    """The share that each zone has of the CPUs of ready workers; {} unless all is known of them,
    and there are two zones."""
    cpus: dict[str, Fraction] = {}
    for node in nodes:
        if (known := cpus_of(node)) is not None:
            zone, cpu = known
            if not zone or not cpu:
                return {}
            cpus[zone] = cpus.get(zone, Fraction(0)) + cpu
    total = sum(cpus.values(), Fraction(0))
    return {zone: cpu / total for zone, cpu in cpus.items()} if len(cpus) > 1 else {}


def cpus_of(node: Node) -> tuple[str, Fraction] | None:
    """A node's zone and CPUs, "" and 0 for what is not known; None for one that does not count."""
    labels = meta.labels(node)
    if not meta.is_ready(node) or any(name in labels for name in _CONTROL_PLANE):
        return None
    cpus = (meta.status(node).get("allocatable") or {}).get("cpu")
    return labels.get(ZONE_LABEL, ""), quantity.parse(cpus)


def by_cpus(endpoints: Iterable[Endpoint], shares: Mapping[str, Fraction]) -> None:
    """Write hints for zones by their share of the CPUs (of `cpu_shares`) into ready endpoints.

    Raises NotHinted, with nothing written, where that is not possible.
    """
    ready = [endpoint for endpoint in endpoints if _is_ready(endpoint)]
    allocations = _allocations(len(ready), shares)
    if not all(endpoint.get("zone") for endpoint in ready):
        raise NotHinted(NO_ZONE)
    zones = _Zones(allocations, Counter(endpoint["zone"] for endpoint in ready))
    for endpoint in ready:
        endpoint["hints"] = {"forZones": [{"name": zones.taken_by(endpoint["zone"])}]}


def _allocations(endpoints: int, shares: Mapping[str, Fraction]) -> dict[str, Fraction]:
    """How many endpoints each zone is to have, as exactly as can be."""
    if not shares:
        raise NotHinted(NO_NODES)
    counted = f" ({endpoints} endpoints, {len(shares)} zones)"
    if len(shares) > endpoints:
        raise NotHinted(TOO_FEW + counted)
    least = {zone: math.ceil(share * endpoints / (1 + _OVERLOAD)) for zone, share in shares.items()}
    if sum(least.values()) > endpoints:
        raise NotHinted(OVERLOADED + counted)
    return {zone: max(share * endpoints, Fraction(least[zone])) for zone, share in shares.items()}


class _Zones(Struct):
    """Which zones give endpoints away, and which get them."""

    allocations: Mapping[str, Fraction]
    there: Counter[str]
    giving: Counter[str] = field(default_factory=Counter)
    receiving: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        over = {zone: self.there[zone] - wanted for zone, wanted in self.allocations.items()}
        spare = {zone: amount for zone, amount in over.items() if amount > 0}
        short = {zone: -amount for zone, amount in over.items() if amount < 0}
        while spare and short:
            giver = max(sorted(spare), key=spare.__getitem__)
            taker = max(sorted(short), key=short.__getitem__)
            if min(spare[giver], short[taker]) < _HALF:  # it would be no better so
                return
            self.giving[giver] += 1
            self.receiving[taker] += 1
            spare[giver] -= 1
            short[taker] -= 1

    def taken_by(self, zone: str) -> str:
        """The zone that has the next endpoint of this zone."""
        taker = next((each for each, count in sorted(self.receiving.items()) if count), zone)
        if not self.giving[zone]:
            return zone
        self.giving[zone] -= 1
        self.receiving[taker] -= 1
        return taker


def _is_ready(endpoint: Endpoint) -> bool:
    return bool((endpoint.get("conditions") or {}).get("ready"))
