"""The Services and EndpointSlices that a node's proxy has been told of."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from sys import intern

from netlab.objects import meta, times
from netlab.objects.endpointslices import service_key
from netlab.objects.types import EndpointSlice, Service

TRIGGERED = "endpoints.kubernetes.io/last-change-trigger-time"
"""The annotation with the time of the change that a slice was written for."""


class ObjectCache:
    """The objects as they are now, and which Services were touched since somebody asked.

    Each node has one: with thousands of Services what counts is what an entry takes, so keys are
    the same strings for all nodes.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._services: dict[str, Service] = {}
        self._slices: dict[str, EndpointSlice] = {}
        self._slices_of: dict[str, str | tuple[str, ...]] = {}
        """By Service, the keys of its slices in order; of most the key of the only one."""
        self._touched: set[str] = set()
        self._since = time.time()
        self._triggered: dict[str, list[float]] = {}

    def set_service(self, key: str, service: Service | None) -> None:
        """Keep a Service under `ns/name`; None forgets it."""
        key = intern(key)
        with self._lock:
            if service is None:
                self._services.pop(key, None)
            else:
                self._services[key] = service
            self._touched.add(key)

    def set_slice(self, key: str, endpoint_slice: EndpointSlice | None) -> None:
        """Keep an EndpointSlice under `ns/name`; None forgets it."""
        key = intern(key)
        now = service_key(endpoint_slice) if endpoint_slice else None
        with self._lock:
            self._drop_slice(key)
            if endpoint_slice is not None and now:
                now = intern(now)
                self._slices[key] = endpoint_slice
                self._keep(now, sorted((*self._keys_of(now), key)))
                self._touched.add(now)
                when = times.seconds(meta.annotations(endpoint_slice).get(TRIGGERED))
                if when > self._since:  # others were in force before
                    self._triggered.setdefault(now, []).append(when)

    def _drop_slice(self, key: str) -> None:
        before = self._slices.pop(key, None)
        if before is None:
            return
        service = intern(service_key(before) or "")
        self._touched.add(service)
        self._keep(service, [one for one in self._keys_of(service) if one != key])

    def _keys_of(self, service: str) -> tuple[str, ...]:
        keys = self._slices_of.get(service, ())
        return (keys,) if isinstance(keys, str) else keys

    def _keep(self, service: str, keys: Sequence[str]) -> None:
        if keys:
            self._slices_of[service] = keys[0] if len(keys) == 1 else tuple(keys)
        else:
            del self._slices_of[service]

    def take_triggered(self, key: str) -> list[float]:
        """When those changes began (seconds since the epoch) that a Service's EndpointSlices told
        of since the last call."""
        with self._lock:
            return self._triggered.pop(key, [])

    def take_touched(self) -> list[str]:
        """The Services touched since the last call, in order."""
        with self._lock:
            touched, self._touched = sorted(self._touched), set()
        return touched

    def service(self, key: str) -> Service | None:
        """The Service of that key."""
        return self._services.get(key)

    def slices(self, key: str) -> Sequence[EndpointSlice]:
        """Its EndpointSlices, in the order of their keys."""
        with self._lock:
            return [self._slices[one] for one in self._keys_of(key)]

    def keys(self) -> list[str]:
        """All Services' keys."""
        with self._lock:
            return list(self._services)
