"""The topologies that come along: each is brought up and holds to its own checks; and on those of
the tutorials what is typed there gives what is printed there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e.labs import TOPOLOGIES, Machine, greeting, machine

pytestmark = pytest.mark.root


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Machine]:
    with machine(tmp_path) as here:
        yield here


def begin(here: Machine, topology: str) -> None:
    """Bring it up, and prove its paths: all of its checks pass."""
    file = TOPOLOGIES / f"{topology}.yaml"
    here.netlab("up", file, timeout=120)
    said = here.netlab("check", timeout=120).stdout.splitlines()
    assert len(said) == file.read_text().count("kind: PathCheck")
    assert all(line.startswith("PASS ") for line in said)


def row(here: Machine, *words: str) -> dict[str, list[str]]:
    """The table of `get`, by the names in its first column."""
    lines = here.netlab("get", *words).stdout.splitlines()[1:]
    return {cells[0]: cells[1:] for cells in (re.split(r"\s{2,}", line) for line in lines)}


def typed(here: Machine, pod: str, line: str) -> str:
    return here.netlab("exec", pod, "--", "sh", "-c", line).stdout


@pytest.mark.parametrize("topology", ["affinity", "external-name", "load-balancer", "single-node"])
def test_each_holds_to_its_checks(here: Machine, topology: str) -> None:
    begin(here, topology)


def test_hostname_deployment_on_docker_desktop(here: Machine) -> None:
    """A textbook's chapter on ClusterIP and NodePort, on one node."""
    begin(here, "tutorial-docker-desktop")
    services = row(here, "svc")
    wanted = ["ClusterIP", "10.107.48.55", "<none>", "8080/TCP"]
    assert services["hostname-svc-clusterip"][:4] == wanted
    wanted = ["NodePort", "10.97.3.254", "<none>", "8080:31906/TCP"]
    assert services["hostname-svc-nodeport"][:4] == wanted
    assert row(here, "nodes", "-o", "wide")["docker-desktop"][4] == "192.168.65.3"
    once = ("--image=alicek106/ubuntu:curl", "--restart=Never", "--", "curl", "10.107.48.55:8080")
    assert "Hello" in here.netlab("run", "-i", "--rm", "once", *once).stdout
    pods = set(row(here, "pods", "-l", "app=webserver"))
    cluster_ip, node_port = "10.107.48.55:8080", "192.168.65.3:31906"
    for asked in (cluster_ip, "hostname-svc-clusterip:8080", node_port, "10.97.3.254:8080"):
        said = typed(here, "debug", f"curl {asked} --silent | grep Hello")
        assert said.strip().startswith("<p>Hello,  ")
        assert greeting(said) in pods


def test_mynapp_on_kubespray(here: Machine) -> None:
    """Affinity, two ports, a node-local DNS, NodePort, LoadBalancer and ExternalName."""
    begin(here, "tutorial-mynapp")
    services = row(here, "svc")
    assert services["mynapp-svc-ext-np"][3] == "80:31111/TCP"
    assert services["mynapp-svc-ext-lb"][2] == "192.168.122.201"
    assert services["mynapp-svc-extname-gl"][:3] == ["ExternalName", "<none>", "www.google.com"]
    assert sorted(typed(here, "nettool", "env | grep ^MYNAPP_SVC_SERVICE_").splitlines()) == [
        "MYNAPP_SVC_SERVICE_HOST=10.233.8.233",
        "MYNAPP_SVC_SERVICE_PORT=80",
    ]
    caches = row(here, "pods", "-n", "kube-system", "-l", "k8s-app=nodelocaldns")
    assert len(caches) == 4
    ask = ("get", "ds", "nodelocaldns", "-n", "kube-system", "-o", "json")
    shown = json.loads(here.netlab(*ask).stdout)
    (container,) = shown["spec"]["template"]["spec"]["containers"]
    assert container["args"][:2] == ["-localip", "169.254.255.10"]
    found = typed(here, "nettool", "nslookup mynapp-svc.default.svc.cluster.local")
    assert re.search(r"Server:\s+169\.254\.255\.10\b", found)
    assert "Address: 10.233.8.233\n" in found
    alias = typed(here, "nettool", "nslookup mynapp-svc-extname-gl")
    assert "canonical name = www.google.com." in alias
    for url in ("http://mynapp-svc", "http://mynapp-svc-mp", "https://mynapp-svc-mp"):
        assert "mynapp-rs-" in typed(here, "nettool", f"curl -sk {url}")
    assert "mynapp-rs-" in here.curl("mynapp.client", "192.168.122.201")
    same = {typed(here, "nettool", "curl -s mynapp-svc-ses-aff") for _ in range(4)}
    assert len(same) == 1


def test_service_nodeport_on_two_networks(here: Machine) -> None:
    """Nodes are asked by internal addresses from within, by external ones from without."""
    begin(here, "tutorial-study")
    services = row(here, "service", "-o", "wide")
    wanted = ["NodePort", "10.103.32.57", "<none>", "8080:30642/TCP"]
    assert services["service-nodeport"][:4] == wanted
    assert services["service-nodeport"][-1] == "app=webserver"
    assert services["clusterip-service"][:2] == ["ClusterIP", "10.106.34.37"]
    endpoints = row(here, "endpoints")["clusterip-service"][0].split(",")
    assert len(endpoints) == 3
    assert {".".join(each.split(".")[:3]) for each in endpoints} == {"172.30.254", "172.30.65"}
    for asked in ("10.10.11.10:30642", "10.10.11.20:30642", "10.106.34.37:8080"):
        assert "Hello," in here.curl("study.master001", asked)
    for asked in ("172.16.110.20:30642", "172.16.110.21:30642"):
        assert "Hello," in here.curl("study.wglee", asked)
    assert "Hello," in here.curl("study.deploy", "172.16.110.10:30642")


def test_httpd_clusterip_service(here: Machine) -> None:
    """Pods by their addresses from a node, and the Service by its name from a pod."""
    begin(here, "tutorial-httpd")
    ip = row(here, "pods", "-o", "wide")["httpd"][4]
    said = here.curl("httpd.controlplane", f"{ip}:8080")
    assert said.strip() == "This version is v1 and hostname is httpd"
    assert row(here, "services")["httpd-clusterip-service"][1] == "10.107.189.63"
    ask = ("exec", "curlpod", "--", "curl", "-s", "httpd-clusterip-service:8080")
    answers = {here.netlab(*ask).stdout.strip() for _ in range(12)}
    pods = set(row(here, "pods", "-l", "app=httpd-replicaset"))
    assert len(answers) > 1
    assert answers <= {f"This version is v1 and hostname is {pod}" for pod in pods}
    assert "hi\n" in here.netlab("logs", "curlpod").stdout
