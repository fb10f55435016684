"""The Services and EndpointSlices that a node's proxy has been told of."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from netlab.objects import meta, times
from netlab.objects.endpointslices import service_key
from netlab.objects.types import EndpointSlice, Service

TRIGGERED = "endpoints.kubernetes.io/last-change-trigger-time"
"""The annotation with the time of the change that a slice was written for."""


class ObjectCache:
    """The objects as they are now, and which Services were touched since somebody asked."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._services: dict[str, Service] = {}
        self._slices: dict[str, dict[str, EndpointSlice]] = {}
        self._service_of_slice: dict[str, str] = {}
        self._touched: set[str] = set()
        self._since = time.time()
        self._triggered: dict[str, list[float]] = {}

    def set_service(self, key: str, service: Service | None) -> None:
        """Keep a Service under `ns/name`; None forgets it."""
        with self._lock:
            if service is None:
                self._services.pop(key, None)
            else:
                self._services[key] = service
            self._touched.add(key)

    def set_slice(self, key: str, endpoint_slice: EndpointSlice | None) -> None:
        """Keep an EndpointSlice under `ns/name`; None forgets it."""
        now = service_key(endpoint_slice) if endpoint_slice else None
        with self._lock:
            before = self._service_of_slice.pop(key, None)
            if before:
                self._slices[before].pop(key, None)
                self._touched.add(before)
            if endpoint_slice is not None and now:
                self._slices.setdefault(now, {})[key] = endpoint_slice
                self._service_of_slice[key] = now
                self._touched.add(now)
                when = times.seconds(meta.annotations(endpoint_slice).get(TRIGGERED))
                if when > self._since:  # others were in force before
                    self._triggered.setdefault(now, []).append(when)

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
            return [one for _, one in sorted(self._slices.get(key, {}).items())]

    def keys(self) -> list[str]:
        """All Services' keys."""
        with self._lock:
            return list(self._services)
