"""Ports of an Ingress controller that lead to Services by TCP and UDP."""

from __future__ import annotations

from collections.abc import Iterator

import needs
import pytest
from e2e.ingresses import controller
from e2e.kubectls import Shell, shell
from e2e.labs import eventually

pytestmark = pytest.mark.root

MAPS = """
---
apiVersion: v1
kind: ConfigMap
metadata: {name: tcp, namespace: ingress-nginx}
data: {"9000": "default/echo:80", "9001": "default/nosuch:80"}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: udp, namespace: ingress-nginx}
data: {"5300": "kube-system/kube-dns:dns"}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: echo}
spec:
  replicas: 2
  selector: {matchLabels: {app: echo}}
  template:
    metadata: {labels: {app: echo}}
    spec: {containers: [{name: echo, image: sysnet4admin/echo-hname}]}
---
apiVersion: v1
kind: Service
metadata: {name: echo}
spec: {selector: {app: echo}, ports: [{port: 80}]}
"""
FLAGS = "        - --{0}-services-configmap=ingress-nginx/{0}\n"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    needs.program("nginx")
    text = controller().replace(
        "        - /nginx-ingress-controller\n",
        "        - /nginx-ingress-controller\n" + FLAGS.format("tcp") + FLAGS.format("udp"),
    )
    with shell(tmp_path_factory.mktemp("streams"), text + MAPS, "ingress") as lab:
        yield lab


def ask(lab: Shell, *argv: str) -> str:
    """What a program says on a node; `{}` in its words is the controller's address."""
    ips = lab("kubectl get pod -n ingress-nginx -o jsonpath='{.items[0].status.podIP}'").strip()
    words = [each.format(ips) for each in argv]
    return lab.here.run_in(f"{lab.lab}.worker001", *words, check=False).stdout


def test_what_leads_nowhere_is_told(lab: Shell) -> None:
    told = "kubectl get events -n ingress-nginx --field-selector involvedObject.kind=ConfigMap"
    eventually(lambda: 'Error getting Service "default/nosuch"' in lab(told))


def test_ports_lead_to_endpoints(lab: Shell) -> None:
    needs.stream_module()
    answers = {ask(lab, "curl", "-s", "http://{}:9000/") for _ in range(6)}
    assert len(answers) == 2 and all(each.startswith("echo-") for each in answers)
    service = "kubernetes.default.svc.cluster.local"
    assert ask(lab, "dig", "+short", "-p", "5300", "@{}", service) == "10.96.0.1\n"
    patch = """-p '{"data": {"9000": null, "9002": "default/echo:80"}}'"""
    lab(f"kubectl patch configmap tcp -n ingress-nginx {patch}")
    eventually(lambda: ask(lab, "curl", "-s", "http://{}:9002/").startswith("echo-"))
    # a worker of before may answer for a moment more
    eventually(lambda: ask(lab, "curl", "-s", "http://{}:9000/") == "")
