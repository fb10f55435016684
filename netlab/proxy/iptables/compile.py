"""Services and EndpointSlices → all rules of one node: the fixed ones, and each Service's.

`service_rules` has the chains in a picture. Here a Service's part is put together with all others'.
"""

from __future__ import annotations

from collections.abc import Iterable

from netlab.objects.types import EndpointSlice, Service
from netlab.proxy.compile import each_service
from netlab.proxy.iptables.chains import NAT, SHARED, Place
from netlab.proxy.iptables.fixed import JUMPS, TABLES, builtin_chains, fixed_rules
from netlab.proxy.iptables.model import Chain, Ruleset, Table
from netlab.proxy.iptables.service_rules import IptablesServiceRules, compile_service
from netlab.proxy.node_view import NodeView


def compile(
    services: Iterable[Service], slices: Iterable[EndpointSlice], node: NodeView
) -> Ruleset:
    """All rules of one node in one family."""
    return assemble(compile_services(services, slices, node), node)


def compile_services(
    services: Iterable[Service], slices: Iterable[EndpointSlice], node: NodeView
) -> list[IptablesServiceRules]:
    """The rules of each Service, in the order of their keys."""
    return each_service(services, slices, lambda one, its: compile_service(one, its, node))


def assemble(services: Iterable[IptablesServiceRules], node: NodeView) -> Ruleset:
    """One ruleset of the fixed rules and all Services' rules, in the order given."""
    fixed = fixed_rules(node)
    shared: dict[Place, list[str]] = {place: [] for place in SHARED}
    tables = {name: Table(name) for name in TABLES}
    nat = tables[NAT].chains
    for service in services:
        for place, rules in service.shared.items():
            shared[place] += rules
        for name, own in service.chains.items():
            nat[name] = Chain(name, own)
    for table, hook in builtin_chains():
        tables[table].chains[hook] = Chain(hook, JUMPS.get((table, hook), ()), "ACCEPT")
    for (table, name), tail in fixed.items():
        tables[table].chains[name] = Chain(name, (*shared.get((table, name), ()), *tail))
    return Ruleset(tables)
