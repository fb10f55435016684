"""The roles that every cluster begins with, and who has them: Kubernetes' bootstrap policy. Pure.

As plugin/pkg/auth/authorizer/rbac/bootstrappolicy has them, without those of components that a lab
has none of, or that are the lab itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from netlab.objects import meta, rbac
from netlab.objects.kinds.access import GROUP
from netlab.objects.meta import AnyObject
from netlab.objects.selectors import from_label_selector
from netlab.objects.types import ClusterRole, ClusterRoleBinding, PolicyRule, RoleRef, Subject

_LABELS = {"kubernetes.io/bootstrapping": "rbac-defaults"}
_AGGREGATE = f"{GROUP}/aggregate-to-"

_READ = ("get", "list", "watch")
_WRITE = ("create", "delete", "deletecollection", "patch", "update")
_ALL = ("*",)


def _rule(verbs: Sequence[str], group: str, *resources: str) -> PolicyRule:
    return {"apiGroups": [group], "resources": list(resources), "verbs": list(verbs)}


def _urls(*urls: str) -> PolicyRule:
    return {"nonResourceURLs": list(urls), "verbs": ["get"]}


_HEALTH = ("/healthz", "/livez", "/readyz", "/version", "/version/")
_DISCOVERY = ("/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*")

_CLAIMS = ("persistentvolumeclaims", "replicationcontrollers", "replicationcontrollers/scale")
_APPS = (
    "daemonsets", "deployments", "deployments/scale", "replicasets", "replicasets/scale",
    "statefulsets", "statefulsets/scale",
)  # fmt: skip
_APPS_STATUS = ("daemonsets", "deployments", "replicasets", "statefulsets")

_VIEW = (
    _rule(
        _READ, "", "configmaps", "endpoints", *_CLAIMS, "persistentvolumeclaims/status", "pods",
        "serviceaccounts", "services", "services/status",
    ),
    _rule(
        _READ, "", "bindings", "events", "limitranges", "namespaces/status", "pods/log",
        "pods/status", "replicationcontrollers/status", "resourcequotas", "resourcequotas/status",
    ),
    _rule(_READ, "", "namespaces"),
    _rule(_READ, "discovery.k8s.io", "endpointslices"),
    _rule(
        _READ, "apps", "controllerrevisions", *_APPS, *(f"{name}/status" for name in _APPS_STATUS)
    ),
    _rule(
        _READ, "autoscaling", "horizontalpodautoscalers", "horizontalpodautoscalers/status"
    ),
    _rule(_READ, "batch", "cronjobs", "cronjobs/status", "jobs", "jobs/status"),
    _rule(_READ, "policy", "poddisruptionbudgets", "poddisruptionbudgets/status"),
    _rule(_READ, "networking.k8s.io", "ingresses", "ingresses/status", "networkpolicies"),
)  # fmt: skip
_INTO_PODS = ("pods/attach", "pods/exec", "pods/portforward", "pods/proxy")
_EDIT = (
    _rule(_READ, "", *_INTO_PODS, "secrets", "services/proxy"),
    _rule(("impersonate",), "", "serviceaccounts"),
    _rule(_WRITE, "", "pods", *_INTO_PODS),
    _rule(("create",), "", "pods/eviction"),
    _rule(
        _WRITE, "", "configmaps", "events", *_CLAIMS, "secrets", "serviceaccounts", "services",
        "services/proxy",
    ),
    _rule(("create",), "", "serviceaccounts/token"),
    _rule(_WRITE, "apps", *_APPS, "deployments/rollback"),
    _rule(_WRITE, "autoscaling", "horizontalpodautoscalers"),
    _rule(_WRITE, "batch", "cronjobs", "jobs"),
    _rule(_WRITE, "policy", "poddisruptionbudgets"),
    _rule(_WRITE, "networking.k8s.io", "ingresses", "networkpolicies"),
)  # fmt: skip
_ADMIN = (
    _rule(("create",), "authorization.k8s.io", "localsubjectaccessreviews"),
    _rule((*_READ, *_WRITE), GROUP, "rolebindings", "roles"),
)
_SELF = (
    _rule(
        ("create",), "authorization.k8s.io", "selfsubjectaccessreviews", "selfsubjectrulesreviews"
    ),
    _rule(("create",), "authentication.k8s.io", "selfsubjectreviews"),
)
_DELEGATOR = (
    _rule(("create",), "authentication.k8s.io", "tokenreviews"),
    _rule(("create",), "authorization.k8s.io", "subjectaccessreviews"),
)
_ISSUER = (_urls("/.well-known/openid-configuration", "/openid/v1/jwks"),)
_EVERYTHING: PolicyRule = _rule(_ALL, "*", "*")
_EVERYWHERE: PolicyRule = {"nonResourceURLs": ["*"], "verbs": ["*"]}


def objects() -> list[AnyObject]:
    """The ClusterRoles, then the ClusterRoleBindings, in the order of creation."""
    parts = [
        _role("system:aggregate-to-admin", _ADMIN, aggregate_to="admin"),
        _role("system:aggregate-to-edit", _EDIT, aggregate_to="edit"),
        _role("system:aggregate-to-view", _VIEW, aggregate_to="view"),
    ]
    view = _aggregated("view", parts, aggregate_to="edit")
    edit = _aggregated("edit", [*parts, view], aggregate_to="admin")
    admin = _aggregated("admin", [*parts, view, edit])
    return [
        _role("cluster-admin", (_EVERYTHING, _EVERYWHERE)),
        _role("system:discovery", (_urls(*_DISCOVERY, *_HEALTH),)),
        _role("system:public-info-viewer", (_urls(*_HEALTH),)),
        _role("system:basic-user", _SELF),
        _role("system:auth-delegator", _DELEGATOR),
        _role("system:service-account-issuer-discovery", _ISSUER),
        *(*parts, view, edit, admin),
        _binding("cluster-admin", rbac.MASTERS),
        _binding("system:discovery", rbac.AUTHENTICATED),
        _binding("system:public-info-viewer", rbac.AUTHENTICATED, rbac.UNAUTHENTICATED),
        _binding("system:basic-user", rbac.AUTHENTICATED),
        _binding("system:service-account-issuer-discovery", rbac.ACCOUNTS),
    ]


def _role(name: str, rules: Sequence[PolicyRule], *, aggregate_to: str = "") -> ClusterRole:
    labels = {**_LABELS, f"{_AGGREGATE}{aggregate_to}": "true"} if aggregate_to else _LABELS
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name, "labels": dict(labels)},
        "rules": list(rules),
    }


def _aggregated(name: str, there: Sequence[ClusterRole], *, aggregate_to: str = "") -> ClusterRole:
    role = _role(name, (), aggregate_to=aggregate_to)
    role["aggregationRule"] = {
        "clusterRoleSelectors": [{"matchLabels": {f"{_AGGREGATE}{name}": "true"}}]
    }
    role["rules"] = aggregated(role, there)
    return role


def aggregated(role: ClusterRole, there: Iterable[ClusterRole]) -> list[PolicyRule]:
    """The rules of those roles that an aggregating one chooses, each once."""
    rules: list[PolicyRule] = []
    for wanted in role.get("aggregationRule", {}).get("clusterRoleSelectors") or ():
        selector = from_label_selector(wanted)
        for part in sorted(there, key=meta.name):
            if meta.name(part) != meta.name(role) and selector.matches(meta.labels(part)):
                rules += [rule for rule in part.get("rules") or () if rule not in rules]
    return rules


def _binding(role: str, *groups: str) -> ClusterRoleBinding:
    reference: RoleRef = {"apiGroup": GROUP, "kind": "ClusterRole", "name": role}
    subjects: list[Subject] = [
        {"apiGroup": GROUP, "kind": "Group", "name": group} for group in groups
    ]
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": role, "labels": dict(_LABELS)},
        "roleRef": reference,
        "subjects": subjects,
    }
