"""A CoreDNS that somebody brings along: upstream's manifest, asked beside the cluster's own DNS."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from e2e import manifests
from e2e.labs import Machine, eventually, machine

pytestmark = pytest.mark.root

# As https://github.com/coredns/deployment/blob/master/kubernetes/coredns.yaml.sed has it, by other
# names, for there is a kube-dns already.
COREDNS = """\
apiVersion: v1
kind: ServiceAccount
metadata: {name: coredns, namespace: kube-system}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: "system:coredns"}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "system:coredns"}
subjects: [{kind: ServiceAccount, name: coredns, namespace: kube-system}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: own-coredns, namespace: kube-system}
data:
  Corefile: |
    .:53 {
        errors
        health {
          lameduck 5s
        }
        ready
        kubernetes cluster.local in-addr.arpa ip6.arpa {
          pods insecure
          fallthrough in-addr.arpa ip6.arpa
        }
        rewrite name shop.example.com web.default.svc.cluster.local
        prometheus :9153
        forward . /etc/resolv.conf
        cache 30
        loop
        reload
        loadbalance
    }
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: coredns, namespace: kube-system, labels: {k8s-app: own-dns}}
spec:
  replicas: 2
  selector: {matchLabels: {k8s-app: own-dns}}
  template:
    metadata: {labels: {k8s-app: own-dns}}
    spec:
      serviceAccountName: coredns
      priorityClassName: system-cluster-critical
      dnsPolicy: Default
      containers:
      - name: coredns
        image: coredns/coredns:1.9.4
        args: ["-conf", "/etc/coredns/Corefile"]
        securityContext:
          allowPrivilegeEscalation: false
          capabilities: {add: [NET_BIND_SERVICE], drop: [all]}
          readOnlyRootFilesystem: true
        volumeMounts: [{name: config-volume, mountPath: /etc/coredns, readOnly: true}]
        ports:
        - {containerPort: 53, name: dns, protocol: UDP}
        - {containerPort: 53, name: dns-tcp, protocol: TCP}
        - {containerPort: 9153, name: metrics, protocol: TCP}
        livenessProbe: {httpGet: {path: /health, port: 8080}, initialDelaySeconds: 60}
        readinessProbe: {httpGet: {path: /ready, port: 8181}, periodSeconds: 1}
      volumes:
      - name: config-volume
        configMap: {name: own-coredns, items: [{key: Corefile, path: Corefile}]}
---
apiVersion: v1
kind: Service
metadata: {name: own-dns, namespace: kube-system}
spec:
  selector: {k8s-app: own-dns}
  clusterIP: 10.96.0.53
  ports:
  - {name: dns, port: 53, protocol: UDP}
  - {name: dns-tcp, port: 53, protocol: TCP}
  - {name: metrics, port: 9153, protocol: TCP}
"""

ROLE = """\
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: "system:coredns"}
rules:
- {apiGroups: [""], resources: [endpoints, services, pods, namespaces], verbs: [list, watch]}
- {apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [list, watch]}
"""

SET = """\
---
apiVersion: v1
kind: Service
metadata: {name: set}
spec: {clusterIP: None, selector: {app: set}, ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Pod
metadata: {name: set-0, labels: {app: set}}
spec:
  hostname: set-0
  subdomain: set
  containers: [{name: c, image: nginx, ports: [{containerPort: 80}]}]
"""

OWN, SVC = "10.96.0.53", "default.svc.cluster.local"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with machine(tmp_path_factory.mktemp("own")) as here:
        lab = manifests.lab("own") + manifests.box("box") + SET
        here.netlab("up", here.lab_file(lab), timeout=120)
        here.netlab("create", "service", "clusterip", "web", "--tcp=80:80")
        yield here


def log(here: Machine) -> str:
    return here.netlab("logs", "-n", "kube-system", "deployment/coredns").stdout


def test_without_its_rights_it_is_not_ready_and_says_why(here: Machine) -> None:
    here.netlab("apply", "-f", here.lab_file(COREDNS, "coredns.yaml"))
    user = 'User "system:serviceaccount:kube-system:coredns"'
    eventually(lambda: f"services is forbidden: {user} cannot list" in log(here), 20)
    pods = here.netlab("get", "pods", "-n", "kube-system", "-l", "k8s-app=own-dns").stdout
    assert pods.count("0/1") == 2
    here.netlab("apply", "-f", here.lab_file(ROLE, "role.yaml"))
    here.netlab("rollout", "status", "deployment/coredns", "-n", "kube-system", timeout=60)


def test_it_answers_as_the_clusters_own_does(here: Machine) -> None:
    """Every name and kind that there is: twice the same, but for its order."""
    pod = json.loads(here.netlab("get", "pod", "set-0", "-o", "json").stdout)["status"]["podIP"]
    back = ".".join(reversed(pod.split("."))) + ".in-addr.arpa"
    for name, kind in [
        (f"web.{SVC}", "A"),
        (f"kubernetes.{SVC}", "A"),
        (f"set.{SVC}", "A"),
        (f"set-0.set.{SVC}", "A"),
        (f"_http._tcp.set.{SVC}", "SRV"),
        (f"_https._tcp.kubernetes.{SVC}", "SRV"),
        (f"{pod.replace('.', '-')}.default.pod.cluster.local", "A"),
        ("1.0.96.10.in-addr.arpa", "PTR"),
        (back, "PTR"),
        ("example.com", "A"),
        (f"nosuch.{SVC}", "A"),
        (f"web.{SVC}", "AAAA"),
    ]:
        one = here.ask("own.default.box", name, kind, OWN)
        other = here.ask("own.default.box", name, kind)
        assert one.header.rcode == other.header.rcode, name
        assert {str(r.rdata) for r in one.rr} == {str(r.rdata) for r in other.rr}, name
        assert bool(one.rr) == (name != f"nosuch.{SVC}" and kind != "AAAA")


def test_it_follows_and_rewrites_and_counts(here: Machine) -> None:
    web = here.resolve("own.default.box", f"web.{SVC}")
    assert here.resolve("own.default.box", "shop.example.com", server=OWN) == web
    here.netlab("create", "service", "clusterip", "later", "--tcp=80:80")
    later = f"later.{SVC}"
    eventually(lambda: here.resolve("own.default.box", later, server=OWN))
    said = here.netlab("exec", "box", "--", "curl", "-s", f"{OWN}:9153/metrics").stdout
    assert "coredns_dns_requests_total{" in said and "coredns_cache_misses_total{" in said
