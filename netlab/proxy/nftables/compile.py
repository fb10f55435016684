"""Services and EndpointSlices → kube-proxy's whole nftables table of one node."""

from __future__ import annotations

from collections.abc import Iterable

from netlab.objects.types import EndpointSlice, Service
from netlab.proxy.compile import each_service
from netlab.proxy.nftables.fixed import fixed_table
from netlab.proxy.nftables.model import NftTable
from netlab.proxy.nftables.service_rules import NftServiceRules, compile_service
from netlab.proxy.node_view import NodeView


def compile(
    services: Iterable[Service], slices: Iterable[EndpointSlice], node: NodeView
) -> NftTable:
    """The whole table of one node in one family."""
    return assemble(compile_services(services, slices, node), node)


def compile_services(
    services: Iterable[Service], slices: Iterable[EndpointSlice], node: NodeView
) -> list[NftServiceRules]:
    """The part of each Service, in the order of their keys."""
    return each_service(services, slices, lambda one, its: compile_service(one, its, node))


def assemble(services: Iterable[NftServiceRules], node: NodeView) -> NftTable:
    """The whole table. An address that two Services claim belongs to the first."""
    table = fixed_table(node)
    for service in services:
        table.chains |= service.chains
        table.sets |= service.sets
        for element, value in service.elements.items():
            table.elements.setdefault(element, value)
    return table
