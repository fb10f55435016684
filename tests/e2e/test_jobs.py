"""Jobs and CronJobs of a real lab, as kubectl and netlab show them, whatever becomes of it."""

from __future__ import annotations

import json
import os
import select
import signal
from collections.abc import Iterator

import pytest
from e2e import manifests
from e2e.kubectls import Shell, shell
from e2e.labs import eventually

from netlab.kernel import paths

pytestmark = pytest.mark.root

INDEXED = """
apiVersion: batch/v1
kind: Job
metadata: {name: parts}
spec:
  completions: 3
  parallelism: 2
  completionMode: Indexed
  template:
    spec:
      restartPolicy: Never
      containers:
      - name: c
        image: busybox
        command: [sh, -c, "echo part $JOB_COMPLETION_INDEX of $(hostname)"]
"""
CRON = """
apiVersion: batch/v1
kind: CronJob
metadata: {name: tick}
spec:
  schedule: "0 0 29 2 *"
  jobTemplate:
    metadata: {labels: {app: tick}}
    spec:
      template:
        spec:
          restartPolicy: OnFailure
          containers: [{name: c, image: busybox, command: [date]}]
"""
BAD = """
apiVersion: batch/v1
kind: Job
metadata: {name: bad}
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      containers: [{name: c, image: busybox, command: ["false"]}]
"""
SLOW = """
apiVersion: batch/v1
kind: Job
metadata: {name: slow}
spec:
  completions: 4
  parallelism: 2
  template:
    spec:
      restartPolicy: Never
      containers: [{name: c, image: busybox, command: [sleep, "1"]}]
"""


SETTINGS = """
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: settings}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: settings}
rules: [{apiGroups: [""], resources: [secrets], verbs: [get, create]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: settings}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: settings}
subjects: [{kind: ServiceAccount, name: settings}]
---
apiVersion: v1
kind: Pod
metadata: {name: settings}
spec:
  containers: [{name: c, image: nginx, envFrom: [{secretRef: {name: settings}}]}]
---
apiVersion: batch/v1
kind: Job
metadata: {name: settings}
spec:
  template:
    spec:
      serviceAccountName: settings
      restartPolicy: OnFailure
      initContainers: [{name: slow, image: busybox, command: [sleep, "1"]}]
      containers:
      - name: c
        image: registry.k8s.io/ingress-nginx/kube-webhook-certgen:v1.6.9
        args: [create, --host=a, --namespace=default, --secret-name=settings]
"""
GATE = """
apiVersion: v1
kind: ServiceAccount
metadata: {name: gate}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: gate}
rules:
- {apiGroups: [""], resources: [secrets], verbs: [get, create]}
- apiGroups: [admissionregistration.k8s.io]
  resources: [validatingwebhookconfigurations]
  verbs: [get, update]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: gate}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: gate}
subjects: [{kind: ServiceAccount, name: gate, namespace: default}]
---
apiVersion: v1
kind: Pod
metadata: {name: gate}
spec:
  containers:
  - name: c
    image: busybox
    command: [sh, -c, "head -n 1 /certs/ca; exec sleep infinity"]
    volumeMounts: [{name: certs, mountPath: /certs, readOnly: true}]
  volumes: [{name: certs, secret: {secretName: gate-tls}}]
"""
CERTGEN = """
---
apiVersion: batch/v1
kind: Job
metadata: {name: gate-%s}
spec:
  ttlSecondsAfterFinished: 0
  template:
    spec:
      serviceAccountName: gate
      restartPolicy: OnFailure
      containers:
      - name: c
        image: registry.k8s.io/ingress-nginx/kube-webhook-certgen:v1.6.9
        args: [%s, --namespace=$(POD_NAMESPACE), --secret-name=gate-tls]
        env: [{name: POD_NAMESPACE, valueFrom: {fieldRef: {fieldPath: metadata.namespace}}}]
        securityContext: {runAsUser: 65532, readOnlyRootFilesystem: true}
"""
JOBS = CERTGEN % ("create", "create, '--host=gate,gate.$(POD_NAMESPACE).svc'") + CERTGEN % (
    "patch",
    "patch, --webhook-name=gate, --patch-mutating=false, --patch-failure-policy=Ignore",
)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """One lab for all: every test works with names of its own."""
    with shell(tmp_path_factory.mktemp("jobs"), manifests.lab("tutorial")) as opened:
        yield opened


def waited(lab: Shell, name: str, condition: str = "complete") -> None:
    lab(f"kubectl wait --for=condition={condition} job/{name} --timeout=20s")


def test_every_index_has_its_pod(lab: Shell) -> None:
    lab.here.netlab("apply", "-f", lab.here.lab_file(INDEXED, "parts.yaml"))
    waited(lab, "parts")
    logs = lab("kubectl logs -l job-name=parts --prefix=false | sort")
    assert logs == "".join(f"part {n} of parts-{n}\n" for n in range(3))
    assert lab("kubectl get job parts --no-headers").split()[:3] == ["parts", "Complete", "3/3"]
    assert "Completed Indexes:  0-2" in lab("kubectl describe job parts")
    assert lab.here.netlab("logs", "job/parts").stdout == "part 0 of parts-0\n"
    lab("kubectl delete job parts")
    eventually(lambda: "No resources" in lab("kubectl get pods -l job-name=parts"))


