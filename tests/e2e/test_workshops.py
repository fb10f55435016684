"""What workshops do with real kubectl beyond the everyday: debugging pods and nodes, names of a
pod's own, volumes that come and go with their pods."""

from __future__ import annotations

import json
import os
import select
import signal
from collections.abc import Iterator

import needs
import pytest
from e2e.kubectls import Shell, shell
from e2e.labs import eventually

from netlab.kernel import paths

pytestmark = pytest.mark.root

LAB = """
apiVersion: netlab/v1
kind: Lab
metadata: {name: workshop}
spec: {nodes: [{name: master001, role: control-plane}, {name: worker001}]}
---
apiVersion: v1
kind: Pod
metadata: {name: app}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: main, image: debian, command: [sh, -c, "exec sleep 4711"]}]
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: standard, annotations: {storageclass.kubernetes.io/is-default-class: "true"}}
provisioner: netlab.io/directory
---
apiVersion: v1
kind: Pod
metadata: {name: scratch}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: c
    image: busybox
    command: [sh, -c, "echo kept >/scratch/file; exec sleep 1000"]
    volumeMounts: [{name: space, mountPath: /scratch}]
  volumes:
  - name: space
    ephemeral:
      volumeClaimTemplate:
        spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: conf}
data:
  default.conf: |
    server {
      listen 443 ssl;
      ssl_certificate /etc/nginx/ssl/tls.crt;
      ssl_certificate_key /etc/nginx/ssl/tls.key;
      location / { return 200 "as configured\\n"; }
    }
---
apiVersion: v1
kind: ConfigMap
metadata: {name: names}
data:
  Corefile: |
    . {
      hosts {
        192.0.2.123 my.test
        fallthrough
      }
      log
    }
---
apiVersion: v1
kind: Pod
metadata: {name: names}
spec:
  dnsPolicy: Default
  terminationGracePeriodSeconds: 0
  containers:
  - name: agnhost
    image: registry.k8s.io/e2e-test-images/agnhost:2.53
    command: [/coredns]
    args: [-conf, /etc/coredns/Corefile]
    volumeMounts: [{name: config, mountPath: /etc/coredns, readOnly: true}]
  volumes: [{name: config, configMap: {name: names}}]
"""


def kill_controller(lab: Shell) -> None:
    """As if it had died: nothing that it runs ends with it."""
    controller = int(paths.controller_pid(lab.here.base / "run" / "workshop").read_text())
    descriptor = os.pidfd_open(controller)
    try:
        signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        select.select([descriptor], [], [], 10)
    finally:
        os.close(descriptor)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    with shell(tmp_path_factory.mktemp("workshop"), LAB, "workshop") as running:
        yield running


def test_a_container_is_added_to_a_pod_and_sees_its_targets_processes(lab: Shell) -> None:
    said = lab.in_terminal(
        "kubectl debug -it app --image=busybox --target=main -c one",
        ["ps ax | grep -c 'sleep [4]711'", "echo $((6 * 7))-$HOSTNAME", "exit 3"],
    ).stdout
    assert "\n1\n" in said
    assert "\n42-app\n" in said
    state = "kubectl get pod app -o jsonpath='{.status.ephemeralContainerStatuses[*]%s}'"
    lab.run("kubectl wait pod/app --timeout=10s --for=jsonpath="
            "'{.status.ephemeralContainerStatuses[0].state.terminated.exitCode}'=3")  # fmt: skip
    assert lab(state % ".state.terminated.exitCode") == "3"
    assert lab("kubectl get pod app --no-headers").split()[1:4] == ["1/1", "Running", "0"]
    assert "Ephemeral Containers:\n  one:\n" in lab("kubectl describe pod app")


