"""hostPorts: a node's ports that lead to its pods, in both modes and both families."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from e2e.labs import Machine, eventually, machine

from netlab.kernel import lock, netns, paths
from netlab.proxy.iptables.parse import parse
from netlab.simulation.iptables import simulate
from netlab.simulation.packet import Packet

pytestmark = pytest.mark.root

LAB = """
apiVersion: netlab/v1
kind: Lab
metadata: {{name: hp}}
spec:
  nodes: 2
  proxyMode: {mode}
  ipFamilies: [IPv4, IPv6]
  external: {{clients: [{{name: client}}]}}
"""

POD = """
---
apiVersion: v1
kind: Pod
metadata: {{name: {name}, labels: {{app: {name}}}}}
spec:
  nodeName: {node}
  terminationGracePeriodSeconds: 1
  containers:
  - name: echo
    image: registry.k8s.io/e2e-test-images/agnhost:2.47
    args: [netexec, --http-port=8080, --udp-port=8080]
    ports: [{{containerPort: 8080, {port}}}]
"""

SIDECAR = """
---
apiVersion: v1
kind: Pod
metadata: {name: sidecar}
spec:
  nodeName: worker001
  terminationGracePeriodSeconds: 1
  initContainers:
  - name: before
    image: busybox
    command: ["true"]
    ports: [{containerPort: 8070, hostPort: 8070}]
  - name: beside
    image: registry.k8s.io/e2e-test-images/agnhost:2.47
    args: [netexec, --http-port=8071, --udp-port=-1]
    restartPolicy: Always
    ports: [{containerPort: 8071, hostPort: 8071}]
  containers:
  - name: echo
    image: registry.k8s.io/e2e-test-images/agnhost:2.47
    args: [netexec, --http-port=8072, --udp-port=-1]
    ports: [{containerPort: 8072, hostPort: 8072}]
"""

OWN = """
---
apiVersion: v1
kind: Pod
metadata: {name: own}
spec:
  nodeName: worker001
  hostNetwork: true
  terminationGracePeriodSeconds: 1
  containers:
  - name: echo
    image: registry.k8s.io/e2e-test-images/agnhost:2.47
    args: [netexec, --http-port=8090, --udp-port=8090]
    ports: [{containerPort: 8090}]
"""

SERVICE = """
---
apiVersion: v1
kind: Service
metadata: {name: first}
spec:
  type: NodePort
  selector: {app: loopback}
  ports: [{port: 80, targetPort: 8080, nodePort: 30090}]
"""

CHECK = """
apiVersion: netlab/v1
kind: PathCheck
metadata: {{name: {name}}}
spec:
  from: {{{sender}}}
  to: {{node: worker001, hostPort: {port}}}
  expect: {{endpoints: [{who}], dnat: {{at: {dnat}}}}}
