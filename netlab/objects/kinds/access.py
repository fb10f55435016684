"""Who may do what: roles, and whom they are given to."""

from __future__ import annotations

from netlab.objects.kinds.kind import Kind

GROUP = "rbac.authorization.k8s.io"

CLUSTER_ROLE = Kind("ClusterRole", "clusterroles", GROUP, namespaced=False)
CLUSTER_ROLE_BINDING = Kind("ClusterRoleBinding", "clusterrolebindings", GROUP, namespaced=False)
ROLE = Kind("Role", "roles", GROUP)
ROLE_BINDING = Kind("RoleBinding", "rolebindings", GROUP)

KINDS = (CLUSTER_ROLE_BINDING, CLUSTER_ROLE, ROLE_BINDING, ROLE)