def test_a_job_is_made_of_an_image_or_of_a_cron_job(lab: Shell) -> None:
    lab("kubectl create job one --image=busybox -- echo hello")
    waited(lab, "one")
    assert lab("kubectl logs job/one") == "hello\n"
    lab("kubectl apply -f -", input=CRON)
    lab("kubectl create job by-kubectl --from=cronjob/tick")
    lab.here.netlab("create", "job", "by-netlab", "--from=cronjob/tick")
    for name in ("by-kubectl", "by-netlab"):
        waited(lab, name)
        found = json.loads(lab(f"kubectl get job {name} -o json"))
        (owner,) = found["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["name"], owner["controller"]) == ("CronJob", "tick", True)
        assert found["metadata"]["labels"]["app"] == "tick"
    row = lab("kubectl get cj --no-headers")
    assert row.split()[:9] == ["tick", "0", "0", "29", "2", "*", "<none>", "False", "0"]
    lab("kubectl delete cronjob tick")
    eventually(lambda: "NotFound" in lab.run("kubectl get job by-netlab").stdout)


def test_up_waits_for_the_job_that_brings_what_a_pod_lacks(lab: Shell) -> None:
    lab_text = manifests.lab("tutorial") + SETTINGS
    file = lab.here.lab_file(lab_text, "settings.yaml")
    assert "is up" in lab.here.netlab("up", file).stdout
    assert "1/1" in lab("kubectl get pod settings --no-headers")


def test_a_job_that_fails_says_so(lab: Shell) -> None:
    lab("kubectl apply -f -", input=BAD)
    waited(lab, "bad", "failed")
    row = lab("kubectl get job bad --no-headers").split()
    assert row[:3] == ["bad", "Failed", "0/1"]
    assert "BackoffLimitExceeded" in lab("kubectl describe job bad")
    lab("kubectl delete job bad")


def test_a_controller_that_is_killed_counts_each_pod_once(lab: Shell) -> None:
    lab("kubectl apply -f -", input=SLOW)
    eventually(lambda: "Running" in lab("kubectl get pods -l job-name=slow --no-headers"))
    pid = int(paths.controller_pid(lab.here.base / "run" / lab.lab).read_text())
    descriptor = os.pidfd_open(pid)
    signal.pidfd_send_signal(descriptor, signal.SIGKILL)
    select.select([descriptor], [], [], 10)
    os.close(descriptor)
    lab.here.netlab("up", lab.here.lab_file(manifests.lab("tutorial")))
    waited(lab, "slow")
    found = json.loads(lab("kubectl get job slow -o json"))["status"]
    assert (found["succeeded"], found.get("failed", 0)) == (4, 0)
    assert found["uncountedTerminatedPods"] == {}
    pods = json.loads(lab("kubectl get pods -l job-name=slow -o json"))["items"]
    assert len(pods) == 4
    assert all("finalizers" not in pod["metadata"] for pod in pods)


WEBHOOK = {
    "apiVersion": "admissionregistration.k8s.io/v1",
    "kind": "ValidatingWebhookConfiguration",
    "metadata": {"name": "gate"},
    "webhooks": [
        {
            "name": "check.gate.example.com",
            "admissionReviewVersions": ["v1"],
            "sideEffects": "None",
            "clientConfig": {"url": "https://gate.example.com"},
        }
    ],
}


def test_who_stores_a_webhook_is_told_that_nobody_calls_it(lab: Shell) -> None:
    told = (
        'Warning: webhook "check.gate.example.com": stored, but a lab calls no admission webhook, '
        "so it refuses nothing\n"
    )
    assert told in lab("kubectl apply -f -", input=json.dumps(WEBHOOK))
    lab("kubectl delete validatingwebhookconfigurations gate")
    file = lab.here.lab_file(json.dumps(WEBHOOK), "webhook.yaml")
    assert lab.here.netlab("apply", "-f", file).stderr == told
    row = lab("kubectl get validatingwebhookconfigurations --no-headers").split()
    assert row[:2] == ["gate", "1"]
    lab("kubectl delete validatingwebhookconfigurations gate")


def test_a_pod_waits_for_the_secret_that_a_job_makes(lab: Shell) -> None:
    """And the Job's twin makes its CA known to a webhook that is stored after both."""
    lab("kubectl apply -f -", input=GATE)
    lacks = "MountVolume.SetUp failed for volume"
    eventually(lambda: lacks in lab("kubectl events --for pod/gate"), 20)
    assert "ContainerCreating" in lab("kubectl get pod gate --no-headers")
    lab("kubectl apply -f -", input=JOBS)
    lab("kubectl apply -f -", input=json.dumps(WEBHOOK))
    lab("kubectl wait --for=condition=ready pod/gate --timeout=20s")
    assert lab("kubectl logs gate") == "-----BEGIN CERTIFICATE-----\n"
    eventually(lambda: "gate-" not in lab("kubectl get jobs,pods -o name"), 20)
    ca = lab("kubectl get secret gate-tls -o jsonpath='{.data.ca}'")
    path = "{.webhooks[0].clientConfig.caBundle} {.webhooks[0].failurePolicy}"
    patched = lab(f"kubectl get validatingwebhookconfiguration gate -o jsonpath='{path}'")
    assert patched == f"{ca} Ignore"
