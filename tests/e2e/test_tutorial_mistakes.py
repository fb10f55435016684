"""The mistakes that stand in the tutorials, typed as they stand there, in each way there is.

kubectl says what it says on any cluster; netlab's own verbs, and `netlab kubectl` after kubectl's
words, add what a reader needs to go on.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e import manifests
from e2e.labs import Machine, machine
from msgspec import Struct

pytestmark = pytest.mark.root

LAB = manifests.lab("mistaken", nodes=1)
DEPLOYMENT = """\
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: nginx}]}
"""


class Printed(Struct):
    """A manifest as printed; what kubectl says of it (a pattern), and the hints, by their lines."""

    text: str
    kubectl: str
    hints: dict[int, str]


NAMELESS = "resource name may not be empty"
UNDERSCORE = r'Invalid value: "clusterip_service": a DNS-1035 label must consist of'
GONE = r'no matches for kind "Ingress" in version "networking.k8s.io/v1beta1"'
BELOW_SPEC = 'indent it below "spec:"'
INDENT = {4: 'indent it below "metadata:"', 6: BELOW_SPEC, 10: BELOW_SPEC}
INDENT |= {11: 'indent it below "selector:"', 12: BELOW_SPEC}

CLUSTER_IP = """\
apiVersion: v1
kind: Service
metadata:
  name: hostname-svc-clusterip
spec:
  ports:
    - name: web-port
      port: 8080 # 서비스 IP에 접근할 때 사용할 포트
      targetPort: 80 # 접근 대상이 된 포드들이 내부적으로 사용하는 포트를 입력
  selector: # 서비스에서 접근할 파드를 지정
    app: webserver
  type: ClusterIp # 서비스의 타입을 나타낸다.
"""
NETADATA = """\
apiVersion: v1
kind: Service
netadata:
  name: hostname-svc-nodeport
spec:
  ports:
    - name: web-port
      port: 8080
      targetPort: 80
  selector:
    app: webserver
  type: NodePort
"""
UNINDENTED = """\
apiVersion: v1
kind: Service
metadata:
name: service-nodeport
spec:
ports:
- name: web-port
  port: 8080
  targetPort: 80
selector:
app: webserver
type: NodePort
"""
UNDERSCORED = """\
apiVersion: v1
kind: Service
metadata:
  name: clusterip_service
spec:
  ports:
  - name: web-port
    port: 8080
    targetPort: 80
  selector:
    app: webserver
  type: ClusterIP
"""
INGRESS = """\
apiVersion: networking.k8s.io/v1beta1
kind: Ingress
metadata:
  name: ingress-nginx
  annotations:
    nginx.ingress.kubernetes.io/rewrite-target: /
spec:
  rules:
  - http:
      paths:
      - path:
        backend:
          serviceName: hname-svc-default // 외부에서 주소 값과 노트포드를 가지고 들어오는
          servicePort: 80
      - path: /ip
        backend:
          serviceName: ip-svc // ip를 추가한 주소 값은 해당 서비스와 연결된 파드로 접속하게 함
          servicePort: 80
      - path: /your-directory
        backend:
          serviceName: your-svc
          servicePort: 80
