"""The objects every cluster starts with: namespaces, nodes, `kubernetes`, `kube-dns`."""

from __future__ import annotations

from collections.abc import Sequence

from netlab.objects import ipaddresses, priorities, storage, types
from netlab.objects.lab import Lab, Node
from netlab.objects.meta import AnyObject
from netlab.objects.nodelocaldns import node_local_objects
from netlab.objects.ranges import nth_address
from netlab.objects.types import (
    Condition,
    ConfigMap,
    Container,
    Deployment,
    Namespace,
    NodeAddress,
    NodeCondition,
    NodeStatus,
    Quantity,
    Service,
    ServiceCIDR,
    ServiceCIDRStatus,
    ServicePort,
    StorageClass,
)

NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")
DNS_IMAGE = "netlab/dnsmasq"
KUBELET_VERSION = "v1.33.0"


def control_plane_objects(lab: Lab) -> list[AnyObject]:
    """What the control plane creates for itself, in the order of creation."""
    return [
        *(_namespace(name) for name in NAMESPACES),
        *priorities.system_classes(),
        _service_cidr(lab),
        kubernetes_service(lab.service_cidrs),
        _dns_service(lab.service_cidrs),
        _dns_deployment(),
        dns_config(lab),
        _storage_class(),
        *node_local_objects(lab),
    ]


_COREFILE = """\
.:53 {{
    errors
    health {{
       lameduck 5s
    }}
    ready
    kubernetes {domain} in-addr.arpa ip6.arpa {{
       pods insecure
       fallthrough in-addr.arpa ip6.arpa
       ttl 30
    }}
    prometheus :9153
    forward . /etc/resolv.conf {{
       max_concurrent 1000
    }}
    cache 30 {{
       disable success {domain}
       disable denial {domain}
    }}
    loop
    reload
    loadbalance
}}
"""


def corefile(domain: str) -> str:
    """By which the cluster's DNS goes at first, as kubeadm writes it."""
    return _COREFILE.format(domain=domain)


def is_first_corefile(text: str) -> bool:
    """Whether it is as it was at first, for whichever domain."""
    _, found, rest = text.partition("kubernetes ")
    return bool(found) and text == corefile(rest.partition(" ")[0])


def is_peoples(obj: AnyObject) -> bool:
    """Whether it is made once, and is people's from then on: they edit it, and may delete it."""
    return (obj["kind"], obj["metadata"]["name"]) == ("ConfigMap", "coredns")


def dns_config(lab: Lab) -> ConfigMap:
    """The ConfigMap by which people tell the cluster's DNS what to do."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "coredns", "namespace": "kube-system"},
        "data": {"Corefile": corefile(lab.dns.domain)},
    }


def name_servers(lab: Lab) -> tuple[str, ...]:
    """Whom pods ask, in this order: their node's cache, if nodes have one, then kube-dns.

    A resolver turns to the next when the first refuses, which it does at once while nobody answers
    there, or keeps silent.
    """
    return (*lab.dns.node_local, dns_addresses(lab)[0])


def dns_addresses(lab: Lab) -> tuple[str, ...]:
    """The kube-dns Service's addresses: the tenth of each serviceCIDR."""
    return tuple(nth_address(cidr, 10) for cidr in lab.service_cidrs)


def control_planes(nodes: Sequence[Node]) -> tuple[Node, ...]:
    """The nodes at which the API answers: those of that role, or the first one."""
    chosen = tuple(node for node in nodes if node.role == "control-plane")
    return chosen or tuple(sorted(nodes, key=lambda node: node.name)[:1])


API_PORT = 6443
CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
"""The label of its nodes."""


def api_server(lab: Lab) -> str:
    """The URL of the API inside the lab, at the first node of its control plane."""
    node = control_planes(lab.nodes)[0]
    address = (node.external_ips + node.internal_ips)[0]
    return f"https://[{address}]:{API_PORT}" if ":" in address else f"https://{address}:{API_PORT}"


def api_names(lab: Lab, joined: Sequence[Node] = ()) -> list[str]:
    """The names and addresses by which the API is reached from inside the lab, at the control
    plane's nodes of its file and those that have joined."""
    names = ["kubernetes"]
    for part in ("default", "svc", lab.dns.domain):
        names.append(f"{names[-1]}.{part}")
    addresses = [
        address
        for node in (*control_planes(lab.nodes), *control_planes(joined))
        for address in (node.name, *node.internal_ips, *node.external_ips)
    ]
    first = (nth_address(cidr, 1) for cidr in lab.service_cidrs)
    return list(dict.fromkeys((*names, *first, *addresses)))


