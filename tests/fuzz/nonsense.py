"""Objects as they should be, and ways to spoil them a little: what the fuzz tests share."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from typing import Any

LAB = {
    "apiVersion": "netlab/v1",
    "kind": "Lab",
    "metadata": {"name": "test"},
    "spec": {
        "nodes": 1,
        "podCIDR": "10.244.0.0/16,fd00:10:244::/56",
        "serviceCIDR": "10.96.0.0/12,fd00:96::/108",
    },
}
SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "web", "labels": {"a": "b"}},
    "spec": {
        "type": "LoadBalancer",
        "externalTrafficPolicy": "Local",
        "clusterIP": "10.96.0.9",
        "clusterIPs": ["10.96.0.9", "fd00:96::9"],
        "ipFamilies": ["IPv4", "IPv6"],
        "ipFamilyPolicy": "RequireDualStack",
        "selector": {"a": "b"},
        "externalIPs": ["1.2.3.4"],
        "sessionAffinity": "ClientIP",
        "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 10}},
        "ports": [
            {"name": "a", "port": 80, "targetPort": "http", "nodePort": 30001},
            {"name": "b", "port": 80, "protocol": "UDP"},
        ],
    },
}
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "web", "finalizers": ["a/b"]},
    "spec": {
        "tolerations": [{"key": "a", "operator": "Exists"}],
        "containers": [
            {
                "name": "a",
                "image": "x",
                "env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
                "ports": [{"name": "http", "containerPort": 80}],
                "resources": {"limits": {"cpu": "1", "memory": "1Gi"}},
                "readinessProbe": {"httpGet": {"port": 80}},
            }
        ],
        "volumes": [{"name": "v", "configMap": {"name": "x"}}],
    },
}
DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web"},
    "spec": {
        "replicas": 2,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%"}},
        "selector": {"matchLabels": {"a": "b"}},
        "template": {
            "metadata": {"labels": {"a": "b"}},
            "spec": {"containers": [{"name": "a", "image": "x"}]},
        },
    },
}


def _object(api_version: str, kind: str, **fields: Any) -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": "web"}, **fields}


def _workload(kind: str, **fields: Any) -> dict[str, Any]:
    shared = {key: DEPLOYMENT["spec"][key] for key in ("selector", "template")}
    return _object("apps/v1", kind, spec={**shared, **fields})


_TARGET = {"kind": "Pod", "name": "web", "namespace": "default"}
_BACKEND = {"service": {"name": "web", "port": {"number": 80}}}
BODIES: list[dict[str, Any]] = [
    SERVICE,
    POD,
    DEPLOYMENT,
    _workload("ReplicaSet", replicas=1, minReadySeconds=1),
    _workload("StatefulSet", serviceName="web", podManagementPolicy="Parallel"),
    _workload("DaemonSet", updateStrategy={"type": "OnDelete"}),
    _object("v1", "Namespace"),
    _object("v1", "Node", spec={"podCIDR": "10.244.9.0/24", "podCIDRs": ["10.244.9.0/24"],
            "taints": [{"key": "a", "effect": "NoSchedule"}]}),
    _object("v1", "ConfigMap", data={"a": "b"}, binaryData={"c": "ZA=="}, immutable=False),
    _object("v1", "Secret", type="Opaque", data={"a": "Yg=="}, stringData={"c": "d"}),
    _object("v1", "ServiceAccount"),
    _object("v1", "Event", involvedObject=_TARGET, reason="Started", message="it did", count=1,
            type="Normal", firstTimestamp="2024-01-02T03:04:05Z", source={"component": "x"}),
    _object("v1", "Endpoints", subsets=[{"addresses": [{"ip": "10.244.0.9", "targetRef": _TARGET}],
            "ports": [{"name": "a", "port": 80, "protocol": "TCP"}]}]),
    _object("discovery.k8s.io/v1", "EndpointSlice", addressType="IPv4",
            endpoints=[{"addresses": ["10.244.0.9"], "conditions": {"ready": True}}],
            ports=[{"name": "a", "port": 80, "protocol": "TCP"}]),
    _object("networking.k8s.io/v1", "Ingress", spec={"ingressClassName": "web",
            "tls": [{"hosts": ["a.example"], "secretName": "web"}],
            "rules": [{"host": "a.example", "http": {"paths": [
                {"path": "/", "pathType": "Prefix", "backend": _BACKEND}]}}]}),
    _object("networking.k8s.io/v1", "IngressClass", spec={"controller": "example/x"}),
    _object("v1", "ResourceQuota", spec={"hard": {"pods": "4", "requests.cpu": "1"},
            "scopes": ["NotTerminating"], "scopeSelector": {"matchExpressions": [
                {"scopeName": "PriorityClass", "operator": "In", "values": ["high"]}]}}),
    _object("networking.k8s.io/v1", "ServiceCIDR", spec={"cidrs": ["10.112.0.0/16"]}),
    {**_object("networking.k8s.io/v1", "IPAddress", spec={"parentRef": {"group": "a.example",
            "resource": "things", "namespace": "default", "name": "web"}}),
     "metadata": {"name": "10.112.0.9"}},
    _object("rbac.authorization.k8s.io/v1", "Role", rules=[{"apiGroups": [""],
            "resources": ["pods/log"], "resourceNames": ["web"], "verbs": ["get"]}]),
    _object("rbac.authorization.k8s.io/v1", "ClusterRole",
            rules=[{"nonResourceURLs": ["/metrics"], "verbs": ["get"]}],
            aggregationRule={"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]}),
    _object("rbac.authorization.k8s.io/v1", "RoleBinding",
            roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "web"},
            subjects=[{"kind": "ServiceAccount", "name": "default", "namespace": "default"}]),
    _object("rbac.authorization.k8s.io/v1", "ClusterRoleBinding",
            roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "x"},
            subjects=[{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "jane"}]),
    _object("coordination.k8s.io/v1", "Lease", spec={"holderIdentity": "x",
            "leaseDurationSeconds": 40, "renewTime": "2024-01-02T03:04:05.000006Z"}),
]  # fmt: skip
"""A sound object, named web, of every kind."""
JUNK: list[Any] = [
    None, True, -1, 0, 10**20, 1.5, "", "x", "None", "10.96.0.10", "fd00:96::a", [], {}, [None],
    [1], [""], ["x"], [{}], {"a": None}, {"a": {"b": []}}, "ExternalName", "ClusterIP", "NodePort",
    "IPv6", 30001, "\x00", "a" * 300,
]  # fmt: skip
STRAY = ("$patch", "$setElementOrder/ports", "clusterIP", "finalizers", "extra", "ports", "name")


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    entries = value.items() if isinstance(value, dict) else enumerate(value)
    for key, entry in entries:
        yield (*path, key)
        if isinstance(entry, dict | list):
            yield from _paths(entry, (*path, key))


def spoiled(body: dict[str, Any], dice: random.Random) -> dict[str, Any]:
    """The body with a few values replaced, removed or added."""
    body = copy.deepcopy(body)
    for _ in range(dice.randint(1, 3)):
        *path, last = dice.choice(list(_paths(body)))
        parent: Any = body
        for part in path:
            parent = parent[part]
        match dice.choice(("replace", "replace", "remove", "add")):
            case "remove":
                del parent[last]
            case "add" if isinstance(parent, dict):
                parent[dice.choice(STRAY)] = copy.deepcopy(dice.choice(JUNK))
            case _:
                parent[last] = copy.deepcopy(dice.choice(JUNK))
        if not body:
            return body
    return body
