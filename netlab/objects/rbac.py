"""Who may do what: the rules of Kubernetes' RBAC over roles and bindings. Pure.

As plugin/pkg/auth/authorizer/rbac and pkg/registry/rbac/validation have them: rules only ever
allow, and what no rule allows is denied.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import Protocol

from msgspec import Struct

from netlab.objects import meta
from netlab.objects.kinds.access import GROUP
from netlab.objects.types import ClusterRoleBinding, PolicyRule, RoleBinding, RoleRef, Subject

MASTERS = "system:masters"
"""The group that may do all, whatever roles there are."""

AUTHENTICATED = "system:authenticated"
UNAUTHENTICATED = "system:unauthenticated"
ACCOUNTS = "system:serviceaccounts"
_ACCOUNT = "system:serviceaccount"


class User(Struct, frozen=True):
    """Who asks; `extra` is what the credential says besides."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: Mapping[str, Sequence[str]] = {}

    @property
    def is_master(self) -> bool:
        """Whether nothing is denied."""
        return MASTERS in self.groups


ANONYMOUS = User("system:anonymous", (UNAUTHENTICATED,))


class Attributes(Struct, frozen=True):
    """What is asked for: a verb on a resource, or (`resource` is "") on a path.

    `namespace` is "" at the cluster's scope, `name` for a collection.
    """

    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""

    @property
    def whole_resource(self) -> str:
        """`pods/log`."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


class Roles(Protocol):
    """The roles and bindings that there are."""

    def cluster_bindings(self) -> Iterable[ClusterRoleBinding]:
        """All ClusterRoleBindings."""

    def bindings(self, namespace: str) -> Iterable[RoleBinding]:
        """The RoleBindings of a namespace."""

    def rules(self, reference: RoleRef, namespace: str) -> Sequence[PolicyRule] | None:
        """What the referenced role allows; None if there is none."""


class Grant(Struct, frozen=True):
    """A rule that somebody has, and by which binding; no rule if the role is missing."""

    by: str
    rule: PolicyRule | None
    lacking: str = ""


class Decision(Struct, frozen=True):
    """Whether something is allowed, and why; a denial has only what went wrong on the way."""

    allowed: bool
    reason: str = ""


# -- accounts ------------------------------------------------------------------------------


def account_name(namespace: str, name: str) -> str:
    """The user that a ServiceAccount is."""
    return f"{_ACCOUNT}:{namespace}:{name}"


def account_of(user: str) -> tuple[str, str] | None:
    """The (namespace, name) of the ServiceAccount that a user is, if it is one."""
    parts = user.removeprefix(f"{_ACCOUNT}:").split(":")
    if user.startswith(f"{_ACCOUNT}:") and len(parts) == 2 and all(parts):
        return parts[0], parts[1]
    return None


def account_groups(namespace: str) -> tuple[str, ...]:
    """The groups of every ServiceAccount of a namespace."""
    return (ACCOUNTS, f"{ACCOUNTS}:{namespace}", AUTHENTICATED)


# -- verdicts ------------------------------------------------------------------------------


def decide(user: User, wanted: Attributes, roles: Roles) -> Decision:
    """Whether a user may do something."""
    if user.is_master:
        return Decision(True)
    lacking = []
    for grant in granted(user, wanted.namespace, roles):
        if grant.rule is None:
            lacking.append(grant.lacking)
        elif allows(grant.rule, wanted):
            return Decision(True, f"RBAC: allowed by {grant.by}")
    return Decision(False, f"RBAC: {_errors(lacking)}" if lacking else "")


def _errors(lacking: Sequence[str]) -> str:
    return lacking[0] if len(lacking) == 1 else f"[{', '.join(lacking)}]"


def granted(user: User, namespace: str, roles: Roles) -> Iterator[Grant]:
    """All rules that a user has in a namespace; at the cluster's scope if that is ""."""
    for whole in roles.cluster_bindings():
        subject = _subject_of(user, whole.get("subjects") or (), "")
        if subject is not None:
            by = f'ClusterRoleBinding "{meta.name(whole)}"'
            yield from _grants(by, whole["roleRef"], subject, "", roles)
    for binding in roles.bindings(namespace) if namespace else ():
        subject = _subject_of(user, binding.get("subjects") or (), namespace)
        if subject is not None:
            by = f'RoleBinding "{meta.name(binding)}/{namespace}"'
            yield from _grants(by, binding["roleRef"], subject, namespace, roles)


def _grants(
    by: str, reference: RoleRef, subject: Subject, namespace: str, roles: Roles
) -> Iterator[Grant]:
    kind, name = reference["kind"], reference["name"]
    rules = roles.rules(reference, namespace)
    if rules is None:
        yield Grant(by, None, f'{kind.lower()}.{GROUP} "{name}" not found')
        return
    where = f"{by} of {kind} {_quoted(name)} to {_described(subject, namespace)}"
    for rule in rules:
        yield Grant(where, rule)


def _subject_of(user: User, subjects: Iterable[Subject], namespace: str) -> Subject | None:
    return next((each for each in subjects if _is_subject(user, each, namespace)), None)


