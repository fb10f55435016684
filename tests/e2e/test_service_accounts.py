"""What a pod finds of the API: its Service, its certificate, its token; and what that is worth."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from e2e.kubectls import Shell, shell
from e2e.labs import eventually

from netlab.kernel import paths

pytestmark = pytest.mark.root

LAB = """
apiVersion: netlab/v1
kind: Lab
metadata: {name: tutorial}
spec:
  nodes: [{name: master001, role: control-plane}, {name: worker001}, {name: worker002}]
---
apiVersion: v1
kind: Pod
metadata: {name: box}
spec:
  nodeName: worker001
  containers: [{name: box, image: busybox, command: [sleep, infinity]}]
---
apiVersion: v1
kind: Pod
metadata: {name: page}
spec:
  nodeName: worker002
  containers: [{name: page, image: nginx}]
---
apiVersion: v1
kind: Pod
metadata: {name: beside}
spec:
  nodeName: master001
  containers: [{name: beside, image: busybox, command: [sleep, infinity]}]
---
apiVersion: v1
kind: Pod
metadata: {name: without}
spec:
  automountServiceAccountToken: false
  containers: [{name: without, image: busybox, command: [sleep, infinity]}]
---
apiVersion: netlab/v1
kind: PathCheck
metadata: {name: pod-to-api}
spec:
  from: {pod: box}
  to: {service: kubernetes, port: 443, by: name}
  expect: {dnat: {at: sender}}
"""
PLACE = "/var/run/secrets/kubernetes.io/serviceaccount"
ASK = (
    f"curl -sS --max-time 10 --cacert {PLACE}/ca.crt "
    f'-H "Authorization: Bearer $(cat {PLACE}/token)" https://kubernetes.default.svc'
)
WHOAMI = "/apis/authentication.k8s.io/v1/selfsubjectreviews"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    with shell(tmp_path_factory.mktemp("accounts"), LAB) as opened:
        yield opened


def within(lab: Shell, pod: str, line: str) -> str:
    """What a command line says in a pod."""
    (lab.directory / "line").write_text(line)
    return lab(f'kubectl exec {pod} -- sh -c "$(cat line)"')


def asked(lab: Shell, pod: str, path: str, flags: str = "") -> Any:
    """The API's answer to a pod with its own token."""
    return json.loads(within(lab, pod, f"{ASK}{path} {flags}"))


def test_the_service_leads_to_the_control_plane(lab: Shell) -> None:
    out = lab("kubectl get endpoints kubernetes -o jsonpath={.subsets[*].addresses[*].ip} 2>&1")
    assert out.endswith("172.16.110.10")  # as a cluster whose nodes have a link that leads out
    assert "10.96.0.1" in within(lab, "box", "env | grep KUBERNETES_SERVICE_HOST")


def test_the_way_to_it_is_that_of_a_service(lab: Shell) -> None:
    said = lab.here.netlab("check").stdout
    assert said.startswith("PASS pod-to-api: reachable")
    assert "DNAT to 172.16.110.10:6443" in said


@pytest.mark.parametrize("pod", ["box", "page", "beside", "without"])
def test_a_stranger_is_told_so(lab: Shell, pod: str) -> None:
    status = json.loads(within(lab, pod, "curl -sk --max-time 10 https://kubernetes"))
    assert (status["code"], status["reason"]) == (403, "Forbidden")
    assert status["message"] == 'forbidden: User "system:anonymous" cannot get path "/"'
    version = json.loads(within(lab, pod, "curl -sk --max-time 10 https://kubernetes/version"))
    assert version["minor"] == "33"
    refused = within(lab, pod, "curl -sk -H 'Authorization: Bearer x' https://kubernetes/version")
    assert json.loads(refused)["message"] == "Unauthorized"


@pytest.mark.parametrize("pod", ["box", "page", "beside"])
def test_a_pod_has_what_its_client_looks_for(lab: Shell, pod: str) -> None:
    assert within(lab, pod, f"cat {PLACE}/namespace") == "default"
    user = asked(lab, pod, WHOAMI, "-X POST -d '{}' -H Content-Type:application/json")
    info = user["status"]["userInfo"]
    assert info["username"] == "system:serviceaccount:default:default"
    assert info["extra"]["authentication.kubernetes.io/pod-name"] == [pod]
    for name in ("kubernetes", "kubernetes.default", "kubernetes.default.svc.cluster.local",
                 "10.96.0.1", "172.16.110.10:6443", "10.10.11.10:6443"):  # fmt: skip
        line = f"curl -sS --max-time 10 --cacert {PLACE}/ca.crt https://{name}/healthz"
        assert within(lab, pod, line) == "ok"


def test_a_pod_that_wants_no_token_has_none(lab: Shell) -> None:
    assert within(lab, "without", f"ls {PLACE} 2>&1; true").startswith("ls: ")
    assert lab("kubectl get pod without -o jsonpath={.spec.volumes}") == ""


