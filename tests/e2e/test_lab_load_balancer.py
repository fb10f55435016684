"""Services of type LoadBalancer, from outside and from inside, in both modes of the proxy."""

from __future__ import annotations

import functools
import json
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e import labs
from e2e.labs import Machine, machine

from netlab.client.sync import Client
from netlab.kernel import lock, netns, paths
from netlab.objects.loadbalancing import ingress_ips

pytestmark = pytest.mark.root

# For each change rules are written on three nodes first, which takes a busy machine its time.
eventually = functools.partial(labs.eventually, seconds=20.0)

MANIFEST = """
apiVersion: netlab/v1
kind: Lab
metadata: {name: lb}
spec:
  nodes: 3
  ipFamilies: [IPv4, IPv6]
  proxyMode: MODE
  external: {clients: [{name: client}, {name: stranger}]}
  loadBalancer: {pool: "172.16.110.200-172.16.110.203, fd00:172:16:110::200/125"}
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
        ports: [{containerPort: 8080}, {containerPort: 8081, protocol: UDP}]
---
apiVersion: v1
kind: Service
metadata: {name: both}
spec:
  type: LoadBalancer
  ipFamilyPolicy: RequireDualStack
  selector: {app: echo}
  ports:
  - {name: http, port: 80, targetPort: 8080}
  - {name: echo, port: 7, targetPort: 8081, protocol: UDP}
---
apiVersion: v1
kind: Service
metadata: {name: local}
spec:
  type: LoadBalancer
  externalTrafficPolicy: Local
  selector: {app: echo}
  ports: [{port: 80, targetPort: 8080}]
---
apiVersion: v1
kind: Service
metadata: {name: guarded}
spec:
  type: LoadBalancer
  loadBalancerSourceRanges: [172.16.110.100/32]
  selector: {app: echo}
  ports: [{port: 80, targetPort: 8080}]
---
apiVersion: v1
kind: Pod
metadata: {name: shell}
spec: {containers: [{name: shell, image: nicolaka/netshoot, command: [sleep, infinity]}]}
"""

CLIENT, STRANGER, POD = "lb.client", "lb.stranger", "lb.default.shell"
NODES = ("lb.master001", "lb.worker001", "lb.worker002")
BOTH, BOTH_V6, LOCAL, GUARDED, FREE = (
    "172.16.110.200",
    "[fd00:172:16:110::200]",
    "172.16.110.201",
    "172.16.110.202",
    "172.16.110.203",
)
EXCLUDED = "node.kubernetes.io/exclude-from-external-load-balancers"


@pytest.fixture(
    scope="module", params=["iptables", pytest.param("nftables", marks=pytest.mark.slow)]
)
def lab(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Machine]:
    with machine(tmp_path_factory.mktemp("lb")) as here:
        here.netlab("up", here.lab_file(MANIFEST.replace("MODE", request.param)))
        yield here