def test_what_is_added_is_executed_in_logged_and_stays(lab: Shell) -> None:
    added = "kubectl debug app --image=busybox -c two -- sh -c 'echo begun; exec sleep 1000'"
    lab(added)
    lab("kubectl wait pod/app --timeout=10s --for=jsonpath="
        "'{.status.ephemeralContainerStatuses[?(@.name==\"two\")].state.running}'")  # fmt: skip
    assert lab("kubectl logs app -c two") == "begun\n"
    processes = lab("kubectl exec app -c two -- ps ax").splitlines()
    assert any("sleep 1000" in line for line in processes)
    assert not any("sleep 4711" in line for line in processes)
    kill_controller(lab)
    lab.here.netlab("up", lab.here.base / "lab.yaml")
    assert lab("kubectl exec app -c two -- ps ax | grep -c 'sleep [1]000'") == "1\n"
    running = "jsonpath='{.status.ephemeralContainerStatuses[*].state.running.startedAt}'"
    assert len(lab(f"kubectl get pod app -o {running}").split()) == 1, "one had ended, and stays so"
    again = lab.run("kubectl patch pod app --subresource=ephemeralcontainers --type=json -p "
                    "'[{\"op\":\"remove\",\"path\":\"/spec/ephemeralContainers\"}]'")  # fmt: skip
    assert again.returncode == 1
    assert 'existing ephemeral containers "one" may not be removed' in again.stdout
    refused = lab.run("kubectl debug app --image=busybox --target=nobody -- true")
    assert 'spec.ephemeralContainers[2].targetContainerName: Not found: "nobody"' in refused.stdout


def test_a_copy_and_a_node_are_debugged(lab: Shell) -> None:
    lab("kubectl debug app --image=busybox --copy-to=copy -c extra -- sleep 1000")
    lab("kubectl wait --for=condition=Ready pod/copy --timeout=20s")
    assert lab("kubectl get pod copy -o jsonpath='{.spec.containers[*].name}'") == "main extra"
    said = lab.in_terminal(
        "kubectl debug node/worker001 -it --image=busybox", ["hostname", "exit"]
    ).stdout
    assert "\nworker001\n" in said


def test_a_volume_comes_and_goes_with_its_pod(lab: Shell) -> None:
    assert lab("kubectl exec scratch -- cat /scratch/file") == "kept\n"
    assert lab("kubectl get pvc scratch-space --no-headers").split()[:2] == [
        "scratch-space",
        "Bound",
    ]
    described = lab.here.netlab("describe", "pod", "scratch").stdout
    assert "EphemeralVolume (an inline specification" in described
    lab("kubectl delete pod scratch && kubectl wait --for=delete pvc/scratch-space --timeout=20s")
    assert lab("kubectl get pv") == "No resources found\n"


def test_who_one_is(lab: Shell) -> None:
    certificate = "kubectl config view --raw -o jsonpath='{.users[0].user.client-certificate-data}'"
    said = lab(f"{certificate} | base64 -d | openssl x509 -noout -fingerprint -sha256")
    fingerprint = said.strip().partition("=")[2].replace(":", "").lower()
    rows = [line.split(maxsplit=1) for line in lab("kubectl auth whoami").splitlines()]
    assert rows == [
        ["ATTRIBUTE", "VALUE"],
        ["Username", "netlab-admin"],
        ["Groups", "[system:masters system:authenticated]"],
        ["Extra:", f"authentication.kubernetes.io/credential-id   [X509SHA256={fingerprint}]"],
    ]


def test_a_quota_limits_a_namespace(lab: Shell) -> None:
    lab("kubectl create namespace limited")
    lab("kubectl create quota few -n limited --hard=pods=1,count/services=0")
    lab("kubectl wait -n limited quota/few --for=jsonpath='{.status.used.pods}'=0 --timeout=20s")
    lab("kubectl create deployment web -n limited --image=nginx --replicas=2")
    failed = "jsonpath='{.status.conditions[?(@.type==\"ReplicaFailure\")].reason}'=FailedCreate"
    lab(f"kubectl wait -n limited deploy/web --for={failed} --timeout=20s")
    refused = lab.run("kubectl expose deployment web -n limited --port 80")
    assert refused.returncode == 1
    assert refused.stdout.strip() == (
        'Error from server (Forbidden): services "web" is forbidden: exceeded quota: few, '
        "requested: count/services=1, used: count/services=0, limited: count/services=0"
    )
    head, row = lab("kubectl get quota -n limited").splitlines()
    assert head.split() == ["NAME", "REQUEST", "LIMIT", "AGE"]
    assert row.startswith("few ") and "count/services: 0/0, pods: 1/1" in row
    lab("kubectl delete namespace limited")


