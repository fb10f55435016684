"""How roles and their bindings are stored; the rules of rbac/validation/validation.go."""

from __future__ import annotations

from netlab.objects import fields
from netlab.objects.kinds.access import (
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    GROUP,
    ROLE,
    ROLE_BINDING,
)
from netlab.objects.meta import Object
from netlab.objects.problems import Path, invalid, not_supported, required
from netlab.objects.strategies.strategy import Mapping, Problems, Strategy, fill
from netlab.objects.validate_template import label_selector

_GROUPS = {"ServiceAccount": "", "User": GROUP, "Group": GROUP}
"""The kinds of subjects, and the group of each."""


def _binding_defaults(obj: Object) -> None:
    reference = obj.get("roleRef")
    if isinstance(reference, dict):
        fill(reference, apiGroup=GROUP)
    for subject in obj.get("subjects") or []:
        if _GROUPS.get(subject.get("kind")):
            fill(subject, apiGroup=GROUP)


# -- roles ---------------------------------------------------------------------------------


def _role(obj: Object) -> Problems:
    for index, rule in enumerate(obj.get("rules") or []):
        path: Path = ("rules", index)
        if urls := rule.get("nonResourceURLs"):
            words = "namespaced rules cannot apply to non-resource URLs"
            yield invalid((*path, "nonResourceURLs"), urls, words)
        yield from _rule(path, rule)


def _cluster_role(obj: Object) -> Problems:
    for index, rule in enumerate(obj.get("rules") or []):
        yield from _rule(("rules", index), rule)
    if obj.get("aggregationRule") is None:
        return
    path: Path = ("aggregationRule", "clusterRoleSelectors")
    wanted = obj["aggregationRule"].get("clusterRoleSelectors") or []
    if not wanted:
        words = "at least one clusterRoleSelector required if aggregationRule is non-nil"
        yield required(path, words)
    for index, selector in enumerate(wanted):
        yield from label_selector((*path, index), selector)


def _rule(path: Path, rule: Mapping) -> Problems:
    if not rule.get("verbs"):
        yield required((*path, "verbs"), "verbs must contain at least one value")
    if urls := rule.get("nonResourceURLs"):
        if rule.get("apiGroups") or rule.get("resources") or rule.get("resourceNames"):
            words = "rules cannot apply to both regular resources and non-resource URLs"
            yield invalid((*path, "nonResourceURLs"), urls, words)
        return
    if not rule.get("apiGroups"):
        yield required((*path, "apiGroups"), "resource rules must supply at least one api group")
    if not rule.get("resources"):
        yield required((*path, "resources"), "resource rules must supply at least one resource")


# -- bindings ------------------------------------------------------------------------------


def _role_binding(obj: Object) -> Problems:
    yield from _reference(obj.get("roleRef") or {}, ("ClusterRole", "Role"))
    for index, subject in enumerate(obj.get("subjects") or []):
        yield from _subject(("subjects", index), subject)


def _cluster_role_binding(obj: Object) -> Problems:
    yield from _reference(obj.get("roleRef") or {}, ("ClusterRole",))
    for index, subject in enumerate(obj.get("subjects") or []):
        path: Path = ("subjects", index)
        yield from _subject(path, subject)
        if subject.get("kind") == "ServiceAccount" and not subject.get("namespace"):
            yield required((*path, "namespace"))


def _reference(reference: Mapping, kinds: tuple[str, ...]) -> Problems:
    group, kind, name = (reference.get(field) or "" for field in ("apiGroup", "kind", "name"))
    if group != GROUP:
        yield not_supported(("roleRef", "apiGroup"), group, [GROUP])
    if kind not in kinds:
        yield not_supported(("roleRef", "kind"), kind, kinds)
    if not name:
        yield required(("roleRef", "name"))
    yield from fields.path_segment(("roleRef", "name"), name)


def _subject(path: Path, subject: Mapping) -> Problems:
    kind, name, group = (subject.get(field) or "" for field in ("kind", "name", "apiGroup"))
    if not name:
        yield required((*path, "name"))
    if kind not in _GROUPS:
        yield not_supported((*path, "kind"), kind, _GROUPS)
        return
    if kind == "ServiceAccount" and name:
        yield from fields.dns_subdomain((*path, "name"), name)
    if group != _GROUPS[kind]:
        yield not_supported((*path, "apiGroup"), group, [_GROUPS[kind]])


def _binding_update(new: Object, old: Object) -> Problems:
    wanted = new.get("roleRef")
    if wanted != old.get("roleRef"):
        yield invalid(("roleRef",), wanted, "cannot change roleRef")


STRATEGIES = {
    ROLE: Strategy(validate=_role, validate_name=fields.path_segment),
    CLUSTER_ROLE: Strategy(validate=_cluster_role, validate_name=fields.path_segment),
    ROLE_BINDING: Strategy(
        default=_binding_defaults,
        validate=_role_binding,
        validate_name=fields.path_segment,
        validate_update=_binding_update,
    ),
    CLUSTER_ROLE_BINDING: Strategy(
        default=_binding_defaults,
        validate=_cluster_role_binding,
        validate_name=fields.path_segment,
        validate_update=_binding_update,
    ),
}
