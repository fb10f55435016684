"""The API as far as a service account may use it: for what is done in a pod's name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from netlab.client.informer import Informers
from netlab.errors import ApiError
from netlab.objects import meta, rbac
from netlab.objects.kinds import BY_KIND
from netlab.objects.meta import AnyObject
from netlab.objects.rbac import Attributes, User
from netlab.objects.types import ClusterRoleBinding, PolicyRule, RoleBinding, RoleRef

ROLES = ("ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")
"""Kinds whose informers it reads; they are to be asked for before informers start."""


class AccountApi:
    """Asks the API in the name of the ServiceAccount `account` of a namespace; `ApiError` (403), in
    the words of an API server, for what no role allows."""

    def __init__(self, informers: Informers, namespace: str, account: str) -> None:
        self._informers = informers
        name = rbac.account_name(namespace, account)
        self._user = User(name, rbac.account_groups(namespace))

    async def get(self, kind: str, namespace: str, name: str) -> Any:
        """As `Api.get`."""
        self._require("get", kind, namespace, name)
        return await self._informers.api.get(kind, namespace, name)

    async def create(self, obj: AnyObject) -> None:
        """As `Api.create`."""
        self._require("create", str(obj["kind"]), meta.namespace(obj), "")
        await self._informers.api.create(obj)

    async def update(self, obj: AnyObject) -> None:
        """As `Api.update`."""
        self._require("update", str(obj["kind"]), meta.namespace(obj), meta.name(obj))
        await self._informers.api.update(obj)

    def denial(
        self, verb: str, kind: str, *, namespace: str = "", name: str = "", subresource: str = ""
    ) -> str:
        """What it would hear for asking that, if no role allows it; "" if one does."""
        of = BY_KIND[kind]
        wanted = Attributes(verb, of.group, of.plural, subresource, namespace, name)
        if rbac.decide(self._user, wanted, _Roles(self._informers)).allowed:
            return ""
        named = f'{of.resource} "{name}"' if name else of.resource
        return f"{named} is forbidden: {rbac.denial(self._user, wanted)}"

    def _require(self, verb: str, kind: str, namespace: str, name: str) -> None:
        if text := self.denial(verb, kind, namespace=namespace, name=name):
            raise ApiError(text, code=403, reason="Forbidden")


class _Roles:
    """The roles that informers have, as `rbac.Roles`."""

    def __init__(self, informers: Informers) -> None:
        self._informers = informers

    def cluster_bindings(self) -> Iterable[ClusterRoleBinding]:
        """As `Roles` says."""
        return self._informers["ClusterRoleBinding"].items()

    def bindings(self, namespace: str) -> Iterable[RoleBinding]:
        """As `Roles` says."""
        every = self._informers["RoleBinding"].items()
        return [one for one in every if meta.namespace(one) == namespace]

    def rules(self, reference: RoleRef, namespace: str) -> Sequence[PolicyRule] | None:
        """As `Roles` says."""
        key = reference["name"]
        if reference["kind"] == "Role":
            key = f"{namespace}/{key}"
        role = self._informers[reference["kind"]].get(key)
        return None if role is None else role.get("rules") or ()