@pytest.mark.parametrize("resource", ["hpa", "limits", "pdb", "netpol", "apiservices"])
def test_what_is_not_there_is_said_to_be_so(lab: Shell, resource: str) -> None:
    refused = lab.run(f"kubectl get {resource}")
    words = f'error: the server doesn\'t have a resource type "{resource}"\n'
    assert (refused.returncode, refused.stdout) == (1, words)


def test_groups_that_a_lab_has_not_are_not_found(lab: Shell) -> None:
    for group in ("autoscaling/v2", "policy/v1", "node.k8s.io/v1", "metrics.k8s.io/v1beta1"):
        refused = lab.run(f"kubectl get --raw /apis/{group}")
        not_found = "Error from server (NotFound): the server could not find the requested resource"
        assert (refused.returncode, refused.stdout.strip()) == (1, not_found)


ELSEWHERE = """
apiVersion: v1
kind: PersistentVolume
metadata: {name: far}
spec:
  capacity: {storage: 1Gi}
  accessModes: [ReadWriteMany]
  storageClassName: ""
  csi: {driver: ebs.csi.aws.com, volumeHandle: vol-1}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: far}
spec:
  storageClassName: ""
  accessModes: [ReadWriteMany]
  resources: {requests: {storage: 1Gi}}
---
apiVersion: v1
kind: Pod
metadata: {name: far}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: c, image: nginx, volumeMounts: [{name: v, mountPath: /v}]}]
  volumes: [{name: v, persistentVolumeClaim: {claimName: far}}]
"""


def test_a_volume_whose_driver_is_not_there_is_waited_for(lab: Shell) -> None:
    said = lab.run("kubectl apply -f -", ELSEWHERE).stdout
    assert "Warning: csi of ebs.csi.aws.com: a lab has nobody who serves such volumes" in said
    assert lab("kubectl get pvc far --no-headers").split()[1] == "Bound"
    why = (
        'AttachVolume.Attach failed for volume "far" : timed out waiting for external-attacher of '
    )
    assert why in waited_for(lab, "far", "FailedAttachVolume", "attachdetach-controller")
    described = lab("kubectl describe pod far")
    assert "FailedAttachVolume" in described and "attachdetach-controller" in described
    lab("kubectl delete pod,pvc,pv far")


def waited_for(lab: Shell, pod: str, reason: str, component: str) -> str:
    """The pod's container waits for a volume, and an Event says so: its message."""
    lab(f"kubectl wait pod/{pod} --timeout=20s --for=jsonpath="
        "'{.status.containerStatuses[0].state.waiting.reason}'=ContainerCreating")  # fmt: skip
    found = f"--field-selector=reason={reason},involvedObject.name={pod}"
    eventually(lambda: lab(f"kubectl get events {found} -o name"), 20)
    (event,) = json.loads(lab(f"kubectl get events {found} -o json"))["items"]
    assert event["source"]["component"] == component
    return str(event["message"])


INLINE = """
apiVersion: v1
kind: Pod
metadata: {name: NAME}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: c, image: nginx, volumeMounts: [{name: v, mountPath: /v}]}]
  volumes: [{name: v, SOURCE}]
"""