"""

FILES = {
    "a type in other letters": Printed(
        CLUSTER_IP,
        r'Unsupported value: "ClusterIp": supported values: "ClusterIP", "ExternalName"',
        {12: 'did you mean "ClusterIP"?'},
    ),
    "a type of its own": Printed(
        CLUSTER_IP.replace("ClusterIp", "ClusterPort"),
        r'Unsupported value: "ClusterPort"',
        {12: 'did you mean "ClusterIP"?'},
    ),
    "netadata": Printed(NETADATA, NAMELESS, {3: 'did you mean "metadata"?'}),
    "no indentation": Printed(UNINDENTED, NAMELESS, INDENT),
    "no indentation, and an underscore": Printed(
        UNINDENTED.replace("service-nodeport", "clusterip_service").replace(
            "NodePort", "ClusterIP"
        ),
        NAMELESS,
        INDENT | {4: 'write "clusterip-service"'},
    ),
    "text around it": Printed(
        "**ClusterIP**\n",
        "did not find expected alphabetic or numeric character",
        {1: "mind the indentation of this line"},
    ),
    "an underscore": Printed(UNDERSCORED, UNDERSCORE, {4: 'write "clusterip-service"'}),
    "comments of another language": Printed(
        INGRESS, GONE, {13: "// begins no comment in YAML", 17: "// begins no comment in YAML"}
    ),
}

# what stands behind `kubectl`: what that says, and the hint
COMMANDS = {
    "create deployment app —image=nginx": (
        r'required flag\(s\) "image" not set',
        "type two hyphens: --image=nginx",
    ),
    "create deployment app –image=nginx": (  # noqa: RUF001 - as some pages have it
        r'required flag\(s\) "image" not set',
        "type two hyphens: --image=nginx",
    ),
    "create deployment app -image=nginx": (
        "unknown shorthand flag: 'i' in -image=nginx",
        "type two hyphens: --image=nginx",
    ),
    "scale deployment web —replicas=3": (
        r'required flag\(s\) "replicas" not set',
        "type two hyphens: --replicas=3",
    ),
    "expose deployment web —type=NodePort —name=svc —port=80": (
        'deployments.apps "—type=NodePort" not found',
        "type two hyphens: --type=NodePort --name=svc --port=80",
    ),
    "expose deployment web —name=svc —port=80": (
        'deployments.apps "—name=svc" not found',
        "type two hyphens: --name=svc --port=80",
    ),
    "expose deployment web —type=LoadBalancer —name=lb": (
        'deployments.apps "—type=LoadBalancer" not found',
        "type two hyphens: --type=LoadBalancer --name=lb",
    ),
    "expose deployment web --type=LoadBalancer --name=lb": (
        "couldn't find port via --port flag or introspection",
        "declares no containerPort: add --port",
    ),
    "create deployment app --image=nginx X2": (
        "exactly one NAME is required, got 2",
        "got 2\n(See|  hint: a command stands behind --)",
    ),
    "exec curlpod이름 -- curl httpd-clusterip-service:8080": (
        'pods "curlpod이름" not found',
        "is no name|lists those there are",
    ),
}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with machine(tmp_path_factory.mktemp("mistaken")) as here:
        here.netlab("up", here.lab_file(LAB + DEPLOYMENT), timeout=120)
        yield here


def kubectl(here: Machine, *words: str | Path) -> str:
    """What the real one says before it fails."""
    config = here.base / "run" / "mistaken" / "kubeconfig"
    environment = {**here.environment, "KUBECONFIG": str(config)}
    done = subprocess.run(
        ["kubectl", *map(str, words)], env=environment, capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 1, done
    return done.stdout + done.stderr


def services(here: Machine) -> list[str]:
    return here.netlab("get", "services", "-o", "name").stdout.split()


@pytest.mark.parametrize("printed", FILES.values(), ids=FILES)
def test_manifests(here: Machine, printed: Printed) -> None:
    before = services(here)
    file = here.lab_file(printed.text, "printed.yaml")

    def hinted(said: str, path: Path, offset: int = 0) -> None:
        for line, hint in printed.hints.items():
            place = rf"{re.escape(str(path))}:{line + offset}: "
            assert re.search(rf"{place}[^\n]*(\n  hint: )?[^\n]*{re.escape(hint)}", said), said
        assert ": : " not in said

    assert re.search(printed.kubectl, kubectl(here, "apply", "-f", file))
    wrapped = here.netlab("kubectl", "apply", "-f", file, code=1).stderr
    words, _, hints = wrapped.partition("hint: ")
    assert re.search(printed.kubectl, words)
    hinted(hints, file)
    hinted(here.netlab("apply", "-f", file, code=2).stderr, file)
    whole = here.lab_file(f"{manifests.lab('other')}---\n{printed.text}", "whole.yaml")
    offset = whole.read_text().count("\n") - printed.text.count("\n")
    hinted(here.netlab("up", whole, code=2).stderr, whole, offset)
    assert services(here) == before
    assert not (here.base / "run" / "other").exists()


@pytest.mark.parametrize("typed", COMMANDS)
def test_commands(here: Machine, typed: str) -> None:
    words, (said, hint) = typed.split(), COMMANDS[typed]
    before = services(here)
    assert re.search(said, kubectl(here, *words))
    wrapped = here.netlab("kubectl", *words, code=1).stderr
    own = here.start(*words)
    _, told = own.communicate(timeout=30)
    assert own.returncode in (1, 2), told
    assert re.search(said, wrapped)
    for each in (wrapped, told):
        assert re.search(hint, each), each
    assert re.search("hint: ", told)
    assert services(here) == before


def test_a_version_that_is_no_more(here: Machine) -> None:
    """With its comments put right the Ingress is what older clusters took, and netlab takes."""
    file = here.lab_file(re.sub(r" //.*", "", INGRESS), "ingress.yaml")
    assert re.search(GONE, kubectl(here, "apply", "-f", file))
    said = here.netlab("kubectl", "apply", "-f", file, code=1).stderr
    assert re.search(rf"hint: {file}:1: Ingress ingress-nginx .*, by netlab apply\n", said)
    assert "ingress-nginx created" in here.netlab("apply", "-f", file).stdout
    here.netlab("delete", "ingress", "ingress-nginx")


@pytest.mark.parametrize("verb", ["create", "replace"])
def test_files_are_read_by_other_verbs_too(here: Machine, verb: str) -> None:
    file = here.lab_file(NETADATA, "printed.yaml")
    said = here.netlab("kubectl", verb, f"--filename={file}", code=1).stderr
    assert f'hint: {file}:3: netadata: did you mean "metadata"?' in said


def test_what_is_well_is_kubectls_alone(here: Machine) -> None:
    """No hint where nothing is wrong, or what is wrong is not to be seen in what was typed."""
    good = UNDERSCORED.replace("clusterip_service", "clusterip-service")
    file = here.lab_file(good, "good.yaml")
    done = here.netlab("kubectl", "apply", "-f", file)
    assert (done.stdout, done.stderr) == ("service/clusterip-service created\n", "")
    here.netlab("kubectl", "delete", "-f", file)
    missing = here.netlab("kubectl", "get", "pods", "nobody", code=1).stderr
    assert "hint" not in missing
    exposed = here.netlab("kubectl", "expose", "deployment", "web", "--port=80", "--name=fine")
    assert exposed.stderr == ""
    here.netlab("delete", "service", "fine")


def test_what_stands_behind_two_hyphens_is_somebody_elses(here: Machine) -> None:
    """A pod's command may have dashes of any length."""
    here.netlab("run", "said", "--image=busybox", "--restart=Never", "--", "echo", "—image=x")
    here.netlab("wait", "pod/said", "--for=jsonpath={.status.phase}=Succeeded")
    assert here.netlab("logs", "said").stdout == "—image=x\n"
