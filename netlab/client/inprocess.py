"""The `Api` of controllers that share a process with the registry: plain calls, no copies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from netlab.client.protocol import Api, ObjectList, Propagation
from netlab.objects import meta
from netlab.objects.meta import AnyObject, Object
from netlab.store.registry import Registry
from netlab.store.watch import Watch

Issue = Callable[[str, str, Object], Object]


class InProcessApi:
    """`netlab.client.protocol.Api` over a registry in this process; `issue` makes the token of a
    (namespace, name) that a TokenRequest asks for."""

    def __init__(self, registry: Registry, issue: Issue | None = None) -> None:
        self._registry = registry
        self._issue = issue

    async def list(
        self,
        kind: str,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
    ) -> ObjectList:
        """As `Api.list`."""
        return self._registry.list(
            kind, namespace, label_selector=label_selector, field_selector=field_selector
        )

    def watch(
        self,
        kind: str,
        namespace: str | None = None,
        *,
        resource_version: str,
        label_selector: str = "",
        field_selector: str = "",
    ) -> Watch:
        """As `Api.watch`; has `close` besides."""
        return self._registry.watch(
            kind,
            namespace,
            resource_version=resource_version,
            label_selector=label_selector,
            field_selector=field_selector,
        )

    async def get(self, kind: str, namespace: str, name: str) -> Object:
        """As `Api.get`."""
        return self._registry.get(kind, namespace, name)

    async def create(self, obj: AnyObject) -> Object:
        """As `Api.create`; a Binding binds its pod, a TokenRequest is answered."""
        if obj.get("kind") == "Binding":
            return self._bind(obj)
        if obj.get("kind") == "TokenRequest" and self._issue is not None:
            return self._issue(meta.namespace(obj), meta.name(obj), dict(obj))
        return self._registry.create(obj)

    def _bind(self, binding: AnyObject) -> Object:
        return self._registry.bind(
            meta.namespace(binding),
            meta.name(binding),
            binding["target"]["name"],
            uid=meta.uid(binding),
        )

    async def update(self, obj: AnyObject, *, subresource: str = "") -> Object:
        """As `Api.update`."""
        return self._registry.update(obj, subresource=subresource)

    async def patch(
        self,
        kind: str,
        namespace: str,
        name: str,
        patch: Mapping[str, Any],
        *,
        subresource: str = "",
    ) -> Object:
        """As `Api.patch`."""
        return self._registry.patch(kind, namespace, name, patch, subresource=subresource)

    async def patch_status(
        self, kind: str, namespace: str, name: str, status: Mapping[str, Any]
    ) -> Object:
        """As `Api.patch_status`."""
        change = {"status": status}
        return self._registry.patch(kind, namespace, name, change, subresource="status")

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
        """As `Api.delete`."""
        self._registry.delete(
            kind, namespace, name, grace_period=grace_period, uid=uid, propagation=propagation
        )


_IMPLEMENTS: type[Api] = InProcessApi  # mypy holds the class to the protocol
