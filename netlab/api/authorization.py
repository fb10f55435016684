"""Whether a request is allowed: RBAC over the roles that the registry has."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from netlab.errors import ApiError
from netlab.objects import meta, rbac
from netlab.objects.kinds.access import (
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    GROUP,
    ROLE,
    ROLE_BINDING,
)
from netlab.objects.meta import AnyObject
from netlab.objects.rbac import Attributes, Decision, User
from netlab.objects.types import ClusterRoleBinding, PolicyRule, RoleBinding, RoleRef
from netlab.store.registry import Registry

_ANYTHING: tuple[PolicyRule, ...] = (
    {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
    {"nonResourceURLs": ["*"], "verbs": ["*"]},
)
_ROLES = frozenset({ROLE.kind, CLUSTER_ROLE.kind})
_BINDINGS = frozenset({ROLE_BINDING.kind, CLUSTER_ROLE_BINDING.kind})


class Forbidden(ApiError):
    """Nothing allows it."""

    code, reason = 403, "Forbidden"

    def __init__(self, wanted: Attributes, why: str) -> None:
        what = f"{wanted.resource}.{wanted.group}" if wanted.group else wanted.resource
        named = f'{what} "{wanted.name}" is ' if wanted.name else f"{what} is " if what else ""
        details = {"name": wanted.name, "group": wanted.group, "kind": wanted.resource}
        kept: dict[str, object] = {field: value for field, value in details.items() if value}
        super().__init__(f"{named}forbidden: {why}", details=kept)


class Authorizer:
    """Decides for one registry; also the `rbac.Roles` that it decides by."""

    def __init__(self, registry: Registry) -> None:
        self._store = registry.store

    def decide(self, user: User, wanted: Attributes) -> Decision:
        """Whether a user may do something."""
        return rbac.decide(user, wanted, self)

    def require(self, user: User, wanted: Attributes) -> None:
        """Raise `Forbidden`, in the words of an API server, unless a user may."""
        decision = self.decide(user, wanted)
        if not decision.allowed:
            reason = f": {decision.reason}" if decision.reason else ""
            raise Forbidden(wanted, rbac.denial(user, wanted) + reason)

    # -- as rbac.Roles ---------------------------------------------------------------------

    def cluster_bindings(self) -> Iterable[ClusterRoleBinding]:
        """As `Roles` says."""
        return _typed(self._store.list(CLUSTER_ROLE_BINDING.kind, None))

    def bindings(self, namespace: str) -> Iterable[RoleBinding]:
        """As `Roles` says."""
        return _typed(self._store.list(ROLE_BINDING.kind, namespace))

    def rules(self, reference: RoleRef, namespace: str) -> Sequence[PolicyRule] | None:
        """As `Roles` says."""
        space = namespace if reference["kind"] == ROLE.kind else ""
        role = self._store.get(reference["kind"], space, reference["name"])
        return None if role is None else role.get("rules") or ()

    # -- escalation ------------------------------------------------------------------------

    def check_grant(self, user: User, new: AnyObject, old: AnyObject | None) -> None:
        """Raise `Forbidden` if a user would give away by a role or binding what he has not."""
        if user.is_master or new["kind"] not in _ROLES | _BINDINGS:
            return
        if new["kind"] in _ROLES:
            self._check_role(user, new, old)
        else:
            self._check_binding(user, new, old)

    def _check_role(self, user: User, new: AnyObject, old: AnyObject | None) -> None:
        rules = new.get("rules") or ()
        if _is_as_before(new, old) or self._may(user, "escalate", new["kind"], new):
            return
        if new.get("aggregationRule"):  # it may come to hold anything
            rules = (*_ANYTHING, *rules)
        self._require_held(user, rules, new)

    def _check_binding(self, user: User, new: AnyObject, old: AnyObject | None) -> None:
        reference: RoleRef = new["roleRef"]
        role = {"metadata": {**new["metadata"], "name": reference["name"]}}
        if _is_as_before(new, old) or self._may(user, "bind", reference["kind"], role):
            return
        space = meta.namespace(new)
        rules = self.rules(reference, space)
        if rules is None:
            kind = reference["kind"].lower()
            raise ApiError(
                f'{kind}s.{GROUP} "{reference["name"]}" not found', code=404, reason="NotFound"
            )
        self._require_held(user, rules, new)

    def _may(self, user: User, verb: str, kind: str, role: AnyObject) -> bool:
        wanted = Attributes(
            verb, GROUP, f"{kind.lower()}s", "", meta.namespace(role), meta.name(role)
        )
        return self.decide(user, wanted).allowed

    def _require_held(self, user: User, rules: Iterable[PolicyRule], obj: AnyObject) -> None:
        grants = rbac.granted(user, meta.namespace(obj), self)
        held = [grant.rule for grant in grants if grant.rule is not None]
        if lacking := rbac.missing(held, rules):
            wanted = Attributes("", GROUP, f"{obj['kind'].lower()}s", name=meta.name(obj))
            raise Forbidden(wanted, rbac.escalation(user, lacking))


_UNHEEDED = ("ownerReferences", "finalizers", "managedFields")


def _is_as_before(new: AnyObject, old: AnyObject | None) -> bool:
    """Whether nothing is changed but what decides when it goes.

    Labels count: by them an aggregating role takes the rules of others, whoever wrote them.
    """
    return old is not None and _heeded(new) == _heeded(old)


def _heeded(obj: AnyObject) -> dict[str, Any]:
    metadata = {key: value for key, value in obj["metadata"].items() if key not in _UNHEEDED}
    return {**obj, "metadata": metadata}


def _typed(objects: Iterable[Any]) -> Iterable[Any]:
    return objects
