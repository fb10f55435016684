"""Namespaces: what every one is given at first, and its emptying when it is to go."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

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


class Namespaces(Controller):
    """Empties namespaces that are to go, then lets them."""

    name = "namespace-controller"

    def __init__(self, context: ControllerContext) -> None:
        super().__init__(context)
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
        """Delete the content of a terminating namespace; finalize it once it is empty."""
        namespace = self.informers["Namespace"].get(key)
        if namespace is None or not meta.is_terminating(namespace):
            return None
        content = [o for kind in CONTENT for o in self.informers[kind].by_index("namespace", key)]
        if content:
            await self._empty(content)
        elif meta.spec(namespace).get("finalizers"):
            await self._finalize(namespace)
        return None

    async def _empty(self, content: Iterable[AnyKind]) -> None:
        doomed = [obj for obj in content if not self.informers.is_going(obj)]
        results = await asyncio.gather(*map(self._delete, doomed), return_exceptions=True)
        for result in results:
            if isinstance(result, ApiError):
                raise result

    async def _delete(self, obj: AnyKind) -> None:
        try:
            await self.informers.delete(obj)
        except NotFound:
            return

    async def _finalize(self, namespace: Namespace) -> None:
        final: Namespace = {**namespace, "spec": {**meta.spec(namespace), "finalizers": []}}
        try:
            await self.informers.update(final, subresource="finalize")
        except NotFound:
            return


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
