"""What roles and bindings may say, in the words of an API server."""

from __future__ import annotations

from typing import Any

import pytest

from netlab.objects.strategies import apply_defaults
from netlab.objects.validation import validate, validate_update

GROUP = "rbac.authorization.k8s.io"


def made(kind: str, name: str = "web", **fields: Any) -> dict[str, Any]:
    metadata = {"name": name} if kind.startswith("Cluster") else {"name": name, "namespace": "a"}
    obj = {"apiVersion": f"{GROUP}/v1", "kind": kind, "metadata": metadata, **fields}
    apply_defaults(obj)
    return obj


def binding(kind: str = "RoleBinding", role: Any = None, subject: Any = None) -> dict[str, Any]:
    reference = {"kind": "ClusterRole", "name": "view", **(role or {})}
    return made(kind, roleRef=reference, subjects=[subject or {"kind": "User", "name": "jane"}])


def role(kind: str = "Role", **rule: Any) -> dict[str, Any]:
    return made(kind, rules=[rule])


def said(obj: dict[str, Any]) -> str:
    return "\n".join(map(str, validate(obj)))


PODS = {"apiGroups": [""], "resources": ["pods"]}
GET = {"verbs": ["get"]}


@pytest.mark.parametrize(
    "obj",
    [
        role(**PODS, **GET),
        role("ClusterRole", nonResourceURLs=["/metrics"], **GET),
        made("ClusterRole", "system:basic-user"),
        made("Role", "Anything goes"),
        binding(),
        binding("ClusterRoleBinding"),
        binding(subject={"kind": "ServiceAccount", "name": "default"}),
    ],
    ids=lambda obj: f"{obj['kind']} {obj['metadata']['name']}",
)
def test_what_is_well(obj: dict[str, Any]) -> None:
    assert said(obj) == ""


@pytest.mark.parametrize(
    ("obj", "words"),
    [
        (made("Role", "a/b"), "metadata.name: Invalid value: \"a/b\": may not contain '/'"),
        (made("Role", ".."), "metadata.name: Invalid value: \"..\": may not be '..'"),
        (role(**PODS, verbs=[]), "rules[0].verbs: Required value: verbs must contain at least one"),
        (
            role(**GET),
            "rules[0].apiGroups: Required value: resource rules must supply at least one",
        ),
        (role(apiGroups=[""], **GET), "rules[0].resources: Required value: resource rules must"),
        (
            role(nonResourceURLs=["/a"], **GET),
            'rules[0].nonResourceURLs: Invalid value: ["/a"]: namespaced rules cannot apply to',
        ),
        (
            role("ClusterRole", nonResourceURLs=["/a"], **PODS, **GET),
            'rules[0].nonResourceURLs: Invalid value: ["/a"]: rules cannot apply to both regular',
        ),
        (
            made("ClusterRole", aggregationRule={}),
            "aggregationRule.clusterRoleSelectors: Required value: at least one",
        ),
        (
            made(
                "ClusterRole",
                aggregationRule={"clusterRoleSelectors": [{"matchLabels": {"/": ""}}]},
            ),
            "aggregationRule.clusterRoleSelectors[0].matchLabels: Invalid value",
        ),
        (
            binding(role={"kind": "Rol"}),
            'roleRef.kind: Unsupported value: "Rol": supported values: "ClusterRole", "Role"',
        ),
        (
            binding("ClusterRoleBinding", {"kind": "Role"}),
            'roleRef.kind: Unsupported value: "Role": supported values: "ClusterRole"',
        ),
        (binding(role={"name": ""}), "roleRef.name: Required value"),
        (
            binding(role={"apiGroup": "x"}),
            f'roleRef.apiGroup: Unsupported value: "x": supported values: "{GROUP}"',
        ),
        (
            binding(subject={"kind": "Robot", "name": "x"}),
            'subjects[0].kind: Unsupported value: "Robot": supported values: "ServiceAccount", '
            '"User", "Group"',
        ),
        (
            binding(subject={"kind": "ServiceAccount", "name": "x", "apiGroup": GROUP}),
            f'subjects[0].apiGroup: Unsupported value: "{GROUP}": supported values: ""',
        ),
        (
            binding(subject={"kind": "ServiceAccount", "name": "X"}),
            'subjects[0].name: Invalid value: "X": a lowercase RFC 1123 subdomain',
        ),
        (
            binding("ClusterRoleBinding", subject={"kind": "ServiceAccount", "name": "x"}),
            "subjects[0].namespace: Required value",
        ),
    ],
)
def test_what_is_not(obj: dict[str, Any], words: str) -> None:
    assert words in said(obj)


def test_a_binding_keeps_its_role() -> None:
    old, new = binding(), binding(role={"name": "edit"})
    reference = f'{{"kind":"ClusterRole","name":"edit","apiGroup":"{GROUP}"}}'
    assert [str(one) for one in validate_update(new, old)] == [
        f"roleRef: Invalid value: {reference}: cannot change roleRef"
    ]