def api_addresses(lab: Lab) -> frozenset[tuple[str, int]]:
    """Where the API is reached from inside the lab: addresses, and the port at each."""
    nodes = control_planes(lab.nodes)
    own = {(ip, API_PORT) for node in nodes for ip in (*node.internal_ips, *node.external_ips)}
    return frozenset(own | {(nth_address(cidr, 1), 443) for cidr in lab.service_cidrs})


def _namespace(name: str) -> Namespace:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def node_object(node: Node, architecture: str = "amd64") -> types.Node:
    """As a kubelet registers its node; `architecture` is the machine's, in Go's word."""
    role = {CONTROL_PLANE: ""} if node.role == "control-plane" else {}
    registered: types.Node = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": node.name,
            "labels": {
                "beta.kubernetes.io/arch": architecture,
                "beta.kubernetes.io/os": "linux",
                "kubernetes.io/arch": architecture,
                "kubernetes.io/hostname": node.name,
                "kubernetes.io/os": "linux",
                **role,
                **node.labels,
            },
        },
        "spec": {
            "podCIDR": node.pod_cidrs[0],
            "podCIDRs": list(node.pod_cidrs),
        },
    }
    if node.taints:
        registered["spec"]["taints"] = list(node.taints)
    return registered


# type → status, reason and message, as a kubelet words them; `Ready` comes last.
_CONDITIONS = {
    "NetworkUnavailable": (
        "False", "NetworkAsPlanned", "the node's links, addresses and routes are as planned",
    ),
    "MemoryPressure": (
        "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available",
    ),
    "DiskPressure": ("False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    "PIDPressure": ("False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    "Ready": ("True", "KubeletReady", "the node's namespace, routes and rules are in place"),
}  # fmt: skip


def network_available() -> NodeCondition:
    """The condition of a node whose network is as planned, without times."""
    return _condition("NetworkUnavailable", *_CONDITIONS["NetworkUnavailable"])


def network_unavailable(message: str) -> NodeCondition:
    """The condition of a node whose network somebody changed."""
    return _condition("NetworkUnavailable", "True", "NetworkChanged", message)


def ready() -> NodeCondition:
    """The condition of a node that is Ready, without times."""
    return _condition("Ready", *_CONDITIONS["Ready"])


def not_ready(message: str) -> NodeCondition:
    """The condition of a node that is not."""
    return _condition("Ready", "False", "KubeletNotReady", message)


def _condition(kind: str, status: str, reason: str, message: str) -> NodeCondition:
    return {"type": kind, "status": status, "reason": reason, "message": message}


def node_addresses(node: Node) -> list[NodeAddress]:
    """What a node's status says of where it is."""
    return [
        *(_address("InternalIP", address) for address in node.internal_ips),
        *(_address("ExternalIP", address) for address in node.external_ips),
        _address("Hostname", node.name),
    ]


def _address(kind: str, address: str) -> NodeAddress:
    return {"type": kind, "address": address}


PODS = 1100
"""How many a node takes: a thousand, and those of the system."""


def capacity(*, cpus: int, memory: int, storage: int) -> dict[str, Quantity]:
    """What a node has for pods; `memory` and `storage` are in KiB."""
    return {
        "cpu": str(cpus),
        "ephemeral-storage": f"{storage}Ki",
        "memory": f"{memory}Ki",
        "pods": str(PODS),
    }


def node_status(
    node: Node,
    uid: str,
    *,
    kernel: str,
    os_image: str,
    architecture: str,
    boot_id: str,
    cpus: int,
    memory: int,
    storage: int,
    now: str,
) -> NodeStatus:
    """The status a kubelet reports: addresses, Ready, and what `get nodes -o wide` shows.

    `uid` is the Node object's, `memory` and `storage` are in KiB. All nodes share the machine, so
    each has all of it and was booted with it; what tells machines apart is the node's own.
    """
    return {
        "addresses": node_addresses(node),
        "conditions": _node_conditions(now),
        "capacity": capacity(cpus=cpus, memory=memory, storage=storage),
        "allocatable": capacity(cpus=cpus, memory=memory, storage=storage),
        "nodeInfo": {
            "machineID": uid.replace("-", ""),
            "systemUUID": uid,
            "bootID": boot_id,
            "kubeletVersion": KUBELET_VERSION,
            "kubeProxyVersion": KUBELET_VERSION,
            "kernelVersion": kernel,
            "osImage": os_image,
            "containerRuntimeVersion": "netlab://0.1",
            "operatingSystem": "linux",
            "architecture": architecture,
        },
    }


def _node_conditions(now: str) -> list[NodeCondition]:
    return [
        {
            "type": kind,
            "status": status,
            "reason": reason,
            "message": message,
            "lastHeartbeatTime": now,
            "lastTransitionTime": now,
        }
        for kind, (status, reason, message) in _CONDITIONS.items()
    ]


def _service_cidr(lab: Lab) -> ServiceCIDR:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "ServiceCIDR",
        "metadata": {
            "name": ipaddresses.DEFAULT_RANGE,
            "finalizers": [ipaddresses.FINALIZER],
        },
        "spec": {"cidrs": list(lab.service_cidrs)},
    }