def service(lab: Machine, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(lab.netlab("get", "svc", name, "-o", "json").stdout)
    return found


def ingress(lab: Machine, name: str) -> list[str]:
    entries = service(lab, name)["status"]["loadBalancer"].get("ingress") or []
    return [entry["ip"] for entry in entries]


def announcers(lab: Machine, address: str) -> list[str]:
    """The nodes that have an address on their external link."""
    shown = {node: lab.run_in(node, "ip", "-o", "addr", "show", "eth1").stdout for node in NODES}
    return [node for node, text in shown.items() if f" {address.strip('[]')}/" in text]


def curl_fails(lab: Machine, place: str, target: str) -> bool:
    done = lab.run_in(place, "curl", "-sS", "--max-time", "0.5", f"http://{target}", check=False)
    return done.returncode != 0


def seen_source(lab: Machine, place: str, target: str) -> str:
    """Whom the pod that answers saw."""
    return lab.curl(place, f"{target}/clientip").rpartition(":")[0].strip("[]")


def expose(lab: Machine, name: str) -> None:
    ports = ("--port=80", "--target-port=8080")
    lab.netlab("expose", "deployment", "echo", "--type=LoadBalancer", *ports, f"--name={name}")


def set_label(lab: Machine, node: str, change: str) -> None:
    lab.netlab("label", "node", node.removeprefix("lb."), change)


def test_each_has_an_address_that_one_node_answers_for(lab: Machine) -> None:
    assert ingress(lab, "both") == [BOTH, BOTH_V6.strip("[]")]
    assert (ingress(lab, "local"), ingress(lab, "guarded")) == ([LOCAL], [GUARDED])
    eventually(lambda: all(len(announcers(lab, vip)) == 1 for vip in (BOTH, LOCAL, GUARDED)))
    assert announcers(lab, BOTH) == announcers(lab, BOTH_V6)
    said = lab.netlab("describe", "svc", "both").stdout
    node = announcers(lab, BOTH)[0].removeprefix("lb.")
    assert f"{BOTH} (VIP), {BOTH_V6.strip('[]')} (VIP)\n" in said
    assert f'Assigned IP ["{BOTH}" "{BOTH_V6.strip("[]")}"]\n' in said
    assert f'announcing from node "{node}" with protocol "layer2"\n' in said


@pytest.mark.parametrize("vip", [BOTH, BOTH_V6, GUARDED])
def test_a_client_outside_reaches_every_pod(lab: Machine, vip: str) -> None:
    seen: set[str] = set()

    def all_seen() -> bool:
        seen.add(lab.curl(CLIENT, f"{vip}/hostname"))
        return len(seen) == 3

    eventually(all_seen)


@pytest.mark.parametrize("vip", [BOTH, BOTH_V6, LOCAL])
@pytest.mark.parametrize("place", [POD, *NODES])
def test_so_does_everybody_inside(lab: Machine, place: str, vip: str) -> None:
    for _ in range(4):
        assert lab.curl(place, f"{vip}/hostname").startswith("echo-")


@pytest.mark.parametrize("place", [CLIENT, POD, *NODES])
@pytest.mark.parametrize("vip", [BOTH, BOTH_V6])
def test_datagrams_too(lab: Machine, place: str, vip: str) -> None:
    with netns.entered(lab.namespace(place)):
        asking = socket.socket(socket.AF_INET6 if ":" in vip else socket.AF_INET, socket.SOCK_DGRAM)
    with asking:
        asking.settimeout(1)
        asking.connect((vip.strip("[]"), 7))
        asking.send(b"hostname")
        assert asking.recv(1500).startswith(b"echo-")


def test_local_keeps_the_client_s_address_and_cluster_does_not(lab: Machine) -> None:
    assert seen_source(lab, CLIENT, LOCAL) == "172.16.110.100"
    assert seen_source(lab, STRANGER, LOCAL) == "172.16.110.101"
    assert seen_source(lab, CLIENT, BOTH) != "172.16.110.100"


@pytest.mark.parametrize("place", [CLIENT, POD, *NODES])
def test_nobody_is_seen_with_a_load_balancer_s_address(lab: Machine, place: str) -> None:
    nodes = json.loads(lab.netlab("get", "nodes", "-o", "json").stdout)["items"]
    pods = json.loads(lab.netlab("get", "pods", "-o", "json").stdout)["items"]
    own = {entry["address"] for node in nodes for entry in node["status"]["addresses"]}
    own |= {entry["ip"] for pod in pods for entry in pod["status"]["podIPs"]}
    own |= {f"10.244.{node}.1" for node in range(3)} | {
        f"fd00:10:244{f':{node}' if node else ''}::1" for node in range(3)
    }
    vips = {BOTH, BOTH_V6.strip("[]"), LOCAL, GUARDED}
    assert vips.isdisjoint(own)
    for vip in (BOTH, BOTH_V6):
        for _ in range(6):
            assert seen_source(lab, place, vip) in own


def test_source_ranges_keep_others_out(lab: Machine) -> None:
    assert lab.curl(CLIENT, f"{GUARDED}/hostname").startswith("echo-")
    assert curl_fails(lab, STRANGER, f"{GUARDED}/hostname")
    assert lab.curl(STRANGER, f"{BOTH}/hostname").startswith("echo-")


def test_health_checks_say_where_endpoints_are(lab: Machine) -> None:
    port = service(lab, "local")["spec"]["healthCheckNodePort"]
    for node, address in zip(NODES, ("10.10.11.10", "10.10.11.11", "10.10.11.12"), strict=True):
        answer = json.loads(lab.curl(node, f"{address}:{port}"))
        assert (answer["localEndpoints"] > 0) == (node != "lb.master001")


def test_a_client_follows_an_address_to_another_node(lab: Machine) -> None:
    (first,) = announcers(lab, BOTH)
    assert lab.curl(CLIENT, f"{BOTH}/hostname").startswith("echo-")
    set_label(lab, first, f"{EXCLUDED}=")
    eventually(lambda: announcers(lab, BOTH) not in ([], [first]))
    for vip in (BOTH, BOTH_V6):
        # A connection that is under way just now ends at the node that does not know it.
        eventually(lambda vip=vip: lab.curl(CLIENT, f"{vip}/hostname").startswith("echo-"))
    eventually(lambda: len(announcers(lab, BOTH)) == 1)
    (second,) = announcers(lab, BOTH)
    told = f'announcing from node "{second.removeprefix("lb.")}" with protocol'
    eventually(lambda: told in lab.netlab("get", "events").stdout)  # events are written in a while
    set_label(lab, first, f"{EXCLUDED}-")
    eventually(lambda: announcers(lab, BOTH) == [first])
    eventually(lambda: lab.curl(CLIENT, f"{BOTH}/hostname").startswith("echo-"))


def test_local_is_announced_where_an_endpoint_is(lab: Machine) -> None:
    eventually(lambda: len(announcers(lab, LOCAL)) == 1)  # it may be on its way from a test before
    assert announcers(lab, LOCAL) != ["lb.master001"]
    lab.netlab("scale", "deployment", "echo", "--replicas=0")
    eventually(lambda: announcers(lab, LOCAL) == [])
    eventually(lambda: curl_fails(lab, CLIENT, LOCAL))  # who knows it still sends there
    eventually(lambda: announcers(lab, BOTH) == [])  # nor is what nobody serves at all
    eventually(lambda: curl_fails(lab, CLIENT, BOTH))
    lab.netlab("scale", "deployment", "echo", "--replicas=3")
    lab.netlab("rollout", "status", "deployment", "echo")
    lab.status()  # while endpoints come one by one, the address may go to another node
    eventually(lambda: len(announcers(lab, LOCAL)) == 1)
    assert seen_source(lab, CLIENT, LOCAL) == "172.16.110.100"
    eventually(lambda: lab.curl(CLIENT, f"{BOTH}/hostname").startswith("echo-"))


def test_one_too_many_waits_its_turn(lab: Machine) -> None:
    expose(lab, "fourth")
    expose(lab, "fifth")
    eventually(lambda: ingress(lab, "fourth") == [FREE])
    eventually(lambda: "no available IPs" in lab.netlab("describe", "svc", "fifth").stdout)
    assert " <pending> " in lab.netlab("get", "svc", "fifth").stdout
    assert "service default/fifth: no load balancer address" in lab.netlab("status", code=1).stdout
    lab.netlab("delete", "svc", "fourth")
    eventually(lambda: ingress(lab, "fifth") == [FREE])
    assert lab.curl(CLIENT, f"{FREE}/hostname").startswith("echo-")
    lab.netlab("patch", "svc", "fifth", "-p", '{"spec": {"type": "ClusterIP"}}')
    eventually(lambda: announcers(lab, FREE) == [])
    assert ingress(lab, "fifth") == []
    lab.netlab("delete", "svc", "fifth")


def test_whoever_comes_at_once_is_let_in(lab: Machine) -> None:
    """The node says that it has the address once its rules do: until then nobody is refused."""
    spec = {"type": "LoadBalancer", "selector": {"app": "echo"}}
    early = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "early", "namespace": "default"},
        "spec": {**spec, "ports": [{"port": 80, "targetPort": 8080}]},
    }
    with Client(paths.api_socket(lab.base / "run" / "lb")) as api:
        for _ in range(5):
            lab.run_in(CLIENT, "ip", "neigh", "flush", "all")  # it would go where it was before
            api.create(early)
            eventually(lambda: ingress_ips(api.get("Service", "default", "early")) == (FREE,))
            eventually(lambda: is_let_in(lab))
            api.delete("Service", "default", "early")
            eventually(lambda: announcers(lab, FREE) == [])


