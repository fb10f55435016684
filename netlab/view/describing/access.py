"""Roles and their bindings as `kubectl describe` shows them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from netlab.objects import meta, rbac
from netlab.objects.kinds.access import CLUSTER_ROLE, CLUSTER_ROLE_BINDING, ROLE, ROLE_BINDING
from netlab.objects.types import ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding
from netlab.view.describing import described
from netlab.view.describing.described import Description, Lines, Related


def role(obj: Role | ClusterRole, related: Related) -> Lines:
    """A role with what it allows: a line for each resource."""
    del related
    yield f"Name:\t{meta.name(obj)}"
    yield from described.label_lines(obj)
    yield from described.annotation_lines(obj)
    yield "PolicyRule:"
    yield "  Resources\tNon-Resource URLs\tResource Names\tVerbs"
    yield "  ---------\t-----------------\t--------------\t-----"
    for rule in sorted(_compact(obj.get("rules") or []), key=_as_go_says):
        columns = (_words(rule, field) for field in ("nonResourceURLs", "resourceNames", "verbs"))
        yield "  " + "\t".join((_resource(rule), *columns))


def binding(obj: RoleBinding | ClusterRoleBinding, related: Related) -> Lines:
    """A binding: the role, and those who have it."""
    del related
    yield f"Name:\t{meta.name(obj)}"
    yield from described.label_lines(obj)
    yield from described.annotation_lines(obj)
    reference = obj["roleRef"]
    yield from ("Role:", f"  Kind:\t{reference['kind']}", f"  Name:\t{reference['name']}")
    yield from ("Subjects:", "  Kind\tName\tNamespace", "  ----\t----\t---------")
    for subject in obj.get("subjects") or []:
        yield f"  {subject['kind']}\t{subject['name']}\t{subject.get('namespace') or ''}"


# -- rules, as kubectl orders them ---------------------------------------------------------


def _compact(rules: Sequence[PolicyRule]) -> list[PolicyRule]:
    """A rule for each resource, with all its verbs; and one for each verb of a URL."""
    others: list[PolicyRule] = []
    simple: dict[tuple[str, ...], PolicyRule] = {}
    for rule in chain.from_iterable(map(rbac.broken_down, rules)):
        if rule.get("nonResourceURLs"):
            others.append(rule)
            continue
        names = rule.get("resourceNames") or []
        key = (rule.get("apiGroups", [])[0], rule.get("resources", [])[0], *names)
        verbs = simple.setdefault(key, rule)["verbs"]
        verbs.extend(verb for verb in rule["verbs"] if verb not in verbs)
    return [*others, *simple.values()]


def _as_go_says(rule: PolicyRule) -> str:
    """The text by which kubectl sorts."""
    fields = ("verbs", "apiGroups", "resources", "resourceNames", "nonResourceURLs")
    parts = (f"{field[0].upper()}{field[1:]}:{_words(rule, field)}," for field in fields)
    return f"&PolicyRule{{{''.join(parts)}}}"


def _words(rule: PolicyRule, field: str) -> str:
    """A list as Go prints it: `[get list]`."""
    words: Sequence[str] = rule.get(field) or ()  # type: ignore[assignment]
    return f"[{' '.join(words)}]"


def _resource(rule: PolicyRule) -> str:
    """`deployments.apps/scale`."""
    if not rule.get("resources"):
        return ""
    resource, slash, subresource = rule.get("resources", [])[0].partition("/")
    group = rule.get("apiGroups", [])[0]
    return (f"{resource}.{group}" if group else resource) + slash + subresource


DESCRIPTIONS = {
    ROLE: Description(role),
    CLUSTER_ROLE: Description(role),
    ROLE_BINDING: Description(binding),
    CLUSTER_ROLE_BINDING: Description(binding),
}
