"""Ingress controllers see what their accounts may see, and say what they were refused."""

from __future__ import annotations

from collections.abc import Iterator

import needs
import pytest
from e2e.ingresses import controller, ingress, rule
from e2e.kubectls import Shell, shell
from e2e.labs import eventually

pytestmark = pytest.mark.root

POD = """
apiVersion: v1
kind: Pod
metadata: {{name: {name}, labels: {{app: {name}}}}}
spec:
  automountServiceAccountToken: {token}
  serviceAccountName: {account}
  nodeName: worker001
  containers:
  - name: controller
    image: registry.k8s.io/ingress-nginx/controller:v1.15.1
    args: [/nginx-ingress-controller, --watch-ingress-without-class{flags}]
    env:
    - {{name: POD_NAME, valueFrom: {{fieldRef: {{fieldPath: metadata.name}}}}}}
    - {{name: POD_NAMESPACE, valueFrom: {{fieldRef: {{fieldPath: metadata.namespace}}}}}}
    readinessProbe: {{httpGet: {{path: /healthz, port: 10254}}, periodSeconds: 1}}
"""
ACCOUNT = """
{{apiVersion: v1, kind: ServiceAccount, metadata: {{name: {name}}}}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {{name: {name}}}
rules: [{{apiGroups: [""], resources: [pods], verbs: [get]}}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: {name}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: {name}}}
subjects: [{{kind: ServiceAccount, name: {name}}}]
---
"""
GOOD = rule("good.example", "/")
WHO = 'User "system:serviceaccount:default:{}" cannot'


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    needs.program("nginx")
    with shell(tmp_path_factory.mktemp("rights"), controller(), "ingress") as lab:
        lab("kubectl create deployment echo --image=sysnet4admin/echo-hname --port=80")
        names = ("blind", "reading", "narrow", "able")
        accounts = [ACCOUNT.format(name=name) for name in names]
        lab("kubectl apply -f -", input="".join((*accounts, ingress("good", GOOD))))
        lab("kubectl expose deployment echo")
        grant = "--clusterrole=ingress-nginx --serviceaccount=default:able"
        lab(f"kubectl create clusterrolebinding able {grant}")
        yield lab


def begin(lab: Shell, name: str, account: str, *flags: str, token: bool = True) -> None:
    said = "".join(f", {flag}" for flag in flags)
    text = POD.format(name=name, account=account, flags=said, token=str(token).lower())
    lab("kubectl apply -f -", input=text)


def code(lab: Shell, pod: str, host: str = "good.example") -> str:
    """The status of a controller's answer, asked on its own address; 000 if nobody answers."""
    address = lab(f"kubectl get pod {pod} -o jsonpath='{{.status.podIP}}'").strip()
    argv = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-H", f"Host: {host}"]
    where = f"{lab.lab}.worker001"
    return lab.here.run_in(where, *argv, f"http://{address}/", check=False).stdout


def log_has(lab: Shell, pod: str, *words: str) -> None:
    eventually(lambda: all(each in lab(f"kubectl logs {pod}") for each in words))


KEPT = {
    "stranger": ("default", (), 255, 'pods "stranger" is forbidden: ' + WHO.format("default")),
    "tokenless": ("reading", (), 255, "serviceaccount/token: no such file or directory"),
    "nosuch": ("reading", ("--nosuch=1",), 2, "unknown flag: --nosuch"),
    "odd": ("reading", ("--http-port=x",), 2, 'invalid argument "x" for "--http-port" flag'),
    "fenced": ("reading", ("--publish-service=a/b",), 255, "restrictive Authorization mode"),
}


def test_what_keeps_one_from_starting(lab: Shell) -> None:
    for name, (account, flags, *_) in KEPT.items():
        begin(lab, name, account, *flags, token=name != "tokenless")
    ended = "{.status.containerStatuses[0].lastState.terminated.exitCode}"
    for name, (*_, exit_code, words) in KEPT.items():
        lab(f"kubectl wait pod {name} --for=jsonpath='{ended}'={exit_code}")
        log_has(lab, name, words)
        assert code(lab, name) == "000"
    lab(f"kubectl delete pod {' '.join(KEPT)}")


def test_who_may_list_nothing_serves_nothing_until_he_may(lab: Shell) -> None:
    begin(lab, "blind", "blind")
    who = WHO.format("blind")
    log_has(
        lab,
        "blind",
        f'secrets is forbidden: {who} list resource "secrets" in API group "" at the cluster scope',
        f"failed to list *v1.Ingress: ingresses.networking.k8s.io is forbidden: {who} list",
        "failed to list *v1.Service: services is forbidden",
        "failed to list *v1.EndpointSlice: endpointslices.discovery.k8s.io is forbidden",
    )
    assert code(lab, "blind") == "000"
    assert "statuscode: 500" in lab("kubectl describe pod blind")
    assert (
        "ingress controller default/blind: failed to list"
        in lab.here.netlab("status", code=1).stdout
    )
    grant = "--clusterrole=ingress-nginx --serviceaccount=default:blind"
    lab(f"kubectl create clusterrolebinding blind {grant}")
    eventually(lambda: code(lab, "blind") == "200")
    lab("kubectl wait pod blind --for=condition=Ready")
    lab("kubectl delete clusterrolebinding blind")
    log_has(lab, "blind", "failed to list *v1.Secret")
    lab("kubectl apply -f -", input=ingress("later", rule("later.example", "/")))
    lab("kubectl wait ingress later --for=jsonpath='{.status.loadBalancer.ingress}'")
    assert (code(lab, "blind"), code(lab, "blind", "later.example")) == ("200", "404")
    lab("kubectl delete pod blind")