def is_let_in(lab: Machine) -> bool:
    """However long he has to knock, nobody may send him away."""
    try:
        lab.connect(CLIENT, FREE, 80, timeout=3)
    except ConnectionRefusedError:
        pytest.fail("the address was announced before there were rules for it")
    except OSError:  # nobody says yet that he has it
        return False
    return True


def test_addresses_outlive_the_controller(lab: Machine) -> None:
    names = ("both", "local", "guarded")
    before = [ingress(lab, name) for name in names]
    places = [announcers(lab, vip) for vip in (BOTH, LOCAL, GUARDED)]
    directory = lab.base / "run" / "lb"
    os.kill(int(paths.controller_pid(directory).read_text()), signal.SIGKILL)
    eventually(lambda: not lock.is_held(paths.controller_pid(directory)))
    assert lab.curl(CLIENT, f"{BOTH}/hostname").startswith("echo-")
    lab.netlab("up", lab.base / "lab.yaml")
    assert [ingress(lab, name) for name in names] == before
    assert [announcers(lab, vip) for vip in (BOTH, LOCAL, GUARDED)] == places
    assert lab.curl(CLIENT, f"{BOTH_V6}/hostname").startswith("echo-")


def with_pool(lab: Machine, pool: str) -> Path:
    text = (lab.base / "lab.yaml").read_text()
    return lab.lab_file(text.replace("172.16.110.200-172.16.110.203", pool), "other.yaml")


