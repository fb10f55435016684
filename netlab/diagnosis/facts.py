"""What causes are found from, and what one is. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct, field
from msgspec.structs import asdict

from netlab.objects import meta
from netlab.objects.endpointslices import LABEL_SERVICE_NAME
from netlab.objects.types import (
    AnyKind,
    ContainerPort,
    DiscoveryEndpointPort,
    EndpointSlice,
    Event,
    Node,
    Pod,
    Service,
    ServicePort,
    Workload,
)


class Cause(Struct, frozen=True):
    """One reason why packets for a Service do not arrive.

    `reason` is its kind, in CamelCase, for programs; `message` the line for people. `port` is the
    one port of several that it is about (its name or number, "" for all), `nodes` those that alone
    suffer from it, `pods` those it lies in. `remedy` is the command that mends it, where its kind
    alone does not say.
    """

    reason: str
    message: str
    port: str = ""
    nodes: tuple[str, ...] = ()
    pods: tuple[str, ...] = ()
    remedy: str = ""

    def __str__(self) -> str:
        # Messages of Events and conditions are anybody's: one must not pass for several lines.
        message = " ".join(self.message.split())
        return f"port {self.port}: {message}" if self.port else message

    def json(self) -> dict[str, Any]:
        """The cause as plain data; what is empty is left out."""
        return {key: value for key, value in asdict(self).items() if value} | {"line": str(self)}


class ListeningSocket(Struct, frozen=True):
    """One socket that a pod listens on; `address` is where: `0.0.0.0`, `::`, `127.0.0.1`."""

    protocol: Literal["TCP", "UDP"]
    port: int
    address: str = "::"


Listeners = Callable[[Pod], Collection[ListeningSocket] | None]
"""What a pod listens on; None when that cannot be known."""


def unknown(_pod: Pod) -> None:
    """The listeners of pods that nobody looked into."""


class Facts(Struct, frozen=True):
    """The lab as causes see it: all its objects, of every namespace.

    `events` are the Warnings; `node_port_addresses` the addresses that each node answers nodePorts
    at, where those are not all it has.
    """

    services: Sequence[Service] = ()
    pods: Sequence[Pod] = ()
    slices: Sequence[EndpointSlice] = ()
    nodes: Sequence[Node] = ()
    workloads: Sequence[Workload] = ()
    events: Sequence[Event] = ()
    listeners: Listeners = unknown
    has_pool: bool = True
    node_port_addresses: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    domain: str = "cluster.local"

    def slices_of(self, service: Service) -> list[EndpointSlice]:
        """The EndpointSlices that name the Service."""
        return [
            one
            for one in self.slices
            if meta.namespace(one) == meta.namespace(service)
            and meta.labels(one).get(LABEL_SERVICE_NAME) == meta.name(service)
        ]

    def selected(self, service: Service) -> list[Pod]:
        """The pods that the Service's selector matches, by name."""
        wanted = selector(service).items()
        pods = [pod for pod in self.pods if meta.namespace(pod) == meta.namespace(service)]
        return sorted((pod for pod in pods if wanted <= meta.labels(pod).items()), key=meta.name)

    def events_of(self, obj: AnyKind, reason: str) -> list[Event]:
        """The Warnings of that reason about an object, the latest last."""
        found = [
            event
            for event in self.events
            if event.get("reason") == reason
            and (event.get("involvedObject") or {}).get("uid") == meta.uid(obj)
        ]
        return sorted(found, key=lambda event: str(event.get("lastTimestamp") or ""))

    def node(self, name: str) -> Node | None:
        """The node of that name."""
        return next((node for node in self.nodes if meta.name(node) == name), None)


class Way(Struct, frozen=True):
    """The way that a packet takes; what is not said may be any.

    `port` is an entry of the Service's `ports`; `node` the one whose rules the packet meets, by
    `entrance`; `source` and `destination` are addresses.
    """

    port: ServicePort | None = None
    family: str = ""
    node: str = ""
    entrance: Literal["", "clusterIP", "nodePort", "loadBalancer", "externalIP"] = ""
    source: str = ""
    destination: str = ""


def selector(service: Service) -> dict[str, str]:
    """The Service's selector, {} for none."""
    return meta.spec(service).get("selector") or {}


def protocol_of(port: ServicePort | ContainerPort | DiscoveryEndpointPort) -> str:
    """TCP unless it says otherwise."""
    return port.get("protocol") or "TCP"


def ports(service: Service) -> list[ServicePort]:
    """The Service's ports."""
    return meta.spec(service).get("ports") or []


def label(service: Service, port: ServicePort) -> str:
    """How to call a port where it must be told from others; "" where there is but one."""
    return str(port.get("name") or port["port"]) if len(ports(service)) > 1 else ""


def listed(words: Sequence[str], most: int = 4) -> str:
    """`a, b, c and 3 more`."""
    rest = len(words) - most
    return ", ".join(words[:most]) + (f" and {rest} more" if rest > 0 else "")


def pairs(labels: Mapping[str, str]) -> str:
    """`app=web,tier=front`."""
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items()))


def count(number: int, noun: str) -> str:
    """`1 pod`, `2 pods`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def within(ip: str, cidr: str) -> bool:
    """Whether an address is in a range; False if either is none."""
    try:
        return ipaddress.ip_address(ip) in ipaddress.ip_network(cidr.strip(), strict=False)
    except ValueError:
        return False
