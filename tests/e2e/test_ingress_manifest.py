"""What people paste to have ingress-nginx: it waits for its certificate, answers, and goes."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

import needs
import pytest
from e2e import manifests
from e2e.ingress_manifest import MANIFEST
from e2e.kubectls import Shell, shell
from e2e.labs import eventually

pytestmark = pytest.mark.root

WAIT = (
    "kubectl wait -n ingress-nginx --for=condition=ready pod "
    "--selector=app.kubernetes.io/component=controller --timeout=120s"
)
ADDRESS = (
    "kubectl get svc -n ingress-nginx ingress-nginx-controller "
    "-o jsonpath='{.status.loadBalancer.ingress[0].ip}'"
)
OUTSIDE = {"external": {"clients": [{"name": "client"}]}}
SHOP = """
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: shop}
spec:
  ingressClassName: nginx
  rules:
  - host: shop.example.com
    http:
      paths:
      - {path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    needs.program("nginx")
    text = manifests.lab("tutorial", **OUTSIDE) + manifests.web() + manifests.service()
    with shell(tmp_path_factory.mktemp("ingress"), text) as opened:
        yield opened


def test_the_manifest_is_applied_answers_and_goes(lab: Shell) -> None:
    applied = lab("kubectl apply -f -", input=MANIFEST)
    assert "calls no admission webhook" in applied
    assert "condition met" in lab(WAIT)
    the_jobs_have_done_their_work(lab)
    the_ingress_answers(lab)
    all_of_it_goes(lab)


def test_netlab_takes_it_as_well(lab: Shell) -> None:
    whole = f"{manifests.lab('tutorial', **OUTSIDE)}---\n{MANIFEST}"
    applied = lab.here.netlab("up", lab.here.lab_file(whole, "whole.yaml"), timeout=120)
    assert "calls no admission webhook" in applied.stderr
    assert "left out" not in applied.stderr
    lab(WAIT)
    the_jobs_have_done_their_work(lab)
    all_of_it_goes(lab)


def the_jobs_have_done_their_work(lab: Shell) -> None:
    eventually(lambda: "No resources" in lab("kubectl get jobs -n ingress-nginx"), 20)
    secret = json.loads(lab("kubectl get secret -n ingress-nginx ingress-nginx-admission -o json"))
    assert b"BEGIN CERTIFICATE" in base64.b64decode(secret["data"]["cert"])
    hook = json.loads(
        lab("kubectl get validatingwebhookconfiguration ingress-nginx-admission -o json")
    )
    assert hook["webhooks"][0]["clientConfig"]["caBundle"] == secret["data"]["ca"]


def the_ingress_answers(lab: Shell) -> None:
    lab("kubectl apply -f -", input=SHOP)
    address = lab(ADDRESS)
    flags = ("-H", "Host: shop.example.com")
    eventually(lambda: "Welcome to nginx" in lab.here.curl("tutorial.client", address, *flags), 20)
    lab("kubectl delete ingress shop")


def all_of_it_goes(lab: Shell) -> None:
    lab("kubectl delete --ignore-not-found -f -", input=MANIFEST)
    left = "clusterroles,clusterrolebindings,validatingwebhookconfigurations,ingressclasses,ns"
    assert "ingress-nginx" not in lab(f"kubectl get {left} -o name")