def test_pools_may_change_under_a_running_lab(lab: Machine) -> None:
    expose(lab, "fourth")
    expose(lab, "fifth")
    eventually(lambda: ingress(lab, "fourth") == [FREE])
    assert ingress(lab, "fifth") == []
    lab.netlab("up", with_pool(lab, "172.16.110.200-172.16.110.203, 172.16.110.9"))
    assert (ingress(lab, "fourth"), ingress(lab, "fifth")) == ([FREE], ["172.16.110.9"])
    assert lab.curl(CLIENT, "172.16.110.9/hostname").startswith("echo-")
    lab.netlab("delete", "svc", "fifth")
    lab.netlab("up", with_pool(lab, "172.16.110.200-172.16.110.202, 172.16.110.240"))
    assert (ingress(lab, "fourth"), announcers(lab, FREE)) == (["172.16.110.240"], [])
    assert ingress(lab, "both") == [BOTH, BOTH_V6.strip("[]")]
    lab.netlab("delete", "svc", "fourth")


def test_without_a_pool_nobody_answers(lab: Machine) -> None:
    text = (lab.base / "lab.yaml").read_text()
    before = text.index("  loadBalancer:")
    none = text[:before] + "  loadBalancer: {pool: none}" + text[text.index("\n", before) :]
    lab.netlab("up", lab.lab_file(none, "none.yaml"))
    assert [announcers(lab, vip) for vip in (BOTH, BOTH_V6, LOCAL, GUARDED)] == [[]] * 4
    expose(lab, "late")
    assert " <pending> " in lab.netlab("get", "svc", "late").stdout
    lab.status()
    lab.netlab("up", lab.base / "lab.yaml")
    assert (ingress(lab, "both")[0], ingress(lab, "late")) == (BOTH, [FREE])
    assert lab.curl(CLIENT, f"{BOTH}/hostname").startswith("echo-")
    lab.netlab("delete", "svc", "late")
