"""NodeLocal DNSCache as Kubernetes' addon makes it, by the names that kubespray gives it.

https://github.com/kubernetes/kubernetes/tree/master/cluster/addons/dns/nodelocaldns: a pod on each
node, in the node's own network; a Service beside kube-dns by which the caches reach what is behind
that. Like kubespray's, they do not take kube-dns' own address over: who may not reach his node's
cache asks kube-dns, whose rules are as they were.
"""

from __future__ import annotations

from typing import Any

from netlab.objects.addresses import bracketed
from netlab.objects.lab import Lab
from netlab.objects.meta import AnyObject
from netlab.objects.types import ConfigMap, Container, DaemonSet, Service, ServiceAccount

NAME = "nodelocaldns"
NAMESPACE = "kube-system"
UPSTREAM = "kube-dns-upstream"
IMAGE = "registry.k8s.io/dns/k8s-dns-node-cache:1.25.0"

ADDON = {"addonmanager.kubernetes.io/mode": "Reconcile"}
"""The label of what is as the lab has it, whatever it was before, as Kubernetes' addon manager has
it: https://github.com/kubernetes/kubernetes/tree/master/cluster/addons/addon-manager."""

_SCRAPED = {"prometheus.io/port": "9253", "prometheus.io/scrape": "true"}

_COREFILE = """\
# The nodes' caches go by this, as CoreDNS would; whom {cluster} means, their arguments say.
{domain}:53 {{
    errors
    cache {{
        success 9984 30
        denial 9984 5
    }}
    reload
    loop
    bind {addresses}
    forward . {cluster}
    prometheus :9253
    health {address}:8080
}}
in-addr.arpa:53 ip6.arpa:53 {{
    errors
    cache 30
    reload
    loop
    bind {addresses}
    forward . {cluster}
    prometheus :9253
}}
.:53 {{
    errors
    cache 30
    reload
    loop
    bind {addresses}
    forward . {outside}
    prometheus :9253
}}
"""


def node_local_objects(lab: Lab) -> list[AnyObject]:
    """What a control plane makes for the caches; none in a lab without."""
    if not lab.dns.node_local:
        return []
    return [_account(), _upstream(), _config(lab), _daemon_set(lab), _metrics()]


def holds(found: Any, wanted: Any) -> bool:
    """Whether all that is wanted is in what is found, which may have more: defaults."""
    if isinstance(wanted, dict):
        return all(name in found and holds(found[name], wanted[name]) for name in wanted)
    if isinstance(wanted, list):
        pairs = zip(found, wanted, strict=False)
        return len(found) == len(wanted) and all(holds(one, other) for one, other in pairs)
    return bool(found == wanted)


def _account() -> ServiceAccount:
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {
            "name": NAME,
            "namespace": NAMESPACE,
            "labels": {"kubernetes.io/cluster-service": "true", **ADDON},
        },
    }


def _metrics() -> Service:
    """By which Prometheus finds them all, as the addon has it."""
    labels = {"k8s-app": NAME}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": "node-local-dns",
            "namespace": NAMESPACE,
            "labels": {**labels, **ADDON},
            "annotations": dict(_SCRAPED),
        },
        "spec": {
            "clusterIP": "None",
            "selector": dict(labels),
            "ports": [{"name": "metrics", "port": 9253, "targetPort": 9253, "protocol": "TCP"}],
        },
    }


def _upstream() -> Service:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": UPSTREAM,
            "namespace": NAMESPACE,
            "labels": {
                "k8s-app": "kube-dns",
                "kubernetes.io/cluster-service": "true",
                "kubernetes.io/name": "KubeDNSUpstream",
                **ADDON,
            },
        },
        "spec": {
            "selector": {"k8s-app": "kube-dns"},
            "ports": [
                {"name": "dns", "port": 53, "targetPort": 53, "protocol": "UDP"},
                {"name": "dns-tcp", "port": 53, "targetPort": 53, "protocol": "TCP"},
            ],
        },
    }


def _config(lab: Lab) -> ConfigMap:
    corefile = _COREFILE.format(
        domain=lab.dns.domain,
        addresses=" ".join(lab.dns.node_local),
        address=bracketed(lab.dns.node_local[0]),
        cluster="__PILLAR__CLUSTER__DNS__",
        outside="__PILLAR__UPSTREAM__SERVERS__",
    )
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": NAME, "namespace": NAMESPACE, "labels": dict(ADDON)},
        "data": {"Corefile": corefile},
    }


def _daemon_set(lab: Lab) -> DaemonSet:
    labels = {"k8s-app": NAME}
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": NAME, "namespace": NAMESPACE, "labels": {**labels, **ADDON}},
        "spec": {
            "selector": {"matchLabels": dict(labels)},
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "10%"}},
            "template": {
                "metadata": {"labels": dict(labels), "annotations": dict(_SCRAPED)},
                "spec": {
                    "priorityClassName": "system-node-critical",
                    "serviceAccountName": NAME,
                    "hostNetwork": True,
                    "dnsPolicy": "Default",
                    "tolerations": [
                        {"key": "CriticalAddonsOnly", "operator": "Exists"},
                        {"effect": "NoExecute", "operator": "Exists"},
                        {"effect": "NoSchedule", "operator": "Exists"},
                    ],
                    "containers": [_container(lab)],
                    "volumes": [
                        {
                            "name": "config-volume",
                            "configMap": {
                                "name": NAME,
                                "items": [{"key": "Corefile", "path": "Corefile.base"}],
                            },
                        },
                        {
                            "name": "kube-dns-config",
                            "configMap": {"name": "kube-dns", "optional": True},
                        },
                    ],
                },
            },
        },
    }


def _container(lab: Lab) -> Container:
    return {
        "name": "node-cache",
        "image": IMAGE,
        "args": [
            "-localip",
            ",".join(lab.dns.node_local),
            "-conf",
            "/etc/Corefile",
            "-upstreamsvc",
            UPSTREAM,
        ],
        "ports": [
            {"name": "dns", "containerPort": 53, "protocol": "UDP"},
            {"name": "dns-tcp", "containerPort": 53, "protocol": "TCP"},
            {"name": "metrics", "containerPort": 9253, "protocol": "TCP"},
        ],
        "livenessProbe": {
            "httpGet": {"host": lab.dns.node_local[0], "path": "/health", "port": 8080},
            "initialDelaySeconds": 60,
            "timeoutSeconds": 5,
        },
        "volumeMounts": [
            {"name": "config-volume", "mountPath": "/etc/coredns"},
            {"name": "kube-dns-config", "mountPath": "/etc/kube-dns"},
        ],
    }