@pytest.mark.parametrize(
    ("source", "reason", "component", "why"),
    [
        (
            "nfs: {server: 10.0.0.9, path: /exports}", "FailedMount", "kubelet",
            "Mounting arguments: -t nfs 10.0.0.9:/exports /var/lib/kubelet/pods/",
        ),
        (
            "csi: {driver: secrets-store.csi.k8s.io}", "FailedMount", "kubelet",
            "driver name secrets-store.csi.k8s.io not found in the list of registered CSI drivers",
        ),
        (
            "awsElasticBlockStore: {volumeID: vol-1}", "FailedAttachVolume",
            "attachdetach-controller", "external-attacher of ebs.csi.aws.com CSI driver to attach "
            "volume vol-1",
        ),
    ],
)  # fmt: skip
def test_a_pod_waits_for_a_volume_that_is_elsewhere(
    lab: Shell, source: str, reason: str, component: str, why: str
) -> None:
    name = f"far-{source.partition(':')[0].lower()}"
    text = INLINE.replace("NAME", name).replace("SOURCE", source)
    said = lab.run("kubectl apply -f -", text).stdout
    assert "a lab has nobody who serves such volumes, so the pod waits" in said
    assert why in waited_for(lab, name, reason, component)
    lab(f"kubectl delete pod {name}")


def test_up_says_which_volume_is_elsewhere(lab: Shell) -> None:
    text = INLINE.replace("NAME", "far").replace("SOURCE", "csi: {driver: d.example}")
    done = lab.run(
        "netlab apply -f - && netlab wait --for=condition=Ready pod/far --timeout=2s", text
    )
    assert done.returncode != 0
    eventually(lambda: "d.example not found" in lab.run("netlab status").stdout)
    lab("kubectl delete pod far")


SECURE = """
apiVersion: v1
kind: Pod
metadata: {name: secure}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: nginx
    image: bprashanth/nginxhttps:1.0
    ports: [{containerPort: 443}]
    volumeMounts:
    - {name: tls, mountPath: /etc/nginx/ssl}
    - {name: conf, mountPath: /etc/nginx/conf.d}
  volumes: [{name: tls, secret: {secretName: tls}}, {name: conf, configMap: {name: conf}}]
"""


def test_a_server_speaks_tls_with_the_certificate_of_a_mounted_secret(lab: Shell) -> None:
    needs.program("nginx")
    lab("openssl req -x509 -newkey rsa:2048 -nodes -keyout k -out c -days 1 -subj /CN=mine.example "
        "-addext subjectAltName=DNS:mine.example 2>/dev/null")  # fmt: skip
    lab("kubectl create secret tls tls --cert=c --key=k")
    lab.run("kubectl apply -f -", SECURE)
    lab("kubectl wait --for=condition=Ready pod/secure --timeout=20s && kubectl cp c app:/tmp/c")
    ip = lab("kubectl get pod secure -o jsonpath='{.status.podIP}'")
    curl = f"curl -sS --cacert /tmp/c --resolve mine.example:443:{ip} https://mine.example/"
    assert lab(f"kubectl exec app -c main -- {curl}") == "as configured\n"


ASKING = """
apiVersion: v1
kind: Pod
metadata: {name: asking}
spec:
  terminationGracePeriodSeconds: 0
  dnsPolicy: None
  dnsConfig: {nameservers: [%s], searches: [test], options: [{name: ndots, value: "2"}]}
  containers: [{name: c, image: debian, command: [sleep, "1000"]}]
"""


def test_a_pods_own_resolv_conf_leads_to_a_server_of_its_own(lab: Shell) -> None:
    server = lab("kubectl get pod names -o jsonpath='{.status.podIP}'")
    lab.run("kubectl apply -f -", ASKING % server)
    lab("kubectl wait --for=condition=Ready pod/asking --timeout=20s")
    assert lab("kubectl exec asking -- dig +short +search my") == "192.0.2.123\n"
    assert lab("kubectl exec asking -- getent hosts my").split()[:1] == ["192.0.2.123"]
    assert '"A IN my.test. udp' in lab("kubectl logs names")


def test_random_numbers_in_the_shell_of_busybox(lab: Shell) -> None:
    said = lab("kubectl run dice --image=busybox --restart=Never --rm -i -- "
               "sh -c 'echo $(( 1 + $RANDOM / 32768 ))'")  # fmt: skip
    assert "1" in said.splitlines()
