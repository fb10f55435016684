"""How roles and their bindings print."""

from __future__ import annotations

from netlab.api.printing.cells import AGE, NAME, UNKNOWN, Cell, Column, Printer, age, wide
from netlab.objects.kinds.access import CLUSTER_ROLE, CLUSTER_ROLE_BINDING, ROLE, ROLE_BINDING
from netlab.objects.meta import AnyObject, name
from netlab.objects.types import ClusterRole, ClusterRoleBinding, Role, RoleBinding


def role_cells(obj: Role | ClusterRole) -> list[Cell]:
    """NAME, CREATED AT."""
    return [name(obj), obj["metadata"].get("creationTimestamp", UNKNOWN)]


def binding_cells(obj: RoleBinding | ClusterRoleBinding) -> list[Cell]:
    """NAME ROLE AGE, and users, groups and service accounts."""
    reference: AnyObject = obj.get("roleRef", {})
    role = f"{reference.get('kind', '')}/{reference.get('name', '')}"
    subjects = (_subjects(obj, kind) for kind in ("User", "Group", "ServiceAccount"))
    return [name(obj), role, age(obj), *subjects]


def _subjects(obj: RoleBinding | ClusterRoleBinding, kind: str) -> str:
    found = [one for one in obj.get("subjects") or [] if one.get("kind") == kind]
    if kind == "ServiceAccount":
        return ", ".join(f"{one.get('namespace') or ''}/{one['name']}" for one in found)
    return ", ".join(one["name"] for one in found)


_ROLE = Printer((NAME, Column("Created At")), role_cells)
_BINDING = Printer(
    (NAME, Column("Role"), AGE, wide("Users"), wide("Groups"), wide("ServiceAccounts")),
    binding_cells,
)

PRINTERS = {
    ROLE: _ROLE,
    CLUSTER_ROLE: _ROLE,
    ROLE_BINDING: _BINDING,
    CLUSTER_ROLE_BINDING: _BINDING,
}