def test_a_token_ends_with_its_pod(lab: Shell) -> None:
    lab("kubectl run --image busybox short --command -- sleep infinity")
    lab("kubectl wait --for=condition=Ready pod/short --timeout=20s")
    token = within(lab, "short", f"cat {PLACE}/token")
    line = f"curl -sk -H 'Authorization: Bearer {token}' https://kubernetes/apis"
    assert json.loads(within(lab, "box", line))["kind"] == "APIGroupList"
    lab("kubectl delete pod short --force --grace-period=0 2>&1")
    assert json.loads(within(lab, "box", line))["code"] == 401


def test_projected_volumes_of_one_s_own(lab: Shell) -> None:
    lab("kubectl create configmap conf --from-literal=key=value")
    lab("kubectl apply -f -", """
apiVersion: v1
kind: Pod
metadata: {name: own, labels: {app: own}}
spec:
  containers:
  - name: own
    image: busybox
    command: [sleep, infinity]
    volumeMounts: [{name: all, mountPath: /all}]
  volumes:
  - name: all
    projected:
      sources:
      - serviceAccountToken: {path: vault/token, audience: vault, expirationSeconds: 600}
      - configMap: {name: conf}
      - downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}]}
""")  # fmt: skip
    lab("kubectl wait --for=condition=Ready pod/own --timeout=20s")
    assert within(lab, "own", "cat /all/key /all/labels") == 'valueapp="own"'
    token = within(lab, "own", "cat /all/vault/token")
    review = {"spec": {"token": token, "audiences": ["vault"]}}
    kind = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview"}
    answer = json.loads(
        lab("kubectl create -o json -f -", json.dumps({**kind, "metadata": {}, **review}))
    )
    assert answer["status"]["authenticated"] is True
    assert answer["status"]["audiences"] == ["vault"]
    plain = json.dumps({**kind, "metadata": {}, "spec": {"token": token}})
    own = json.loads(lab("kubectl create -o json -f -", plain))
    assert "authenticated" not in own["status"]


def test_every_namespace_has_its_account_and_its_certificate(lab: Shell) -> None:
    lab("kubectl create namespace fresh")
    lab("kubectl run -n fresh --image busybox early --command -- sleep infinity")
    lab("kubectl wait -n fresh --for=condition=Ready pod/early --timeout=20s")
    assert lab("kubectl get sa -n fresh -o name") == "serviceaccount/default\n"
    assert lab("kubectl get cm -n fresh -o name") == "configmap/kube-root-ca.crt\n"
    lab("kubectl delete cm kube-root-ca.crt -n fresh")
    eventually(lambda: "kube-root" in lab("kubectl get cm -n fresh -o name"), 10)
    lab("kubectl delete namespace fresh --timeout=30s")


def test_a_pod_of_nobody_is_refused(lab: Shell) -> None:
    override = """--overrides='{"spec":{"serviceAccountName":"builder"}}'"""
    done = lab.run(f"kubectl run --image busybox lost {override}")
    assert done.returncode == 1
    assert "error looking up service account default/builder: serviceaccount" in done.stdout
    lab("kubectl create serviceaccount builder")
    lab(f"kubectl run --image busybox found {override} --command -- sleep infinity")
    lab("kubectl wait --for=condition=Ready pod/found --timeout=20s")
    review = asked(lab, "found", WHOAMI, "-X POST -d '{}' -H Content-Type:application/json")
    assert review["status"]["userInfo"]["username"] == "system:serviceaccount:default:builder"


def test_kubectl_issues_tokens(lab: Shell) -> None:
    token = lab("kubectl create token default --duration=20m").strip()
    # A certificate comes first, so with a kubeconfig that has none.
    say = f"kubectl --kubeconfig /dev/null --token={token} auth whoami -o json"
    server = "--server https://172.16.110.10:6443 --insecure-skip-tls-verify"
    said = lab.here.netlab("shell", "client", "--", *f"{say} {server}".split()).stdout
    assert json.loads(said)["status"]["userInfo"]["username"] == (
        "system:serviceaccount:default:default"
    )
    done = lab.run("kubectl create token default --duration=1m")
    assert "may not specify a duration less than 10 minutes" in done.stdout
    assert 'serviceaccounts "lost" not found' in lab.run("kubectl create token lost").stdout


def test_a_controller_that_comes_back_knows_its_tokens(lab: Shell) -> None:
    before = within(lab, "box", f"cat {PLACE}/token")
    pid = paths.controller_pid(lab.here.base / "run" / lab.lab)
    os.kill(int(pid.read_text()), signal.SIGKILL)
    lab.here.netlab("up", lab.here.lab_file(LAB))
    lab.here.netlab("kubeconfig")
    assert within(lab, "box", f"cat {PLACE}/token") == before
    assert asked(lab, "box", "/apis")["kind"] == "APIGroupList"
