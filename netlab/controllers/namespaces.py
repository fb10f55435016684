"""Namespaces: what every one is given at first, and its emptying when it is to go."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

from netlab.controllers import namespace_conditions
from netlab.controllers.conditions import conditions_with
from netlab.controllers.controller import (
    Controller,
    ControllerContext,
    WatchedKind,
    index_by_namespace,
    own_key,
)
from netlab.errors import ApiError, NotFound
from netlab.objects import meta
from netlab.objects.kinds import KINDS
from netlab.objects.types import AnyKind, ConfigMap, Namespace, ServiceAccount

CONTENT = tuple(kind.kind for kind in KINDS if kind.namespaced)
"""The kinds a namespace may contain."""

_FINALIZER = "kubernetes"
"""What a namespace has in its spec until it is empty."""

_PATIENCE = 1.0
"""Seconds until what does not go is told of, and for which that holds: pods go by the hundred."""


class Namespaces(Controller):
    """Empties namespaces that are to go, then lets them."""

    name = "namespace-controller"

    def __init__(self, context: ControllerContext) -> None:
        super().__init__(context)
        self._told: dict[str, float] = {}
        """When each was last looked through, or told of."""
        for kind in CONTENT:
            index_by_namespace(self.informers[kind])

    def watches(self) -> Sequence[WatchedKind]:
        """Namespaces, and what goes from, or arrives late in, those that are to go."""
        return (
            WatchedKind("Namespace", own_key),
            *(WatchedKind(kind, self._keys) for kind in CONTENT),
        )

    def _keys(self, old: AnyKind | None, new: AnyKind | None) -> Iterable[str]:
        name = meta.namespace(new or old or {})
        namespace = self.informers["Namespace"].get(name)
        return (name,) if namespace is not None and meta.is_terminating(namespace) else ()

    async def reconcile(self, key: str) -> float | None:
        """Delete the content of a terminating namespace, pods before all else; once it is empty,
        leave it to whoever has finalizers besides."""
        namespace = self.informers["Namespace"].get(key)
        if namespace is None or not meta.is_terminating(namespace):
            return None
        content = {kind: self.informers[kind].by_index("namespace", key) for kind in CONTENT}
        first = content["Pod"] or [obj for objects in content.values() for obj in objects]
        if doomed := [obj for obj in first if not self.informers.is_going(obj)]:
            await self._empty(doomed)
            self._told[key] = self.context.clock()
            return _PATIENCE
        wait = self._told.get(key, 0.0) + _PATIENCE - self.context.clock()
        if first and wait > 0:
            return wait
        self._told[key] = self.context.clock()
        with suppress(NotFound):
            namespace = await self._tell(namespace, content)
            if not first:
                del self._told[key]
                await self._finalize(namespace)
        return None

    async def _empty(self, doomed: Iterable[AnyKind]) -> None:
        results = await asyncio.gather(*map(self._delete, doomed), return_exceptions=True)
        for result in results:
            if isinstance(result, ApiError):
                raise result

    async def _delete(self, obj: AnyKind) -> None:
        with suppress(NotFound):
            await self.informers.delete(obj)

    async def _tell(
        self, namespace: Namespace, content: Mapping[str, Sequence[AnyKind]]
    ) -> Namespace:
        """Say in its conditions what is left, and what that waits for."""
        conditions = meta.status(namespace).get("conditions") or []
        for one in namespace_conditions.of(content, self.context.now()):
            conditions = conditions_with(conditions, one)
        return await self.write_status(namespace, {"conditions": conditions})

    async def _finalize(self, namespace: Namespace) -> None:
        present = meta.spec(namespace).get("finalizers") or []
        others = [each for each in present if each != _FINALIZER]
        if others == present:
            return
        final: Namespace = {**namespace, "spec": {**meta.spec(namespace), "finalizers": others}}
        await self.informers.update(final, subresource="finalize")


class ServiceAccounts(Controller):
    """Gives every namespace its ServiceAccount `default`, which pods name without asking."""

    name = "serviceaccount-controller"

    def watches(self) -> Sequence[WatchedKind]:
        """Namespaces, and ServiceAccounts that somebody deletes."""
        return (
            WatchedKind("Namespace", own_key),
            WatchedKind("ServiceAccount", self._account_keys),
        )

    def _account_keys(
        self, old: ServiceAccount | None, new: ServiceAccount | None
    ) -> Iterable[str]:
        return (meta.namespace(old),) if old is not None and new is None else ()

    async def reconcile(self, key: str) -> float | None:
        """Create it where it is missing."""
        namespace = self.informers["Namespace"].get(key)
        if namespace is None or meta.is_terminating(namespace):
            return None
        if self.informers["ServiceAccount"].get(f"{key}/default") is None:
            account: ServiceAccount = {
                "apiVersion": "v1",
                "kind": "ServiceAccount",
                "metadata": {"name": "default", "namespace": key},
            }
            await self.informers.create(account)
        return None


ROOT = "kube-root-ca.crt"
_WHAT = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal "
    "endpoints such as the internal service IP or kubernetes.default.svc. No other usage is "
    "guaranteed across distributions of Kubernetes clusters."
)


class RootCertificates(Controller):
    """Gives every namespace the certificate of the lab's CA, by which its pods know the API."""

    name = "root-ca-certificate-publisher"

    def watches(self) -> Sequence[WatchedKind]:
        """Namespaces, and the ConfigMaps that carry it."""
        if self.context.authority is None:
            return ()
        return (WatchedKind("Namespace", own_key), WatchedKind("ConfigMap", self._keys))

    def _keys(self, old: ConfigMap | None, new: ConfigMap | None) -> Iterable[str]:
        obj = new or old
        return (meta.namespace(obj),) if obj is not None and meta.name(obj) == ROOT else ()

    async def reconcile(self, key: str) -> float | None:
        """Write it where it is missing, or has been changed."""
        assert self.context.authority is not None
        content = {"ca.crt": await self.context.authority()}
        namespace = self.informers["Namespace"].get(key)
        if namespace is None or meta.is_terminating(namespace):
            return None
        present = self.informers["ConfigMap"].get(f"{key}/{ROOT}")
        if present is None:
            await self.informers.create(_certificate(key, content))
        elif present.get("data") != content:
            await self.informers.patch(present, {"data": content})
        return None


def _certificate(namespace: str, content: dict[str, str]) -> ConfigMap:
    notes = {"kubernetes.io/description": _WHAT}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": ROOT, "namespace": namespace, "annotations": notes},
        "data": content,
    }
