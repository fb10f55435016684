"""Services and EndpointSlices → all rules of one node: the fixed ones, and each Service's.

A Service is compiled alone (`service_rules` has the chains in a picture), so that a change costs
what changed. Here its part is put together with all others'.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from netlab.objects import meta
from netlab.objects.meta import Object
from netlab.proxy.addresses import Family
from netlab.proxy.chains import NAT, SHARED, Place
from netlab.proxy.config import ProxyConfig
from netlab.proxy.endpoints import service_key
from netlab.proxy.fixed import JUMPS, TABLES, builtin_chains, fixed_rules
from netlab.proxy.model import Chain, Ruleset, Table
from netlab.proxy.service_rules import ServiceRules, compile_service
from netlab.proxy.view import NodeView, view

_T = TypeVar("_T")


def compile(
    services: Iterable[Object],
    slices: Iterable[Object],
    node: Object | None,
    config: ProxyConfig,
    family: Family,
) -> Ruleset:
    """All rules of one node in one family; `node` is its Node object, None if there is none."""
    seen = view(node, config, family)
    return assemble(compile_all(services, slices, seen), seen)


def compile_all(
    services: Iterable[Object], slices: Iterable[Object], node: NodeView
) -> list[ServiceRules]:
    """The rules of each Service, in the order of their keys."""
    return each_service(services, slices, lambda one, its: compile_service(one, its, node))


def each_service(
    services: Iterable[Object],
    slices: Iterable[Object],
    compiled: Callable[[Object, Iterable[Object]], _T],
) -> list[_T]:
    """What `compiled` makes of each Service and its EndpointSlices, in the order of their keys."""
    by_service: dict[str, list[Object]] = {}
    for endpoint_slice in slices:
        if key := service_key(endpoint_slice):
            by_service.setdefault(key, []).append(endpoint_slice)
    keyed = sorted(((meta.key(service), service) for service in services), key=lambda one: one[0])
    with no_collection():
        return [compiled(service, by_service.get(key, ())) for key, service in keyed]


@contextmanager
def no_collection() -> Iterator[None]:
    """Make many objects without the garbage collector looking through them again and again:
    none of them is garbage, and its looking would take a third of the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def assemble(services: Iterable[ServiceRules], node: NodeView) -> Ruleset:
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