"""

NODE, OTHER, CLIENT = "hp.worker001", "hp.master001", "hp.client"


IP, IP6, OUTSIDE = "10.10.11.11", "[fd00:10:10:11::11]", "172.16.110.11"
"""Of worker001, whose ports they are."""


@dataclass
class HostPortLab:
    """The lab, and which mode it is in."""

    here: Machine
    mode: str

    def who(self, place: str, host: str, port: int) -> str:
        """Whose host name answers."""
        return self.here.curl(place, f"{host}:{port}/hostname", "-g")

    def who_from(self, pod: str, host: str, port: int) -> str:
        """The same, asked by a pod."""
        argv = ("curl", "-sS", "--max-time", "3", f"http://{host}:{port}/hostname")
        return self.here.netlab("exec", pod, "--", *argv).stdout

    def rules(self) -> str:
        """What portmap's part of the node's rules is."""
        program = ("nft", "list", "ruleset") if self.mode == "nftables" else ("iptables-nft-save",)
        text = self.here.run_in(NODE, *program).stdout
        if self.mode == "nftables":
            return text.partition("table ip cni_hostport")[2].partition("\ntable")[0]
        return "\n".join(line for line in text.splitlines() if "CNI-" in line)


def pod(name: str, port: str) -> str:
    return POD.format(name=name, node="worker001", port=port)


def manifest(mode: str) -> str:
    return (
        LAB.format(mode=mode)
        + pod("loopback", "hostPort: 54323, hostIP: 127.0.0.1")
        + pod("address", f"hostPort: 54323, hostIP: {IP}")
        + pod("datagrams", f"hostPort: 54323, hostIP: {IP}, protocol: UDP")
        + pod("open", "hostPort: 8088")
        + pod("hidden", "hostPort: 30090")
        + pod("taker", "hostPort: 8080")
        + POD.format(name="far", node="master001", port="name: x")
        + OWN
        + SIDECAR
        + SERVICE
    )


@pytest.fixture(
    scope="module", params=["iptables", pytest.param("nftables", marks=pytest.mark.slow)]
)
def lab(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[HostPortLab]:
    with machine(tmp_path_factory.mktemp("host-ports")) as here:
        here.netlab("up", here.lab_file(manifest(request.param)))
        yield HostPortLab(here, request.param)


def test_one_port_is_three_by_address_and_protocol(lab: HostPortLab) -> None:
    assert lab.who(NODE, "127.0.0.1", 54323) == "loopback"
    assert lab.who(NODE, IP, 54323) == "address"
    assert lab.who(OTHER, IP, 54323) == "address"
    with netns.entered(lab.here.namespace(OTHER)):
        asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with asking:
        asking.settimeout(5)
        asking.sendto(b"hostname", (IP, 54323))
        assert asking.recv(100) == b"datagrams"


def test_a_pod_on_the_node_probes_them_as_kubernetes_own_test_does(lab: HostPortLab) -> None:
    """Once over five tries; it is to be the first."""

    def says(command: str) -> str:
        done = lab.here.netlab("exec", "own", "--", "/bin/sh", "-c", command)
        return done.stdout

    curl = "curl -g --connect-timeout 5"
    assert says(f"{curl} --interface {IP} http://127.0.0.1:54323/hostname") == "loopback"
    assert says(f"{curl} http://{IP}:54323/hostname") == "address"
    says(f"nc -vuz -w 5 {IP} 54323")


def test_init_containers_have_their_ports_to_themselves(lab: HostPortLab) -> None:
    """A kubelet has those of `containers` mapped; a sidecar's is claimed all the same."""
    assert lab.who(OTHER, IP, 8072) == "sidecar"
    for port in (8070, 8071):
        with pytest.raises(subprocess.CalledProcessError):
            lab.who(OTHER, IP, port)
    for port, phase in (8070, "Running"), (8071, "Failed"):
        name = f"late-{port}"
        late = lab.here.lab_file(pod(name, f"hostPort: {port}"), "late.yaml")
        lab.here.netlab("apply", "-f", late)
        lab.here.netlab("wait", f"--for=jsonpath={{.status.phase}}={phase}", "pod", name)
        lab.here.netlab("delete", "pod", name)


def test_a_port_of_no_address_is_one_of_all_in_both_families(lab: HostPortLab) -> None:
    for place, host in (
        (NODE, "127.0.0.1"), (NODE, IP), (OTHER, IP), (CLIENT, OUTSIDE),
        (NODE, IP6), (OTHER, IP6),
    ):  # fmt: skip
        assert (place, host, lab.who(place, host, 8088)) == (place, host, "open")


def test_checks_know_who_is_behind_a_host_port(lab: HostPortLab) -> None:
    good = [
        CHECK.format(
            name="outside", sender="client: client", port=8088, who="open", dnat="worker001"
        ),
        CHECK.format(name="inside", sender="pod: far", port=54323, who="address", dnat="worker001"),
        CHECK.format(name="own", sender="node: master001", port=8090, who=f"{IP}", dnat="none"),
    ]
    said = lab.here.netlab("check", lab.here.lab_file("---".join(good), "good.yaml")).stdout
    assert [line.split(":")[0] for line in said.splitlines()] == [
        "PASS outside", "PASS inside", "PASS own",
    ]  # fmt: skip
    wrong = CHECK.format(name="w", sender="client: client", port=8088, who="address", dnat="none")
    said = lab.here.netlab("check", lab.here.lab_file(wrong, "wrong.yaml"), code=1).stdout
    assert "open" in said


def test_pods_of_the_node_come_back_to_it(lab: HostPortLab) -> None:
    assert lab.who_from("loopback", IP, 8088) == "open"
    assert lab.who_from("open", IP, 8088) == "open"


