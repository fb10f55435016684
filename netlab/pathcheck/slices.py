"""EndpointSlices of a running lab, read when they are asked for: most are of no interest.

Pure.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import overload

from netlab.objects.endpointslices import service_key
from netlab.objects.types import EndpointSlice

_FEW = 8
"""Of more Services than these all are read at once."""


class Slices(Sequence[EndpointSlice]):
    """All of a lab's, as `read` gives them; `read_of` gives those of a Service."""

    def __init__(
        self,
        read: Callable[[], Sequence[EndpointSlice]],
        read_of: Callable[[str], Sequence[EndpointSlice]],
    ) -> None:
        self._read = read
        self._read_of = read_of
        self._known: dict[str, Sequence[EndpointSlice]] = {}

    def of(self, service: str) -> Sequence[EndpointSlice]:
        """Those of a Service, by its `namespace/name`."""
        if service not in self._known and len(self._known) < _FEW:
            self._known[service] = self._read_of(service)
        return self._known[service] if service in self._known else self._by_service.get(service, ())

    @cached_property
    def _all(self) -> Sequence[EndpointSlice]:
        return self._read()

    @cached_property
    def _by_service(self) -> dict[str | None, list[EndpointSlice]]:
        found: dict[str | None, list[EndpointSlice]] = defaultdict(list)
        for one in self._all:
            found[service_key(one)].append(one)
        return found

    def __len__(self) -> int:
        return len(self._all)

    @overload
    def __getitem__(self, at: int) -> EndpointSlice: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[EndpointSlice]: ...
    def __getitem__(self, at: int | slice) -> EndpointSlice | Sequence[EndpointSlice]:
        return self._all[at]
