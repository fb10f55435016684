"""Which node answers for which load balancer, as every speaker works it out by itself.

MetalLB's speakers do not ask each other: each knows the Services, the nodes and the endpoints, and
so comes to what all others come to. Those of one process have it worked out once for them all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from netlab.client.informer import Informers
from netlab.objects import meta
from netlab.objects.endpointslices import service_keys
from netlab.objects.loadbalancing import (
    announcing_node,
    ingress_ips,
    is_balanced,
    may_announce,
    serving_nodes,
)
from netlab.objects.types import EndpointSlice, Node, Service

_BALANCED, _OF_SERVICE = "balanced", "announced service"


class Election:
    """Knows the balanced Services and who is to answer for each; tells when that may be new."""

    def __init__(self, informers: Informers) -> None:
        self._services = informers["Service"]
        self._nodes = informers["Node"]
        self._slices = informers["EndpointSlice"]
        self._services.add_index(_BALANCED, _balanced)
        self._slices.add_index(_OF_SERVICE, service_keys)
        self._listeners: list[Callable[[], None]] = []
        self._elected: dict[str, list[Service]] | None = None

    def start(self) -> None:
        """Follow changes."""
        self._services.add_listener(self._on_service)
        self._nodes.add_listener(self._on_node)
        self._slices.add_listener(self._on_slice)

    def stop(self) -> None:
        """Follow them no longer."""
        self._services.remove_listener(self._on_service)
        self._nodes.remove_listener(self._on_node)
        self._slices.remove_listener(self._on_slice)

    def add_listener(self, listener: Callable[[], None]) -> None:
        """Call it whenever somebody else may have been elected."""
        self._listeners.append(listener)

    def remove_listener(self, listener: Callable[[], None]) -> None:
        """Call it no more. Idempotent."""
        if listener in self._listeners:
            self._listeners.remove(listener)

    def of(self, node: str) -> Sequence[Service]:
        """The Services that a node answers for, in the order of their keys."""
        if self._elected is None:
            self._elected = self._count()
        return self._elected.get(node, ())

    def lacking(self) -> Iterator[str]:
        """A line for each Service that has no address, which only somebody else can change."""
        for service in self._services.by_index(_BALANCED, "yes"):
            if not ingress_ips(service):
                key = meta.key(service)
                yield f"service {key}: no load balancer address (netlab describe service says why)"

    def _count(self) -> dict[str, list[Service]]:
        found: dict[str, list[Service]] = {}
        where: dict[str, str] = {}
        for service in sorted(self._services.by_index(_BALANCED, "yes"), key=meta.key):
            slices = self._slices.by_index(_OF_SERVICE, meta.key(service))
            node = announcing_node(service, self._nodes.items(), slices)
            if node is None:
                continue
            # Of those that share an address the first one says where it is.
            node = next((where[ip] for ip in ingress_ips(service) if ip in where), node)
            where |= dict.fromkeys(ingress_ips(service), node)
            found.setdefault(node, []).append(service)
        return found

    # -- what concerns it ------------------------------------------------------------------

    def _on_service(self, old: Service | None, new: Service | None) -> None:
        if any(obj is not None and ingress_ips(obj) for obj in (old, new)):
            self._changed()

    def _on_node(self, old: Node | None, new: Node | None) -> None:
        before, after = (obj is not None and may_announce(obj) for obj in (old, new))
        if before != after:
            self._changed()

    def _on_slice(self, old: EndpointSlice | None, new: EndpointSlice | None) -> None:
        either = new or old
        for key in service_keys(either) if either else ():
            service = self._services.get(key)
            if service is not None and is_balanced(service):
                before, after = (serving_nodes(service, [one] if one else []) for one in (old, new))
                if before != after:
                    self._changed()

    def _changed(self) -> None:
        self._elected = None
        for listener in self._listeners:
            listener()


def _balanced(service: Service) -> Iterable[str]:
    return ("yes",) if is_balanced(service) else ()