def test_nobody_else_s_packets_are_taken(lab: HostPortLab) -> None:
    """Of a pod elsewhere that listens on the number of a host port here."""
    far = lab.here.netlab("get", "pod", "far", "-o", "jsonpath={.status.podIP}").stdout.strip()
    assert lab.who_from("open", far, 8080) == "far"


def test_on_paper_packets_go_the_same_ways(lab: HostPortLab) -> None:
    if lab.mode == "nftables":
        return
    ruleset = parse(lab.here.run_in(NODE, "iptables-nft-save").stdout, complete=True)
    own = frozenset({IP, OUTSIDE})
    pods = json.loads(lab.here.netlab("get", "pods", "-o", "json").stdout)["items"]
    names = {pod["status"]["podIP"]: pod["metadata"]["name"] for pod in pods}
    ways = (
        ("127.0.0.1", "127.0.0.1", 54323, "OUTPUT", "loopback"),
        (IP, IP, 54323, "OUTPUT", "address"),
        ("10.10.11.10", IP, 54323, "PREROUTING", "address"),
        ("172.16.110.100", OUTSIDE, 8088, "PREROUTING", "open"),
        ("10.10.11.10", IP, 30090, "PREROUTING", "loopback"),
    )
    for source, destination, port, entry, name in ways:
        sent = Packet(source, destination, "tcp", port, local=own)
        for outcome in simulate(ruleset, sent, entry=entry):
            assert outcome.verdict == "ACCEPT" and not outcome.unknown
            assert outcome.endpoint and names[outcome.endpoint[0]] == name


def test_a_pod_on_its_node_s_network_listens_there(lab: HostPortLab) -> None:
    for place, host in ((NODE, "127.0.0.1"), (OTHER, IP), (CLIENT, OUTSIDE), (OTHER, IP6)):
        assert (place, lab.who(place, host, 8090)) == (place, "worker001")


def test_a_node_port_goes_before_or_after(lab: HostPortLab) -> None:
    """In nftables mode that table goes first which was made last, as upstream."""
    assert lab.who(OTHER, IP, 30090) == ("hidden" if lab.mode == "nftables" else "loopback")


def test_a_port_that_is_taken_fails_the_pod_that_is_bound_there(lab: HostPortLab) -> None:
    lab.here.netlab("apply", "-f", lab.here.lab_file(pod("late", "hostPort: 8088"), "late.yaml"))

    def status() -> dict[str, Any]:
        return json.loads(lab.here.netlab("get", "pod", "late", "-o", "json").stdout)["status"]

    eventually(lambda: status().get("phase") == "Failed")
    assert status()["reason"] == "NodePorts"
    why = "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports"
    assert status()["message"] == f"Pod was rejected: {why}"
    assert lab.who(OTHER, IP, 8088) == "open"
    lab.here.netlab("delete", "pod", "late")


def test_a_flush_is_mended(lab: HostPortLab) -> None:
    before = lab.rules()
    flush = ("iptables-nft", "-t", "nat", "-F")
    if lab.mode == "nftables":
        flush = ("nft", "flush", "table", "ip", "cni_hostport")
    lab.here.run_in(NODE, *flush)
    eventually(lambda: lab.rules() == before)
    assert lab.who(OTHER, IP, 8088) == "open"


def test_ports_outlive_the_controller(lab: HostPortLab) -> None:
    before = lab.rules()
    pid = paths.controller_pid(lab.here.base / "run" / "hp")
    os.kill(int(pid.read_text()), signal.SIGKILL)
    eventually(lambda: not lock.is_held(pid))
    assert lab.who(OTHER, IP, 8088) == "open"
    lab.here.netlab("up", lab.here.base / "lab.yaml")
    test_a_node_port_goes_before_or_after(lab)
    assert sorted(lab.rules().splitlines()) == sorted(before.splitlines())
    assert lab.who(OTHER, IP, 8088) == "open"


def test_ports_go_with_their_pods(lab: HostPortLab) -> None:
    assert lab.rules()
    lab.here.netlab("delete", "pod", "open")
    with pytest.raises(subprocess.CalledProcessError):
        lab.who(OTHER, IP, 8088)
    assert "dport 54323 " in lab.rules() and "dport 8088 " not in lab.rules()  # nor part of a hash
    assert lab.who(OTHER, IP, 54323) == "address"
    lab.here.netlab("delete", "pod", "--all")
    assert not lab.rules()
