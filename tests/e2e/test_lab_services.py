"""What Services can be, beside the plain one: each tried with packets from all three sides."""

from __future__ import annotations

import json
import socket
from collections import Counter
from collections.abc import Iterator

import pytest
from e2e.labs import Machine, eventually, machine

from netlab.kernel import netns

pytestmark = pytest.mark.root

MANIFEST = """
apiVersion: netlab/v1
kind: Lab
metadata: {name: svc}
spec:
  nodes: 3
  external: {clients: [{name: client}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: echo}
spec:
  replicas: 3
  selector: {matchLabels: {app: echo}}
  template:
    metadata: {labels: {app: echo}}
    spec:
      containers:
      - name: echo
        image: registry.k8s.io/e2e-test-images/agnhost:2.47
        args: [netexec]
        ports:
        - {name: web, containerPort: 8080}
        - {name: datagrams, containerPort: 8081, protocol: UDP}
---
apiVersion: v1
kind: Service
metadata: {name: both}
spec:
  type: NodePort
  selector: {app: echo}
  ports:
  - {name: http, port: 80, targetPort: web, nodePort: 30080}
  - {name: direct, port: 8080, targetPort: 8080, nodePort: 30081}
  - {name: echo, port: 7, targetPort: datagrams, protocol: UDP, nodePort: 30082}
---
apiVersion: v1
kind: Service
metadata: {name: sticky}
spec:
  selector: {app: echo}
  sessionAffinity: ClientIP
  ports: [{port: 80, targetPort: 8080}]
---
apiVersion: v1
kind: Service
metadata: {name: headless}
spec:
  clusterIP: None
  selector: {app: echo}
  ports: [{name: http, port: 8080}]
---
apiVersion: v1
kind: Service
metadata: {name: nobody}
spec:
  type: NodePort
  selector: {app: nobody}
  ports: [{port: 80, nodePort: 30089}]
---
apiVersion: v1
kind: Pod
metadata: {name: shell}
spec:
  containers: [{name: shell, image: nicolaka/netshoot, command: [sleep, infinity]}]
"""

POD, NODE, CLIENT = "svc.default.shell", "svc.worker001", "svc.client"
NODE_ADDRESS = "172.16.110.11"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with machine(tmp_path_factory.mktemp("services")) as here:
        here.netlab("up", here.lab_file(MANIFEST))
        yield here


@pytest.fixture(scope="module")
def addresses(lab: Machine) -> dict[str, str]:
    """The ClusterIPs by name, and the echo pods' addresses as `pod/NAME`."""
    found = {}
    for obj in json.loads(lab.netlab("get", "svc,pods", "-o", "json").stdout)["items"]:
        if obj["kind"] == "Service":
            found[obj["metadata"]["name"]] = obj["spec"]["clusterIP"]
        elif obj["metadata"].get("labels", {}).get("app") == "echo":
            found[f"pod/{obj['metadata']['name']}"] = obj["status"]["podIP"]
    return found


def datagram(lab: Machine, place: str, address: str, port: int, text: str) -> str:
    """What a UDP server answers, to a client that asks thrice as UDP clients must."""
    with netns.entered(lab.namespace(place)):
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with client:
        client.settimeout(1)
        client.connect((address, port))
        client.send(text.encode())
        return client.recv(1500).decode()


@pytest.mark.parametrize("place", [POD, NODE])
@pytest.mark.parametrize("port", [80, 8080])
def test_ports_lead_to_their_targets(
    lab: Machine, addresses: dict[str, str], place: str, port: int
) -> None:
    assert lab.curl(place, f"{addresses['both']}:{port}/hostname").startswith("echo-")


@pytest.mark.parametrize("port", [30080, 30081])
def test_each_port_has_its_node_port(lab: Machine, port: int) -> None:
    assert lab.curl(CLIENT, f"{NODE_ADDRESS}:{port}/hostname").startswith("echo-")


@pytest.mark.parametrize("place", [POD, NODE])
def test_udp_by_cluster_ip(lab: Machine, addresses: dict[str, str], place: str) -> None:
    assert datagram(lab, place, addresses["both"], 7, "hostname").startswith("echo-")


def test_udp_by_node_port(lab: Machine) -> None:
    assert datagram(lab, CLIENT, NODE_ADDRESS, 30082, "hostname").startswith("echo-")


