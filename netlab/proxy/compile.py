"""Services and EndpointSlices, one Service after another: what both modes' compilers begin with."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from netlab.objects import meta
from netlab.objects.meta import Object
from netlab.proxy.endpoints import service_key

_T = TypeVar("_T")


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
