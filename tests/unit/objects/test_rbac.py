"""Verdicts on rows from Kubernetes' documentation of RBAC, and on what its rules leave open."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pytest

from netlab.objects import meta, policy, rbac
from netlab.objects.rbac import ANONYMOUS, AUTHENTICATED, Attributes, User

GROUP = "rbac.authorization.k8s.io"
JANE = User("jane", ("dev", AUTHENTICATED))
MASTER = User("x", ("system:masters", AUTHENTICATED))


def account(namespace: str = "default", name: str = "default") -> User:
    return User(rbac.account_name(namespace, name), rbac.account_groups(namespace))


def rule(resources: str, verbs: str, group: str = "", names: str = "") -> dict[str, Any]:
    found = {"apiGroups": [group], "resources": resources.split(), "verbs": verbs.split()}
    return {**found, "resourceNames": names.split()} if names else found


def urls(patterns: str, verbs: str = "get") -> dict[str, Any]:
    return {"nonResourceURLs": patterns.split(), "verbs": verbs.split()}


def subject(user: User, **more: str) -> dict[str, str]:
    known = rbac.account_of(user.name)
    if known:
        return {"kind": "ServiceAccount", "namespace": known[0], "name": known[1], **more}
    return {"kind": "User", "name": user.name, **more}


class Roles:
    """Some roles; `give` binds one."""

    def __init__(self) -> None:
        self._roles: dict[tuple[str, str, str], list[Any]] = {}
        self._cluster: list[Any] = []
        self._bindings: dict[str, list[Any]] = {}

    def give(self, *rules: Any, to: Any, namespace: str = "", kind: str = "") -> Roles:
        kind = kind or ("Role" if namespace else "ClusterRole")
        name = f"r{len(self._roles)}"
        self._roles[kind, namespace if kind == "Role" else "", name] = list(rules)
        reference = {"apiGroup": GROUP, "kind": kind, "name": name}
        metadata = {"name": f"b{name}", "namespace": namespace}
        subjects = [to if isinstance(to, dict) else subject(to)]
        binding = {"metadata": metadata, "roleRef": reference, "subjects": subjects}
        (self._bindings.setdefault(namespace, []) if namespace else self._cluster).append(binding)
        return self

    def cluster_bindings(self) -> Iterable[Any]:
        return self._cluster

    def bindings(self, namespace: str) -> Iterable[Any]:
        return self._bindings.get(namespace, [])

    def rules(self, reference: Any, namespace: str) -> Sequence[Any] | None:
        space = namespace if reference["kind"] == "Role" else ""
        return self._roles.get((reference["kind"], space, reference["name"]))


def may(user: User, roles: Roles, verb: str, what: str = "", **more: str) -> bool:
    resource, _, subresource = what.partition("/")
    wanted = Attributes(verb, resource=resource, subresource=subresource, **more)
    return rbac.decide(user, wanted, roles).allowed


IN_DEFAULT = {"namespace": "default"}


@pytest.mark.parametrize(
    ("rules", "verb", "what", "more", "allowed"),
    [
        # "Role example": read access to pods
        (rule("pods", "get watch list"), "get", "pods", {}, True),
        (rule("pods", "get watch list"), "watch", "pods", {}, True),
        (rule("pods", "get watch list"), "delete", "pods", {}, False),
        (rule("pods", "get watch list"), "list", "services", {}, False),
        # the core group is "", and no other
        (rule("pods", "get"), "get", "pods", {"group": "metrics.k8s.io"}, False),
        (rule("deployments", "get", "apps"), "get", "deployments", {"group": "apps"}, True),
        (rule("deployments", "get", "*"), "get", "deployments", {"group": "apps"}, True),
        # "Referring to resources": a subresource is a resource of its own
        (rule("pods pods/log", "get list"), "get", "pods/log", {}, True),
        (rule("pods", "get"), "get", "pods/log", {}, False),
        (rule("pods/log", "get"), "get", "pods", {}, False),
        (rule("pods/exec", "create"), "create", "pods/exec", {}, True),
        (rule("pods/exec", "get"), "create", "pods/exec", {}, False),
        (rule("*/scale", "update"), "update", "deployments/scale", {}, True),
        (rule("*/scale", "update"), "update", "deployments", {}, False),
        (rule("pods/*", "get"), "get", "pods/log", {}, False),
        (rule("*", "get"), "get", "pods/log", {}, True),
        # by name: create and the deletion of a collection have none
        (rule("configmaps", "update get", names="my-configmap"), "get", "configmaps",
         {"name": "my-configmap"}, True),
        (rule("configmaps", "update get", names="my-configmap"), "get", "configmaps",
         {"name": "other"}, False),
        (rule("configmaps", "*", names="my-configmap"), "create", "configmaps", {}, False),
        (rule("configmaps", "*", names="my-configmap"), "list", "configmaps", {}, False),
        (rule("configmaps", "*", names="my-configmap"), "list", "configmaps",
         {"name": "my-configmap"}, True),
        (rule("configmaps", "*", names="a"), "deletecollection", "configmaps", {}, False),
        # wildcards
        (rule("*", "*", "*"), "delete", "things/parts", {"group": "example.com"}, True),
        (rule("pods", "*"), "anything", "pods", {}, True),
        # paths are no resources
        (rule("*", "*", "*"), "get", "", {"path": "/healthz"}, False),
    ],
)  # fmt: skip
def test_what_a_role_allows(
    rules: Any, verb: str, what: str, more: dict[str, str], allowed: bool
) -> None:
    roles = Roles().give(rules, to=JANE, namespace="default")
    assert may(JANE, roles, verb, what, **{**IN_DEFAULT, **more}) is allowed


@pytest.mark.parametrize(
    ("pattern", "verb", "path", "allowed"),
    [
        ("/healthz /healthz/*", "get", "/healthz", True),
        ("/healthz/*", "get", "/healthz/ping", True),
        ("/healthz/*", "get", "/healthz", False),
        ("/healthz", "post", "/healthz", False),
        ("*", "get", "/anything", True),
        ("/api", "get", "/apis", False),
        ("/api*", "get", "/apis", True),
    ],
)
def test_paths(pattern: str, verb: str, path: str, allowed: bool) -> None:
    roles = Roles().give(urls(pattern), to=JANE)
    assert may(JANE, roles, verb, path=path) is allowed


def test_a_role_reaches_no_further_than_its_namespace() -> None:
    roles = Roles().give(rule("pods", "list"), to=JANE, namespace="default")
    assert may(JANE, roles, "list", "pods", namespace="default")
    assert not may(JANE, roles, "list", "pods", namespace="kube-system")
    assert not may(JANE, roles, "list", "pods")


def test_a_cluster_role_is_bound_in_one_namespace_or_in_all() -> None:
    narrow = Roles().give(rule("secrets", "get"), to=JANE, namespace="a", kind="ClusterRole")
    assert may(JANE, narrow, "get", "secrets", namespace="a")
    assert not may(JANE, narrow, "get", "secrets", namespace="b")
    wide = Roles().give(rule("secrets nodes", "get"), to=JANE)
    assert may(JANE, wide, "get", "secrets", namespace="b")
    assert may(JANE, wide, "get", "nodes")


@pytest.mark.parametrize(
    ("to", "user", "allowed"),
    [
        ({"kind": "User", "name": "jane"}, JANE, True),
        ({"kind": "User", "name": "Jane"}, JANE, False),
        ({"kind": "Group", "name": "dev"}, JANE, True),
        ({"kind": "Group", "name": "jane"}, JANE, False),
        ({"kind": "ServiceAccount", "name": "default", "namespace": "default"}, account(), True),
        ({"kind": "ServiceAccount", "name": "default"}, account(), True),  # of the binding's own
        ({"kind": "ServiceAccount", "name": "default"}, account("qa"), False),
        ({"kind": "ServiceAccount", "name": "default", "namespace": "qa"}, account("qa"), True),
        ({"kind": "User", "name": "system:serviceaccount:default:default"}, account(), True),
        ({"kind": "Group", "name": "system:serviceaccounts:qa"}, account("qa"), True),
        ({"kind": "Group", "name": "system:serviceaccounts:qa"}, account("dev"), False),
        ({"kind": "Group", "name": "system:serviceaccounts"}, account("dev"), True),
        ({"kind": "Group", "name": "system:authenticated"}, ANONYMOUS, False),
        ({"kind": "Group", "name": "system:unauthenticated"}, ANONYMOUS, True),
        ({"kind": "Robot", "name": "jane"}, JANE, False),
    ],
)
def test_subjects(to: Any, user: User, allowed: bool) -> None:
    roles = Roles().give(rule("pods", "get"), to=to, namespace="default")
    assert may(user, roles, "get", "pods", namespace="default") is allowed


def test_masters_may_do_all_and_others_nothing_at_first() -> None:
    assert may(MASTER, Roles(), "delete", "nodes")
    for user in (JANE, ANONYMOUS, account()):
        assert not may(user, Roles(), "list", "pods", namespace="default")


def test_a_verdict_says_why() -> None:
    roles = Roles().give(rule("pods", "get"), to=account(), namespace="default")
    verdict = rbac.decide(account(), Attributes("get", resource="pods", namespace="default"), roles)
    assert verdict.reason == (
        'RBAC: allowed by RoleBinding "br0/default" of Role "r0" '
        'to ServiceAccount "default/default"'
    )
    roles._roles.clear()
    lost = rbac.decide(account(), Attributes("get", resource="pods", namespace="default"), roles)
    assert lost.reason == 'RBAC: role.rbac.authorization.k8s.io "r0" not found'


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (
            Attributes("list", resource="pods", namespace="default"),
            'cannot list resource "pods" in API group "" in the namespace "default"',
        ),
        (
            Attributes("create", resource="pods", subresource="exec", namespace="a", name="x"),
            'cannot create resource "pods/exec" in API group "" in the namespace "a"',
        ),
        (
            Attributes("get", group="apps", resource="deployments"),
            'cannot get resource "deployments" in API group "apps" at the cluster scope',
        ),
        (Attributes("get", path="/metrics"), 'cannot get path "/metrics"'),
    ],
)
def test_denials_have_an_api_server_s_words(wanted: Attributes, words: str) -> None:
    assert rbac.denial(JANE, wanted) == f'User "jane" {words}'


# -- escalation ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("held", "wanted", "covered"),
    [
        (rule("pods", "get list"), rule("pods", "get"), True),
        (rule("pods", "get"), rule("pods", "get list"), False),
        (rule("*", "*", "*"), rule("pods/exec", "create", "x"), True),
        (rule("pods", "*"), rule("pods", "*"), True),
        (rule("pods", "get"), rule("pods", "*"), False),
        (rule("pods", "get", names="a b"), rule("pods", "get", names="a"), True),
        (rule("pods", "get", names="a"), rule("pods", "get"), False),
        (rule("pods", "get"), rule("pods", "get", names="a"), True),
        (rule("*/scale", "get"), rule("deployments/scale", "get"), True),
        (rule("*/scale", "get"), rule("deployments", "get"), False),
        (rule("pods", "get"), rule("pods", "get", "apps"), False),
        (urls("/healthz/*"), urls("/healthz/ping"), True),
        (urls("/healthz"), urls("/healthz/*"), False),
        (rule("*", "*", "*"), urls("/healthz"), False),
    ],
)
def test_nobody_gives_away_what_he_has_not(held: Any, wanted: Any, covered: bool) -> None:
    assert (rbac.missing([held], [wanted]) == []) is covered


def test_rules_that_are_held_in_parts_cover_the_whole() -> None:
    held = [rule("pods", "get"), rule("pods services", "list"), rule("services", "get")]
    assert rbac.missing(held, [rule("pods services", "get list")]) == []


def test_who_gives_away_too_much_is_told_what() -> None:
    lacking = rbac.missing([rule("pods", "get")], [rule("pods secrets", "get")])
    assert rbac.escalation(account(), lacking) == (
        'user "system:serviceaccount:default:default" (groups=["system:serviceaccounts" '
        '"system:serviceaccounts:default" "system:authenticated"]) is attempting to grant RBAC '
        'permissions not currently held:\n{APIGroups:[""], Resources:["secrets"], Verbs:["get"]}'
    )


# -- the roles that every cluster begins with ------------------------------------------------


def bootstrap(role: str, namespace: str = "") -> Roles:
    roles = Roles()
    for obj in policy.objects():
        if obj["kind"] == "ClusterRole" and meta.name(obj) == role:
            roles.give(*obj["rules"], to=JANE, namespace=namespace, kind="ClusterRole")
    return roles


@pytest.mark.parametrize(
    ("role", "verb", "what", "more", "allowed"),
    [
        ("view", "list", "pods", {}, True),
        ("view", "get", "pods/log", {}, True),
        ("view", "get", "secrets", {}, False),
        ("view", "get", "roles", {"group": GROUP}, False),
        ("view", "create", "pods/exec", {}, False),
        ("edit", "create", "deployments", {"group": "apps"}, True),
        ("edit", "create", "pods/exec", {}, True),
        ("edit", "get", "secrets", {}, True),
        ("edit", "create", "serviceaccounts/token", {}, True),
        ("edit", "create", "rolebindings", {"group": GROUP}, False),
        ("admin", "create", "rolebindings", {"group": GROUP}, True),
        ("admin", "list", "pods", {}, True),
        ("admin", "update", "namespaces", {}, False),
        ("cluster-admin", "delete", "nodes", {}, True),
        ("cluster-admin", "get", "", {"path": "/metrics"}, True),
        ("system:discovery", "get", "", {"path": "/apis/apps/v1"}, True),
        ("system:public-info-viewer", "get", "", {"path": "/version"}, True),
        ("system:public-info-viewer", "get", "", {"path": "/apis"}, False),
        ("system:basic-user", "create", "selfsubjectreviews",
         {"group": "authentication.k8s.io"}, True),
    ],
)  # fmt: skip
def test_bootstrap_roles(
    role: str, verb: str, what: str, more: dict[str, str], allowed: bool
) -> None:
    assert may(JANE, bootstrap(role), verb, what, **more) is allowed
    within = bootstrap(role, "default")
    assert may(JANE, within, verb, what, **{**more, "namespace": "default"}) is allowed