def test_who_watches_a_namespace_needs_to_see_no_other(lab: Shell) -> None:
    rules = "--verb=get,list,watch --resource=configmaps,namespaces,secrets,services"
    others = "ingresses.networking.k8s.io,endpointslices.discovery.k8s.io"
    lab(f"kubectl create role narrowly {rules},{others}")
    to = "--serviceaccount=default:narrow"
    lab(f"kubectl create rolebinding narrowly --role=narrowly {to}")
    lab("kubectl create namespace other")
    elsewhere = ingress("good", rule("other.example", "/"))
    lab("kubectl apply -n other -f -", input=elsewhere)
    begin(lab, "narrow", "narrow", "--watch-namespace=default")
    lab("kubectl wait pod narrow --for=condition=Ready")
    log_has(lab, "narrow", "No permissions to list and get Ingress Classes")
    assert (code(lab, "narrow"), code(lab, "narrow", "other.example")) == ("200", "404")
    lab("kubectl delete pod narrow")


HOLDER = "{.spec.holderIdentity} {.spec.leaseDurationSeconds} {.spec.leaseTransitions}"


def test_of_replicas_one_has_the_lease_and_another_one_takes_it_over(lab: Shell) -> None:
    pod = "kubectl get pods -n ingress-nginx -o jsonpath='{.items[0].metadata.name}'"
    default = f"kubectl get lease -n ingress-nginx ingress-controller-leader -o jsonpath='{HOLDER}'"
    assert lab(default) == f"{lab(pod)} 30 0"
    held = f"kubectl get lease two -o jsonpath='{HOLDER}'"
    flags = ("--election-id=two", "--election-ttl=2s")
    begin(lab, "first", "able", *flags)
    eventually(lambda: lab(held) == "first 2 0")
    renewed = lab("kubectl get lease two -o jsonpath='{.spec.renewTime}'")
    begin(lab, "second", "able", *flags)
    log_has(lab, "second", "attempting to acquire leader lease default/two", 'identity="first"')
    eventually(lambda: lab("kubectl get lease two -o jsonpath='{.spec.renewTime}'") != renewed)
    assert lab(held) == "first 2 0"
    lab("kubectl delete pod first")
    eventually(lambda: lab(held) == "second 2 1", 30.0)
    log_has(lab, "second", "successfully acquired lease default/two")
    lab("kubectl delete pod second")


def test_who_selects_namespaces_serves_no_others(lab: Shell) -> None:
    lab("kubectl create namespace chosen")
    lab("kubectl label namespace chosen team=a")
    lab("kubectl create namespace unchosen")
    for space in ("chosen", "unchosen"):
        lab(f"kubectl apply -n {space} -f -", input=ingress("web", rule(f"{space}.example", "/")))
    begin(lab, "choosy", "able", "--watch-namespace-selector=team=a", "--election-id=choosy")
    lab("kubectl wait pod choosy --for=condition=Ready")
    found = {space: code(lab, "choosy", f"{space}.example") for space in ("chosen", "unchosen")}
    assert found == {"chosen": "503", "unchosen": "404"}  # it has no such Service
    lab("kubectl label namespace unchosen team=a")
    eventually(lambda: code(lab, "choosy", "unchosen.example") == "503")
    lab("kubectl label namespace unchosen team-")
    eventually(lambda: code(lab, "choosy", "unchosen.example") == "404")
    lab("kubectl delete pod choosy")


ILL = "{path: /nosuch, port: 10254}, periodSeconds: 1, failureThreshold: 1"
STATE = "{.status.phase} {.status.containerStatuses[0].restartCount}"


def test_a_probe_that_fails_has_it_started_again_if_its_pod_wants_that(lab: Shell) -> None:
    text = POD.format(name="ill", account="able", flags=", --election-id=ill", token="true")
    probe = f"    livenessProbe: {{httpGet: {ILL}}}\n"
    lab("kubectl apply -f -", input=text + probe)
    state = f"kubectl get pod ill -o jsonpath='{STATE}'"
    eventually(lambda: lab(state) == "Running 1")
    said = lab("kubectl describe pod ill")
    assert "Container controller failed liveness probe, will be restarted" in said
    eventually(lambda: "CrashLoopBackOff" in lab("kubectl get pod ill"))
    assert "Exit Code:    0" in lab("kubectl describe pod ill")  # it finishes what it has begun
    assert code(lab, "ill") == "000"
    lab("kubectl delete pod ill")
    once = text.replace("spec:", "spec:\n  restartPolicy: Never", 1).replace("ill", "once")
    lab("kubectl apply -f -", input=once + probe)
    eventually(lambda: lab(state.replace("ill", "once")) == "Succeeded 0")
    lab("kubectl delete pod once")
