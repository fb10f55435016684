"""Rules of Services that are the same on several nodes: compiled once, kept once.

Nearly all of a Service's rules are equal on all nodes of a lab. What differs is up to where its
endpoints are, and only for some Services.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, TypeVar

from msgspec import Struct

from netlab.objects import meta
from netlab.objects.types import EndpointSlice, Service
from netlab.proxy.node_view import NodeView

_Rules = TypeVar("_Rules")


def place(
    service: Service, slices: Iterable[EndpointSlice], node: NodeView, *, local_matters: bool
) -> Hashable:
    """What of the node the rules of this Service go by, besides what all nodes have in common.

    Where its own endpoints have rules of their own, whatever the policies, `local_matters`.
    """
    spec = meta.spec(service)
    found = [endpoint for each in slices for endpoint in each.get("endpoints") or ()]
    policies = spec.get("internalTrafficPolicy"), spec.get("externalTrafficPolicy")
    local = local_matters or "Local" in policies
    hinted = any(endpoint.get("hints") for endpoint in found)
    by_name = hinted or (local and any(each.get("nodeName") == node.name for each in found))
    return (
        node.name if by_name else "",
        node.zone if hinted else "",
        node.ip if spec.get("loadBalancerSourceRanges") else "",
    )


class _Entry(Struct):
    """Rules by what they go by, of a Service with these slices."""

    service: Service
    slices: Sequence[EndpointSlice]
    rules: dict[Hashable, Any]

    def is_of(self, service: Service, slices: Sequence[EndpointSlice]) -> bool:
        return (
            self.service is service
            and len(self.slices) == len(slices)
            and all(one is other for one, other in zip(self.slices, slices, strict=True))
        )


class Compiled:
    """Rules that books of several nodes have in common. By any thread: two that come at once may
    both compile, to the same result."""

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}
        self._places: dict[Hashable, Hashable] = {}  # nearly all Services have the same

    def of(
        self,
        key: str,
        service: Service,
        slices: Sequence[EndpointSlice],
        place: Hashable,
        compiled: Callable[[], _Rules],
    ) -> _Rules:
        """The rules of a Service at a place; nobody changes them."""
        entry = self._entries.get(key)
        if entry is None or not entry.is_of(service, slices):
            entry = self._entries[key] = _Entry(service, slices, {})
        rules: _Rules | None = entry.rules.get(place)
        if rules is None:
            rules = entry.rules[self._places.setdefault(place, place)] = compiled()
        return rules

    def forget(self, key: str) -> None:
        """The Service is gone."""
        self._entries.pop(key, None)
