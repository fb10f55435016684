"""Among which endpoints a node's rules choose for a connection. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from netlab.objects import meta
from netlab.objects.endpointslices import service_key
from netlab.objects.types import EndpointSlice
from netlab.pathcheck.world import World
from netlab.proxy.addresses import Family
from netlab.proxy.categorize import Choice, categorize
from netlab.proxy.endpoints import EndpointInfo, endpoints
from netlab.proxy.node_view import ZONE_LABEL
from netlab.proxy.services import ServicePort, service_ports
from netlab.traffic.directory import Directory
from netlab.traffic.opening import End, Opening


class Draw:
    """One choice: each of `ends` has the same chance. Where the same client goes on to the same
    endpoint, whoever that is, `is_free` is false. Compared by identity, since counted by it."""

    __slots__ = ("ends", "is_free")

    def __init__(self, ends: tuple[End, ...], *, is_free: bool) -> None:
        self.ends, self.is_free = ends, is_free


_NOBODY = Draw((), is_free=False)
_Key = tuple[str, str, str, str, Family]
_Found = tuple[ServicePort, Draw, Draw]
"""The port, the choice among all and that among a node's own."""


class Draws:
    """The choices of all nodes in a lab as it was a moment ago, each found when it is needed."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._world: World = directory.world
        self._slices: dict[str, list[EndpointSlice]] = {}
        for slice_ in self._world.slices:
            if key := service_key(slice_):
                self._slices.setdefault(key, []).append(slice_)
        self._zones = {
            meta.name(node): meta.labels(node).get(ZONE_LABEL, "") for node in self._world.nodes
        }
        self._found: dict[_Key, _Found | None] = {}

    def of(self, one: Opening) -> Draw:
        """The choice that led to where a connection went."""
        virtual = one.virtual
        if virtual is None:
            return _NOBODY
        family: Family = "ipv6" if ":" in one.to.address else "ipv4"
        key = (one.node, virtual.service, virtual.port, one.protocol, family)
        if key not in self._found:
            self._found[key] = self._find(key)
        found = self._found[key]
        if found is None:
            return _NOBODY
        port, anywhere, here = found
        return here if self._stays(port, one) else anywhere

    def _stays(self, port: ServicePort, one: Opening) -> bool:
        """Whether it may only go to endpoints of its node: as kube-proxy has it, pods and the node
        itself go to any, whatever the policy for who comes from outside."""
        if one.virtual is not None and one.virtual.kind == "clusterIP":
            return port.internal_local
        place = self._directory.place(one.client.address)
        is_inside = place is not None and (place.role == "pod" or place.name == one.node)
        return port.external_local and not is_inside

    def _find(self, key: _Key) -> _Found | None:
        node, service, port_name, protocol, family = key
        ports = service_ports(self._world.services[service], family, [])
        found = [one for one in ports if (one.port_name, one.protocol) == (port_name, protocol)]
        if not found:
            return None
        by_port = endpoints(self._slices.get(service, ()), family, node, [])
        there = by_port.get((port_name, protocol), ())
        choice: Choice = categorize(there, found[0], node, self._zones.get(node, ""))
        is_free = not found[0].affinity_seconds
        return (
            found[0],
            Draw(self._ends(choice.cluster), is_free=is_free),
            Draw(self._ends(choice.local), is_free=is_free),
        )

    def _ends(self, infos: Sequence[EndpointInfo]) -> tuple[End, ...]:
        return tuple(self._directory.end(each.ip, each.port) for each in infos)