@pytest.mark.parametrize("place", [POD, NODE])
def test_without_endpoints_a_service_refuses(
    lab: Machine, addresses: dict[str, str], place: str
) -> None:
    with pytest.raises(ConnectionRefusedError):
        lab.connect(place, addresses["nobody"], 80)


def test_without_endpoints_its_node_port_refuses(lab: Machine) -> None:
    with pytest.raises(ConnectionRefusedError):
        lab.connect(CLIENT, NODE_ADDRESS, 30089)


def test_affinity_keeps_a_client_with_its_pod(lab: Machine, addresses: dict[str, str]) -> None:
    """Twelve answers, one pod; without affinity that happens once in 177,147 runs."""
    target = f"{addresses['sticky']}:80/hostname"
    names = Counter(lab.curl(POD, target) for _ in range(12))
    assert len(names) == 1


def test_a_headless_name_answers_with_all_pods(lab: Machine, addresses: dict[str, str]) -> None:
    pods = {ip for name, ip in addresses.items() if name.startswith("pod/")}
    assert len(pods) == 3
    assert lab.resolve(POD, "headless.default.svc.cluster.local") == pods


def test_a_headless_name_follows_its_pods(lab: Machine) -> None:
    """Scaled up and down again, DNS has exactly the pods there are."""
    for count in (5, 3):
        lab.netlab("scale", "deploy/echo", f"--replicas={count}")
        eventually(lambda n=count: len(lab.resolve(POD, "headless.default.svc.cluster.local")) == n)


def test_named_ports_have_srv_records(lab: Machine) -> None:
    found = lab.resolve(POD, "_http._tcp.both.default.svc.cluster.local", "SRV")
    assert len(found) == 1
    assert next(iter(found)).split()[2:] == ["80", "both.default.svc.cluster.local."]


def test_endpoints_that_come_open_the_service(lab: Machine, addresses: dict[str, str]) -> None:
    """Refused, then answered once a pod with the label runs, then refused again."""
    pod = lab.lab_file(
        "apiVersion: v1\nkind: Pod\n"
        "metadata: {name: somebody, labels: {app: nobody}}\n"
        "spec: {containers: [{name: web, image: nginx, ports: [{containerPort: 80}]}]}\n",
        "pod.yaml",
    )
    lab.netlab("apply", "-f", pod)
    eventually(lambda: "nginx" in lab.curl(POD, f"{addresses['nobody']}:80"))
    lab.netlab("delete", "pod", "somebody")

    def refused() -> bool:
        try:
            lab.connect(POD, addresses["nobody"], 80)
        except ConnectionRefusedError:
            return True
        return False

    eventually(refused)


def test_a_deleted_service_is_gone_from_names_and_rules(
    lab: Machine, addresses: dict[str, str]
) -> None:
    lab.netlab("expose", "deploy/echo", "--port=80", "--target-port=8080", "--name=brief")
    eventually(lambda: lab.resolve(POD, "brief.default.svc.cluster.local"))
    assert lab.netlab("rules", "svc/brief").stdout
    lab.netlab("delete", "svc", "brief")
    eventually(lambda: not lab.resolve(POD, "brief.default.svc.cluster.local"))
    eventually(lambda: "brief" not in lab.run_in(NODE, "iptables-save").stdout)


def test_rules_are_on_every_node_alike(lab: Machine) -> None:
    chains = [
        {
            line.split(" ")[1]
            for line in lab.run_in(node, "iptables-save", "-t", "nat").stdout.splitlines()
            if line.startswith("-A KUBE-")
        }
        for node in ("svc.master001", "svc.worker001", "svc.worker002")
    ]
    assert chains[0] == chains[1] == chains[2]
    assert any(name.startswith("KUBE-SVC-") for name in chains[0])


def test_rules_deleted_by_hand_come_back(lab: Machine, addresses: dict[str, str]) -> None:
    def entries() -> int:
        rules = lab.run_in(NODE, "iptables-save", "-t", "nat").stdout
        return rules.count("-A KUBE-SERVICES ")

    before = entries()
    assert before
    lab.run_in(NODE, "iptables", "-t", "nat", "-F", "KUBE-SERVICES")
    eventually(lambda: entries() == before, 6)
    assert lab.curl(NODE, f"{addresses['both']}:80/hostname").startswith("echo-")
