"""Pods, nodes and Services among each other, as Kubernetes' own granular checks dial them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
from e2e.conformance import INTERNAL, WORKERS, Cluster, Space, cluster
from e2e.labs import eventually

pytestmark = pytest.mark.root

PORTS = [
    {"name": "http", "port": 80, "targetPort": 8083, "protocol": "TCP"},
    {"name": "udp", "port": 90, "targetPort": 8081, "protocol": "UDP"},
    {"name": "sctp", "port": 95, "targetPort": 8082, "protocol": "SCTP"},
]
SERVER = ("netexec", "--http-port=8083", "--udp-port=8081", "--sctp-port=8082")
SERVICE_PORTS = {"http": 80, "udp": 90, "sctp": 95}
POD_PORTS = {"http": 8083, "udp": 8081, "sctp": 8082}
PROTOCOLS = pytest.mark.parametrize("protocol", ["http", "udp"])


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("networking")) as it:
        yield it


@pytest.fixture(scope="module")
def space(lab: Cluster) -> Space:
    """A server on each node, a pod that dials, and Services in front."""
    space = lab.space("nettest")
    space.pod("dialler", "netexec", "--http-port=9080", wait=False)
    space.pod("host", hostNetwork=True, node=WORKERS[0], wait=False)
    for node in WORKERS:
        space.pod(f"netserver-{node}", *SERVER, node=node, labels={"app": "nettest"})
    space.service("nettest", PORTS, type="NodePort")
    sticky = {"selector": {"app": "nettest"}, "sessionAffinity": "ClientIP", "type": "NodePort"}
    space.service("sticky", PORTS, **sticky)
    eventually(lambda: space.ready("dialler") and space.ready("host"))
    for service in ("nettest", "sticky"):
        space.serving(service, {server: [8081, 8082, 8083] for server in SERVERS})
    return space


SERVERS = {f"netserver-{node}" for node in WORKERS}


def node_port(space: Space, service: str, protocol: str) -> int:
    ports = space.get("Service", service)["spec"]["ports"]
    return int({port["name"]: port["nodePort"] for port in ports}[protocol])


def dial(
    space: Space,
    host: str,
    port: int,
    protocol: str,
    request: str = "hostname",
    by: str = "dialler",
) -> set[str]:
    """What agnhost in a pod hears when it asks there a dozen times."""
    own = 9080 if by == "dialler" else 8083
    query = {"host": host, "port": port, "protocol": protocol, "request": request, "tries": 12}
    said = json.loads(space.says(by, f"curl -s 'http://127.0.0.1:{own}/dial?{urlencode(query)}'"))
    return set(said.get("responses", ()))


def from_node(space: Space, host: str, port: int, protocol: str) -> set[str]:
    """What a node hears."""
    one = f"curl -s --max-time 5 --connect-timeout 1 http://{host}:{port}/hostname; echo"
    if protocol == "udp":
        datagram = f"exec 3<>/dev/udp/{host}/{port}; echo hostname >&3; timeout 0.2 cat <&3"
        one = f"bash -c '{datagram}' 2>&1 | grep -v refused; echo"
    return set(space.says("host", f"for i in $(seq 12); do {one}; done").split())


@pytest.mark.parametrize("protocol", ["http", "udp", "sctp"])
@pytest.mark.parametrize("by", ["dialler", f"netserver-{WORKERS[0]}"])
def test_pods_and_endpoints_reach_a_service(space: Space, by: str, protocol: str) -> None:
    cluster_ip = space.get("Service", "nettest")["spec"]["clusterIP"]
    for host, port in (
        (cluster_ip, SERVICE_PORTS[protocol]),
        (INTERNAL[WORKERS[0]], node_port(space, "nettest", protocol)),
    ):
        eventually(lambda host=host, port=port: dial(space, host, port, protocol, by=by) == SERVERS)


@PROTOCOLS
def test_nodes_reach_a_service(space: Space, protocol: str) -> None:
    cluster_ip = space.get("Service", "nettest")["spec"]["clusterIP"]
    for host, port in (
        (cluster_ip, SERVICE_PORTS[protocol]),
        (INTERNAL[WORKERS[0]], node_port(space, "nettest", protocol)),
    ):
        eventually(lambda host=host, port=port: from_node(space, host, port, protocol) == SERVERS)


@PROTOCOLS
def test_pods_and_nodes_reach_pods(space: Space, protocol: str) -> None:
    for server in SERVERS:
        address, port = space.get("Pod", server)["status"]["podIP"], POD_PORTS[protocol]
        assert dial(space, address, port, protocol) == {server}
        assert from_node(space, address, port, protocol) == {server}


@PROTOCOLS
def test_a_client_stays_with_one_endpoint(space: Space, protocol: str) -> None:
    cluster_ip = space.get("Service", "sticky")["spec"]["clusterIP"]
    assert len(dial(space, cluster_ip, SERVICE_PORTS[protocol], protocol)) == 1


@pytest.mark.parametrize(
    ("protocol", "request_", "answer"),
    [
        ("http", "echo?msg=" + "42" * 1000, "42" * 1000),
        ("udp", "echo n" + "o" * 1999, "n" + "o" * 1999),
    ],
)
def test_large_requests(space: Space, protocol: str, request_: str, answer: str) -> None:
    cluster_ip = space.get("Service", "nettest")["spec"]["clusterIP"]
    assert dial(space, cluster_ip, SERVICE_PORTS[protocol], protocol, request_) == {answer}


def test_two_services_of_the_same_pods(space: Space) -> None:
    for name in ("first", "second"):
        space.service(name, PORTS, selector={"app": "nettest"}, type="NodePort")
    second = space.get("Service", "second")["spec"]["clusterIP"]
    gone = node_port(space, "first", "http"), node_port(space, "first", "udp")
    node = INTERNAL[WORKERS[0]]
    eventually(lambda: dial(space, second, 80, "http") == SERVERS)
    eventually(lambda: from_node(space, node, gone[0], "http") == SERVERS)
    space.delete("Service", "first")
    for port, protocol in zip(gone, ("http", "udp"), strict=True):
        eventually(lambda p=port, q=protocol: from_node(space, node, p, q) == set())
    assert dial(space, node, node_port(space, "second", "http"), "http") == SERVERS


@PROTOCOLS
def test_endpoints_are_replaced(lab: Cluster, protocol: str) -> None:
    space = lab.space("update")
    space.pod("dialler", "netexec", "--http-port=9080", wait=False)
    names = space.deployment("nettest", *SERVER, replicas=2, labels={"app": "nettest"})
    svc = space.service("nettest", PORTS)
    address, port = svc["spec"]["clusterIP"], SERVICE_PORTS[protocol]
    eventually(lambda: space.ready("dialler"))
    eventually(lambda: dial(space, address, port, protocol) == set(names))
    space.delete("Pod", names[0], grace_period=0)
    labels = {"app": "nettest"}
    eventually(lambda: len(space.pods(labels)) == 2 and all(map(space.ready, space.pods(labels))))
    eventually(lambda: dial(space, address, port, protocol) == set(space.pods(labels)))


def test_paths_of_the_api(lab: Cluster) -> None:
    for path in ("/healthz", "/api", "/apis", "/metrics", "/openapi/v2", "/version"):
        assert lab.shell(f"kubectl get --raw {path}")
    told = lab.shell("kubectl get --raw '/readyz?verbose&exclude=etcd'")
    assert "[+]ping ok\n" in told and "[+]etcd excluded: ok\n" in told
    assert told.endswith("readyz check passed\n")


def test_ports_of_kube_proxy(space: Space) -> None:
    health = space.says("host", "curl -si http://localhost:10256/healthz")
    assert "200 OK" in health
    assert "lastUpdated" in health
    code = "curl -s -o /dev/null -w '%{http_code}' http://localhost:10249/proxyMode"
    assert space.says("host", code) == "200"


def test_endpoints_in_the_network_of_nodes(lab: Cluster) -> None:
    space = lab.space("hostnet")
    space.pod("dialler", "netexec", "--http-port=9080", wait=False)
    space.pod("host", hostNetwork=True, node=WORKERS[0], wait=False)
    addresses = "--udp-listen-addresses=$(HOST_IP),$(POD_IPS)"
    fields = {"HOST_IP": "status.hostIP", "POD_IPS": "status.podIPs"}
    env = [
        {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}
        for name, path in fields.items()
    ]
    for node in WORKERS:
        args = (*SERVER, addresses)
        labels = {"app": "nettest"}
        space.pod(node, *args, node=node, labels=labels, hostNetwork=True, container={"env": env})
    # a node's network is not its pods', whose SCTP by packets therefore has no raw sockets there
    ports = [each for each in PORTS if each["protocol"] != "SCTP"]
    address = space.service("nettest", ports, type="NodePort")["spec"]["clusterIP"]
    space.serving("nettest", {node: [8081, 8083] for node in WORKERS})
    eventually(lambda: space.ready("dialler") and space.ready("host"))
    for protocol, port in (("http", 80), ("udp", 90)):
        places = (
            (address, port),
            (INTERNAL[WORKERS[0]], node_port(space, "nettest", protocol)),
        )
        for host, number in places:
            assert dial(space, host, number, protocol) == set(WORKERS)
            assert from_node(space, host, number, protocol) == set(WORKERS)
