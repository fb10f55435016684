"""Whose an EndpointSlice is. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from sys import intern

from netlab.objects import meta
from netlab.objects.types import EndpointSlice

LABEL_SERVICE_NAME = "kubernetes.io/service-name"


def service_key(endpoint_slice: EndpointSlice) -> str | None:
    """`ns/name` of the Service a slice belongs to; None when it says no Service."""
    name = meta.labels(endpoint_slice).get(LABEL_SERVICE_NAME)
    return intern(f"{meta.namespace(endpoint_slice)}/{name}") if name else None


def service_keys(endpoint_slice: EndpointSlice) -> Iterable[str]:
    """The same, for an index of slices."""
    key = service_key(endpoint_slice)
    return (key,) if key else ()