def _storage_class() -> StorageClass:
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": "standard", "annotations": {storage.DEFAULT_CLASS: "true"}},
        "provisioner": storage.PROVISIONER,
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "Immediate",
    }


def service_cidr_status(now: str) -> ServiceCIDRStatus:
    """What a control plane says of the range that it was started with."""
    ready: Condition = {
        "type": "Ready",
        "status": "True",
        "reason": "",
        "message": "Kubernetes default Service CIDR is ready",
        "lastTransitionTime": now,
    }
    return {"conditions": [ready]}


def _service(
    cidrs: Sequence[str], name: str, namespace: str, nth: int, ports: list[ServicePort]
) -> Service:
    addresses = [nth_address(cidr, nth) for cidr in cidrs]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "clusterIP": addresses[0],
            "clusterIPs": addresses,
            "ipFamilyPolicy": "PreferDualStack" if len(addresses) > 1 else "SingleStack",
            "ports": ports,
        },
    }


def kubernetes_service(service_cidrs: Sequence[str]) -> Service:
    """default/kubernetes, at the first address of each range: where pods find the API server."""
    service = _service(
        service_cidrs,
        "kubernetes",
        "default",
        1,
        ports=[{"name": "https", "port": 443, "targetPort": 6443, "protocol": "TCP"}],
    )
    service["metadata"]["labels"] = {"component": "apiserver", "provider": "kubernetes"}
    return service


def _dns_service(service_cidrs: Sequence[str]) -> Service:
    service = _service(
        service_cidrs,
        "kube-dns",
        "kube-system",
        10,
        ports=[
            {"name": "dns", "port": 53, "targetPort": 53, "protocol": "UDP"},
            {"name": "dns-tcp", "port": 53, "targetPort": 53, "protocol": "TCP"},
            {"name": "metrics", "port": 9153, "targetPort": 9153, "protocol": "TCP"},
        ],
    )
    service["spec"]["selector"] = {"k8s-app": "kube-dns"}
    service["metadata"]["annotations"] = {
        "prometheus.io/port": "9153",
        "prometheus.io/scrape": "true",
    }
    service["metadata"]["labels"] = {
        "k8s-app": "kube-dns",
        "kubernetes.io/cluster-service": "true",
        "kubernetes.io/name": "CoreDNS",
    }
    return service


def _dns_deployment() -> Deployment:
    container: Container = {
        "name": "dnsmasq",
        "image": DNS_IMAGE,
        "ports": [
            {"name": "dns", "containerPort": 53, "protocol": "UDP"},
            {"name": "dns-tcp", "containerPort": 53, "protocol": "TCP"},
            {"name": "metrics", "containerPort": 9153, "protocol": "TCP"},
        ],
    }
    labels = {"k8s-app": "kube-dns"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "dnsmasq", "namespace": "kube-system", "labels": dict(labels)},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": dict(labels)},
            "template": {
                "metadata": {"labels": dict(labels)},
                "spec": {
                    "containers": [container],
                    "dnsPolicy": "Default",
                    "priorityClassName": "system-cluster-critical",
                    "tolerations": [
                        {"key": "CriticalAddonsOnly", "operator": "Exists"},
                        {"operator": "Exists", "effect": "NoSchedule"},
                    ],
                },
            },
        },
    }
