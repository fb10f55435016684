"""What becomes of connections under way, by kube-proxy's settings, rules and clean-up."""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Callable, Iterator

import pytest
from e2e.labs import Machine, eventually, machine

from netlab.kernel import netns

pytestmark = pytest.mark.root

LAB = """
apiVersion: netlab/v1
kind: Lab
metadata: {name: ct}
spec:
  nodes: 2
  external: {clients: [{name: client}]}
  loadBalancer: {pool: 172.16.110.200-172.16.110.201}
---
apiVersion: v1
kind: Service
metadata: {name: datagrams}
spec:
  type: LoadBalancer
  clusterIP: 10.96.7.7
  selector: {app: datagrams}
  externalIPs: [203.0.113.7]
  ports: [{port: 90, targetPort: 8081, protocol: UDP, nodePort: 30090}]
---
apiVersion: v1
kind: Service
metadata: {name: streams}
spec:
  clusterIP: 10.96.7.8
  selector: {app: box}
  ports: [{port: 9000}]
"""

POD = """
---
apiVersion: v1
kind: Pod
metadata: {{name: {name}, labels: {{app: {app}}}}}
spec:
  nodeName: {node}
  terminationGracePeriodSeconds: 1
  containers:
  - name: c
    image: registry.k8s.io/e2e-test-images/agnhost:2.47
    args: [netexec]
    ports: [{ports}]
"""

NODE, OTHER, CLIENT = "ct.master001", "ct.worker001", "ct.client"
CALLER, BOX = "ct.default.caller", "ct.default.box"
NODE_IP, VIP, WORKER_OUTSIDE = "10.10.11.11", "172.16.110.200", "172.16.110.11"


def pod(name: str, node: str, app: str = "none", ports: str = "containerPort: 8080") -> str:
    return POD.format(name=name, node=node, app=app, ports=f"{{{ports}}}")


def backend(name: str) -> str:
    return pod(name, "worker001", "datagrams", "containerPort: 8081, protocol: UDP")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with machine(tmp_path_factory.mktemp("conntrack")) as here:
        box = pod("box", "worker001", "box", "containerPort: 11302, hostPort: 11302")
        here.netlab("up", here.lab_file(LAB + pod("caller", "master001") + box))
        yield here


def test_kube_proxy_tells_of_itself_on_its_node(lab: Machine) -> None:
    assert lab.curl(NODE, "127.0.0.1:10249/proxyMode") == "iptables"
    text = lab.curl(NODE, "127.0.0.1:10249/metrics")
    (total,) = (
        line.split()[1]
        for line in text.splitlines()
        if line.startswith('kubeproxy_sync_proxy_rules_iptables_total{ip_family="IPv4",table="nat"')
    )
    saved = lab.run_in(NODE, "iptables-nft-save", "-t", "nat").stdout.splitlines()
    assert int(total) == sum(line.startswith("-A KUBE-") for line in saved)
    assert '"nodeEligible": true' in lab.curl(CLIENT, f"{WORKER_OUTSIDE}:10256/healthz")


def test_a_connection_half_closed_is_remembered_for_an_hour(lab: Machine) -> None:
    with netns.entered(lab.namespace(BOX)):
        listening = socket.create_server(("0.0.0.0", 11302))
    with netns.entered(lab.namespace(CALLER)):
        calling = socket.create_connection((NODE_IP, 11302), timeout=5)
    with listening, calling:
        accepted, _ = listening.accept()
        accepted.close()
        assert calling.recv(1) == b""
        eventually(lambda: "CLOSE_WAIT" in _entry(lab, 11302))
        assert 3540 < int(_entry(lab, 11302).split()[2]) <= 3600


def _entry(lab: Machine, port: int) -> str:
    argv = ("conntrack", "-L", "-f", "ipv4", "-d", NODE_IP, "-p", "tcp", "--dport", str(port))
    return lab.run_in(NODE, *argv).stdout


def test_what_belongs_to_no_connection_reaches_no_client_by_its_own_address(lab: Machine) -> None:
    """A client would answer it by RST, and its connection to the Service would end."""
    with netns.entered(lab.namespace(BOX)):
        listening = socket.create_server(("0.0.0.0", 9000))
        sending = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    with netns.entered(lab.namespace(CALLER)):
        calling = socket.create_connection(("10.96.7.8", 9000), timeout=5)
        hearing = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
    with listening, calling, sending, hearing:
        accepted, client = listening.accept()
        with accepted:
            here = accepted.getsockname()
            for step in range(5):  # far from any window
                sending.sendto(_segment(here, client, 0x40000000 + step), (client[0], 0))
            time.sleep(0.1)
            accepted.sendall(b"still here")
            assert calling.recv(100) == b"still here"
        hearing.settimeout(0.3)
        sources = set()
        with contextlib.suppress(TimeoutError):
            while True:
                sources.add(hearing.recv(2000)[12:16])
        assert socket.inet_aton("10.96.7.8") in sources
        assert socket.inet_aton(here[0]) not in sources


def _segment(source: tuple[str, int], to: tuple[str, int], sequence: int) -> bytes:
    """An IPv4 packet with a TCP segment (ACK) of that sequence number."""
    tcp = struct.pack("!HHIIBBHHH", source[1], to[1], sequence, 1, 5 << 4, 0x10, 1000, 0, 0)
    addresses = socket.inet_aton(source[0]) + socket.inet_aton(to[0])
    check = _sum(addresses + struct.pack("!BBH", 0, socket.IPPROTO_TCP, len(tcp)) + tcp)
    tcp = tcp[:16] + struct.pack("!H", check) + tcp[18:]
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), 1, 0, 64, socket.IPPROTO_TCP, 0)
    return head + addresses + tcp


def _sum(data: bytes) -> int:
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


WAYS = {
    "cluster IP": (CALLER, ("10.96.7.7", 90)),
    "node port": (CALLER, (NODE_IP, 30090)),
    "node port from outside": (CLIENT, (WORKER_OUTSIDE, 30090)),
    "external IP": (CALLER, ("203.0.113.7", 90)),
    "load balancer": (CLIENT, (VIP, 90)),
}


def test_datagrams_follow_their_endpoints(lab: Machine) -> None:
    """From one port all the time, so that each is a connection that never ends: before there is an
    endpoint, to the first, and to the next once that is gone."""
    with contextlib.ExitStack() as stack:
        asking = {}
        for name, (place, _) in WAYS.items():
            with netns.entered(lab.namespace(place)):
                asking[name] = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            asking[name].settimeout(0.3)
            asking[name].bind(("0.0.0.0", 12345 + len(asking)))
        keeps: Callable[[], dict[str, str]] = lambda: {  # noqa: E731
            name: _who(sock, WAYS[name][1]) for name, sock in asking.items()
        }
        assert set(keeps().values()) == {""}
        lab.netlab("apply", "-f", lab.lab_file(backend("first"), "first.yaml"))
        eventually(lambda: set(keeps().values()) == {"first"})
        lab.netlab("apply", "-f", lab.lab_file(backend("second"), "second.yaml"))
        lab.netlab("delete", "pod", "first")
        eventually(lambda: set(keeps().values()) == {"second"})


def _who(asking: socket.socket, to: tuple[str, int]) -> str:
    """Whose host name answers; "" for nobody's."""
    try:
        asking.sendto(b"hostname", to)
        return asking.recv(100).decode()
    except OSError:
        return ""
