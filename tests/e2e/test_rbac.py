"""Roles as their readers use them: kubectl on one side, what runs in pods on the other."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from e2e.kubectls import Shell, installed, shell

pytestmark = pytest.mark.root

LAB = """
apiVersion: netlab/v1
kind: Lab
metadata: {name: tutorial}
spec: {nodes: 2}
---
apiVersion: v1
kind: Pod
metadata: {name: box}
spec:
  containers: [{name: box, image: busybox, command: [sleep, infinity]}]
"""
ME = "system:serviceaccount:default:default"
PYTHON = """
import json, os, ssl, urllib.request
place = '/var/run/secrets/kubernetes.io/serviceaccount/'
host, port = (os.environ['KUBERNETES_SERVICE_' + part] for part in ('HOST', 'PORT'))
context = ssl.create_default_context(cafile=place + 'ca.crt')
request = urllib.request.Request(f'https://{host}:{port}/api/v1/namespaces/default/pods')
request.add_header('Authorization', 'Bearer ' + open(place + 'token').read())
try:
    answer = urllib.request.urlopen(request, context=context)
    print([pod['metadata']['name'] for pod in json.load(answer)['items']])
except urllib.error.HTTPError as error:
    print(error.code, json.load(error)['message'])
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    with shell(tmp_path_factory.mktemp("rbac"), LAB) as opened:
        yield opened


@pytest.fixture
def lab(running: Shell) -> Iterator[Shell]:
    """The lab, and afterwards no role but those of the beginning."""
    yield running
    running("kubectl delete role,rolebinding --all")
    running("kubectl delete clusterrole,clusterrolebinding -l test=yes")


def test_a_client_in_a_pod_may_nothing_and_then_what_it_was_given(lab: Shell) -> None:
    (lab.directory / "client.py").write_text(PYTHON)
    run = 'kubectl exec box -- python3 -c "$(cat client.py)"'
    assert lab(run) == (
        f'403 pods is forbidden: User "{ME}" cannot list resource "pods" in API group "" in the '
        'namespace "default"\n'
    )
    lab("kubectl create role reader --verb=get,list --resource=pods")
    lab("kubectl create rolebinding readers --role=reader --serviceaccount=default:default")
    assert lab(run) == "['box']\n"
    lab("kubectl delete rolebinding readers")
    assert lab(run).startswith("403 ")


def test_kubectl_in_a_pod_is_its_account(lab: Shell) -> None:
    *_, latest = installed().values()
    lab(f"kubectl cp {latest.resolve()} box:/usr/local/bin/kubectl")  # the machine may have none
    done = lab.run("kubectl exec box -- kubectl get pods")
    assert f'pods is forbidden: User "{ME}" cannot list resource "pods"' in done.stdout
    lab("kubectl create rolebinding editors --clusterrole=edit --serviceaccount=default:default")
    assert "box" in lab("kubectl exec box -- kubectl get pods")
    lab("kubectl exec box -- kubectl run more --image nginx")
    lab("kubectl wait --for=condition=Ready pod/more --timeout=20s")
    assert lab("kubectl exec box -- kubectl exec more -- hostname") == "more\n"
    assert lab("kubectl exec box -- kubectl delete pod more --now") == 'pod "more" deleted\n'
    done = lab.run("kubectl exec box -- kubectl get nodes")
    assert 'cannot list resource "nodes" in API group "" at the cluster scope' in done.stdout
    done = lab.run(
        "kubectl exec box -- kubectl create rolebinding mine --clusterrole=cluster-admin "
        "--serviceaccount=default:default"
    )
    assert 'cannot create resource "rolebindings"' in done.stdout


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("list pods", "no"),
        ("get pods", "yes"),
        ("get pods/log", "yes"),
        ("create pods/exec", "no"),
        ("get pods --subresource=log -n kube-system", "no"),
        ("get configmaps/one", "yes"),
        ("get configmaps/two", "no"),
        ("get /healthz", "yes"),
        ("get /metrics", "no"),
        ("create selfsubjectreviews.authentication.k8s.io", "yes"),
    ],
)
def test_can_i_is_true_to_it(lab: Shell, question: str, answer: str) -> None:
    lab("kubectl create role some --verb=get --resource=pods,pods/log")
    lab("kubectl create rolebinding some --role=some --user=jane")
    lab("kubectl create role one --verb=get --resource=configmaps --resource-name=one")
    lab("kubectl create rolebinding one --role=one --group=dev")
    done = lab.run(f"kubectl auth can-i {question} --as jane --as-group dev 2>/dev/null")
    assert (done.stdout.strip(), done.returncode) == (answer, 0 if answer == "yes" else 1)


def test_who_acts_for_another_is_that_other(lab: Shell) -> None:
    said = lab.run("kubectl get pods --as jane")
    assert said.returncode == 1
    assert said.stdout == (
        'Error from server (Forbidden): pods is forbidden: User "jane" cannot list resource "pods" '
        'in API group "" in the namespace "default"\n'
    )
    lab("kubectl create clusterrole lists --verb=list --resource=pods")
    lab("kubectl create clusterrolebinding lists --clusterrole=lists --group=dev")
    lab("kubectl label clusterrole/lists clusterrolebinding/lists test=yes")
    assert "box" in lab("kubectl get pods --as jane --as-group dev")
    assert "box" in lab("kubectl get pods -A --as jane --as-group dev")
    assert lab.run("kubectl get pods --as jane -w").returncode == 1
    for verb in ("logs box", "exec box -- true", "port-forward box :80", "delete pod box"):
        done = lab.run(f"kubectl --as jane --as-group dev {verb}")
        assert done.returncode == 1
        assert "(Forbidden)" in done.stdout or "forbidden" in done.stdout
    assert "Username    jane" in lab("kubectl auth whoami --as jane")


def test_roles_gather_the_rules_of_others(lab: Shell) -> None:
    lab("kubectl apply -f -", """
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: lab-secrets
  labels: {test: "yes", rbac.authorization.k8s.io/aggregate-to-view: "true"}
rules: [{apiGroups: [""], resources: [secrets], verbs: [list]}]
""")  # fmt: skip
    lab("kubectl create rolebinding viewers --clusterrole=view --user=jane")
    lab(
        "kubectl wait clusterrole/view --timeout=10s --for="
        "jsonpath='{.rules[?(@.resources[0]==\"secrets\")].verbs[0]}'=list"
    )
    assert lab("kubectl get secrets --as jane 2>&1") == "No resources found in default namespace.\n"


def test_the_lab_s_own_certificate_stays_its_administrator_s(lab: Shell) -> None:
    lab("kubectl delete clusterrolebinding cluster-admin")
    assert "box" in lab("kubectl get pods")
    assert lab("kubectl auth can-i '*' '*'") == "yes\n"
    said = lab("kubectl auth whoami")
    assert re.search(r"^Username +netlab-admin$", said, re.MULTILINE)
    assert "system:masters system:authenticated" in said
    lab("kubectl create clusterrolebinding cluster-admin --clusterrole=cluster-admin "
        "--group=system:masters")  # fmt: skip
    assert "No resources found" in lab.here.netlab("get", "roles").stderr
