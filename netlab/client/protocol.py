"""The only thing controllers and node agents know of the control plane.

Two forms exist: `inprocess` over the lab's own registry, `http` against any Kubernetes API.
A controller that works with one works with the other.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Literal, Protocol

from netlab.objects.meta import AnyObject
from netlab.objects.watch import Event, EventType, ObjectList

__all__ = ["Api", "Event", "EventType", "ObjectList", "Propagation"]

Propagation = Literal["Background", "Foreground", "Orphan"]


class Api(Protocol):
    """The Kubernetes API, as far as controllers need it.

    `kind` is a kind's name ("Pod"). Objects handed out are of the type of that name, as whoever
    asks declares. They belong to a shared cache: copy before changing them. Every method raises the
    `ApiError` family.
    """

    async def list(
        self,
        kind: str,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
    ) -> ObjectList:
        """All objects of a kind, in one namespace or (None) in all."""

    def watch(
        self,
        kind: str,
        namespace: str | None = None,
        *,
        resource_version: str,
        label_selector: str = "",
        field_selector: str = "",
    ) -> AsyncIterator[Event]:
        """Every change after `resource_version`, until the caller stops iterating."""

    async def get(self, kind: str, namespace: str, name: str) -> Any:
        """One object; `NotFound` if there is none."""

    async def create(self, obj: AnyObject) -> Any:
        """Create; returns it as stored (defaults filled, addresses allocated).

        A `Binding` puts the pod of its name on the node that its target names, and answers
        with the pod or with a Status. A `TokenRequest` is answered with the token of the
        ServiceAccount of its name.
        """

    async def update(self, obj: AnyObject, *, subresource: str = "") -> Any:
        """Replace, `Conflict` unless metadata.resourceVersion is current (or absent)."""

    async def patch(
        self,
        kind: str,
        namespace: str,
        name: str,
        patch: Mapping[str, Any],
        *,
        subresource: str = "",
    ) -> Any:
        """Apply a JSON merge patch (null removes)."""

    async def patch_status(
        self, kind: str, namespace: str, name: str, status: Mapping[str, Any]
    ) -> Any:
        """Merge-patch `status` alone."""

    async def delete(
        self,
        kind: str,
        namespace: str,
        name: str,
        *,
        grace_period: int | None = None,
        uid: str = "",
        propagation: Propagation = "Background",
    ) -> None:
        """Ask for deletion; with `grace_period=0` the object is gone on return.

        `uid`, when given, must match, or `Conflict`. `propagation` says what becomes of the
        objects that it owns.
        """
