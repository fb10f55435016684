"""The Services and EndpointSlices that a node's proxy has been told of."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from netlab.objects.types import EndpointSlice, Service
from netlab.proxy.endpoints import service_key


class ObjectCache:
    """The objects as they are now, and which Services were touched since somebody asked."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._services: dict[str, Service] = {}
        self._slices: dict[str, dict[str, EndpointSlice]] = {}
        self._service_of_slice: dict[str, str] = {}
        self._touched: set[str] = set()

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