def _is_subject(user: User, subject: Subject, namespace: str) -> bool:
    if subject["kind"] == "User":
        return subject["name"] == user.name
    if subject["kind"] == "Group":
        return subject["name"] in user.groups
    space = subject.get("namespace") or namespace
    is_account = subject["kind"] == "ServiceAccount" and bool(space)
    return is_account and user.name == account_name(space, subject["name"])


def _described(subject: Subject, namespace: str) -> str:
    name = subject["name"]
    if subject["kind"] == "ServiceAccount":
        name += f"/{subject.get('namespace') or namespace}"
    return f"{subject['kind']} {_quoted(name)}"


def allows(rule: PolicyRule, wanted: Attributes) -> bool:
    """Whether a rule allows it."""
    if not _has(rule["verbs"], wanted.verb):
        return False
    if not wanted.resource:
        return any(_url(pattern, wanted.path) for pattern in rule.get("nonResourceURLs") or ())
    names = rule.get("resourceNames") or ()
    return (
        _has(rule.get("apiGroups") or (), wanted.group)
        and any(_resource(each, wanted) for each in rule.get("resources") or ())
        and (not names or wanted.name in names)
    )


def _has(choices: Sequence[str], wanted: str) -> bool:
    return wanted in choices or "*" in choices


def _resource(pattern: str, wanted: Attributes) -> bool:
    if pattern in ("*", wanted.whole_resource):
        return True
    return bool(wanted.subresource) and pattern == f"*/{wanted.subresource}"


def _url(pattern: str, path: str) -> bool:
    if pattern.endswith("*"):
        return path.startswith(pattern.rstrip("*"))
    return pattern == path


# -- the words of a denial -----------------------------------------------------------------


def denial(user: User, wanted: Attributes) -> str:
    """`User "jane" cannot list resource "pods" in API group "" in the namespace "default"`."""
    who = f"User {_quoted(user.name)} cannot {wanted.verb}"
    if not wanted.resource:
        return f"{who} path {_quoted(wanted.path)}"
    what = f"resource {_quoted(wanted.whole_resource)} in API group {_quoted(wanted.group)}"
    if wanted.namespace:
        return f"{who} {what} in the namespace {_quoted(wanted.namespace)}"
    return f"{who} {what} at the cluster scope"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


# -- escalation ----------------------------------------------------------------------------


def missing(held: Sequence[PolicyRule], wanted: Iterable[PolicyRule]) -> list[PolicyRule]:
    """What of `wanted` nobody may give away who has only `held`, a rule for each part."""
    parts = (part for rule in wanted for part in broken_down(rule))
    return [part for part in parts if not any(_covers(rule, part) for rule in held)]


def broken_down(rule: PolicyRule) -> Iterator[PolicyRule]:
    """The rule as rules of one verb, and of one resource (and name) or one URL, each."""
    named = [[name] for name in rule.get("resourceNames") or ()] or [[]]
    for group, resource, verb in product(
        rule.get("apiGroups") or (), rule.get("resources") or (), rule["verbs"]
    ):
        for names in named:
            yield {
                "apiGroups": [group],
                "resources": [resource],
                "resourceNames": names,
                "verbs": [verb],
            }
    for url, verb in product(rule.get("nonResourceURLs") or (), rule["verbs"]):
        yield {"nonResourceURLs": [url], "verbs": [verb]}


def _covers(rule: PolicyRule, part: PolicyRule) -> bool:
    """Whether a rule allows all that a broken down one allows."""
    if not all(_has(rule["verbs"], verb) for verb in part["verbs"]):
        return False
    if urls := part.get("nonResourceURLs"):
        patterns = rule.get("nonResourceURLs") or ()
        return all(any(_url(pattern, url) for pattern in patterns) for url in urls)
    names, only = part.get("resourceNames") or (), rule.get("resourceNames") or ()
    if only and (not names or not set(names) <= set(only)):
        return False
    return all(
        _has(rule.get("apiGroups") or (), group) for group in part.get("apiGroups") or ()
    ) and all(
        _covers_resource(rule.get("resources") or (), each) for each in part.get("resources") or ()
    )


def _covers_resource(patterns: Sequence[str], resource: str) -> bool:
    _, slash, subresource = resource.partition("/")
    return _has(patterns, resource) or (bool(slash) and f"*/{subresource}" in patterns)


def escalation(user: User, lacking: Iterable[PolicyRule]) -> str:
    """The words for who would give away more than he has."""
    rules = "\n".join(sorted({_compact(rule) for rule in lacking}))
    groups = f"[{' '.join(map(_quoted, user.groups))}]"
    who = f"user {_quoted(user.name)} (groups={groups})"
    return f"{who} is attempting to grant RBAC permissions not currently held:\n{rules}"


_FIELDS = ("apiGroups", "resources", "nonResourceURLs", "resourceNames", "verbs")


def _compact(rule: PolicyRule) -> str:
    """A rule as Go prints it: `{APIGroups:[""], Resources:["pods"], Verbs:["get"]}`."""
    said: Mapping[str, Sequence[str]] = rule  # type: ignore[assignment]
    parts = [
        f"{_go_name(field)}:[{' '.join(map(_quoted, said[field]))}]"
        for field in _FIELDS
        if said.get(field)
    ]
    return f"{{{', '.join(parts)}}}"


def _go_name(field: str) -> str:
    return "APIGroups" if field == "apiGroups" else field[0].upper() + field[1:]
