"""As whom a pod runs: what Kubernetes' ServiceAccount admission makes of a new one."""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from typing import Any

from netlab.errors import ApiError
from netlab.objects import meta, names
from netlab.objects.meta import Object

MOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
VOLUME = "kube-api-access-"
_DEFAULT = "default"
_LASTS = 3607
"""Seconds: an hour, and seven by which such tokens are told from those that somebody asked for."""

Lookup = Callable[[str, str, str], Object | None]


def admit(pod: Object, lookup: Lookup) -> None:
    """Fill in the ServiceAccount of a new pod and, unless it is unwanted, its way to the API.

    `lookup(kind, namespace, name)` finds objects. Every namespace is about to have its account
    `default`; one of another name that is not there is a 403.
    """
    spec = pod["spec"]
    name = spec.get("serviceAccountName") or spec.get("serviceAccount") or _DEFAULT
    spec["serviceAccountName"] = spec["serviceAccount"] = name
    account = lookup("ServiceAccount", meta.namespace(pod), name)
    if account is None and name != _DEFAULT:
        raise _unknown(pod, name)
    account = account or {}
    if account.get("imagePullSecrets") and not spec.get("imagePullSecrets"):
        spec["imagePullSecrets"] = [dict(each) for each in account["imagePullSecrets"]]
    wanted = spec.get("automountServiceAccountToken")
    if wanted is None:
        wanted = account.get("automountServiceAccountToken", True)
    if wanted:
        _mount(spec)


def _unknown(pod: Object, name: str) -> ApiError:
    space, pod_name = meta.namespace(pod), pod["metadata"].get("name") or ""
    return ApiError(
        f'pods "{pod_name}" is forbidden: error looking up service account {space}/{name}: '
        f'serviceaccount "{name}" not found',
        code=403,
        reason="Forbidden",
        details={"name": pod_name, "kind": "pods"},
        hint=f"create it: kubectl create serviceaccount {name} -n {space}",
    )


def _mount(spec: dict[str, Any]) -> None:
    """The volume with token, certificate and namespace, in every container that has none there."""
    containers = [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]
    lacking = [each for each in containers if not _has_mount(each)]
    if not lacking:
        return
    volumes = spec.setdefault("volumes", [])
    known = (each["name"] for each in volumes if str(each.get("name")).startswith(VOLUME))
    name = next(known, "")
    if not name:
        name = VOLUME + names.random_suffix(5)
        volumes.append({"name": name, "projected": _sources()})
    for container in lacking:
        mount = {"name": name, "readOnly": True, "mountPath": MOUNT_PATH}
        container.setdefault("volumeMounts", []).append(mount)


def _has_mount(container: dict[str, Any]) -> bool:
    return any(
        posixpath.normpath(str(each.get("mountPath"))) == MOUNT_PATH
        for each in container.get("volumeMounts") or []
    )


def _sources() -> dict[str, Any]:
    namespace = {"apiVersion": "v1", "fieldPath": "metadata.namespace"}
    root = {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}
    return {
        "defaultMode": 0o644,
        "sources": [
            {"serviceAccountToken": {"expirationSeconds": _LASTS, "path": "token"}},
            {"configMap": root},
            {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": namespace}]}},
        ],
    }
