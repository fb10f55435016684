"""What upstream's own tests ask of the API of a whole cluster: ReplicationControllers, proxies,
files with kinds that are not served."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from e2e import manifests
from e2e.kubectls import Shell, shell
from e2e.labs import eventually

from netlab.client.sync import Client
from netlab.store.store import LOG_KEPT

pytestmark = pytest.mark.root

ADDRESSES = ("10.10.11.10", "10.244.0.1", "10.244.0.0")
"""Of the node of the control plane, by the ways that lead to a pod."""

DEFAULT = "/api/v1/namespaces/default"

SERVERS = """
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - {name: c, image: nginx, ports: [{containerPort: 80}, {name: https, containerPort: 443}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{name: http, port: 8080, targetPort: 80}, {name: tls, port: 8443, targetPort: https}]
---
apiVersion: v1
kind: Pod
metadata: {name: mirror}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: c
    image: python
    ports: [{containerPort: 8000}]
    command: [python3, -c]
    args:
    - |
      import http.server
      class Mirror(http.server.BaseHTTPRequestHandler):
          def answer(self):
              body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
              text = f"{self.client_address[0]} {self.command} {self.path} ".encode() + body
              self.send_response(302 if self.path == "/away" else 200)
              self.send_header("Location", "/elsewhere")
              self.send_header("Content-Length", str(len(text)))
              self.end_headers()
              self.wfile.write(b"" if self.command == "HEAD" else text)
          do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = answer
      http.server.ThreadingHTTPServer(("", 8000), Mirror).serve_forever()
"""

REPLICATED = """
apiVersion: v1
kind: ReplicationController
metadata: {name: rc}
spec:
  replicas: 2
  template:
    metadata: {labels: {app: rc}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{name: c, image: nginx, ports: [{containerPort: 80}]}]
"""

MIXED = """
apiVersion: v1
kind: ConfigMap
metadata: {name: before}
---
apiVersion: example.com/v1
kind: Widget
metadata: {name: w}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec: {}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: after}
"""


@pytest.fixture(scope="module")
def kubectl(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    with shell(tmp_path_factory.mktemp("conformance"), manifests.lab("tutorial")) as opened:
        opened("kubectl apply -f -", SERVERS)
        opened("kubectl wait --for=condition=Ready pod --all --timeout=30s")
        eventually(lambda: opened("kubectl get endpoints web -o jsonpath={.subsets}"), 20)
        yield opened


@pytest.mark.parametrize(
    "path", ["pods/web/proxy", "pods/web:80/proxy", "services/web:http/proxy",
             "services/web:8080/proxy", "pods/https:web:443/proxy", "services/https:web:tls/proxy"]
)  # fmt: skip
def test_a_request_passes_to_the_pod(kubectl: Shell, path: str) -> None:
    assert "Welcome to nginx!" in kubectl(f"kubectl get --raw {DEFAULT}/{path}/")


def test_methods_bodies_and_redirects_pass(kubectl: Shell) -> None:
    """From the node of the control plane, whoever asked."""
    url = f"http://localhost$P{DEFAULT}/pods/mirror/proxy"
    said = kubectl(
        "exec 3< <(kubectl proxy --port=0); P=$(head -1 <&3 | grep -o ':[0-9]*$'); "
        "for m in GET POST PUT PATCH DELETE OPTIONS; do "
        f"curl -s -X $m -d body {url}/some/path?a=1; echo; done; curl -sI {url}/x | head -1; "
        f"curl -s -o /dev/null -w '%{{redirect_url}}' "
        f"{url}/away; kill $!"
    )
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
        assert f"{method} /some/path?a=1 body" in said
    assert "HTTP/1.1 200" in said
    assert said.endswith(f"{DEFAULT}/pods/mirror/proxy/elsewhere")
    assert said.split()[0] in ADDRESSES, said


def test_who_may_not_proxy_does_not(kubectl: Shell) -> None:
    kubectl("kubectl create role reader --verb=get --resource=pods")
    kubectl("kubectl create rolebinding reader --role=reader --serviceaccount=default:default")
    as_pod = "--as=system:serviceaccount:default:default"
    refused = kubectl.run(f"kubectl {as_pod} get --raw {DEFAULT}/pods/web/proxy/")
    assert 'cannot get resource "pods/proxy" in API group ""' in refused.stdout
    kubectl("kubectl create role proxier --verb=get --resource=pods/proxy")
    kubectl("kubectl create rolebinding proxier --role=proxier --serviceaccount=default:default")
    assert "nginx" in kubectl(f"kubectl {as_pod} get --raw {DEFAULT}/pods/web/proxy/")


def test_nodes_answer(kubectl: Shell) -> None:
    name = kubectl("kubectl get pod web -o jsonpath={.spec.nodeName}")
    nodes = f"kubectl get --raw /api/v1/nodes/{name}"
    assert kubectl(f"{nodes}/proxy/healthz") == "ok"
    assert '"name":"web"' in kubectl(f"{nodes}:10250/proxy/pods")
    assert "default_web_" in kubectl(f"{nodes}/proxy/logs/pods/")
    closed = kubectl.run(f"{nodes}:9/proxy/").stdout
    assert "error trying to reach service: dial tcp" in closed
    assert "connection refused" in closed


def test_the_server_tells_of_a_commit(kubectl: Shell) -> None:
    """Upstream's test of `kubectl version` looks for one, and so do programs that print it."""
    told = json.loads(kubectl("kubectl get --raw /version"))
    assert re.fullmatch("[0-9a-f]{40}", told["gitCommit"])


def test_replication_controllers_keep_pods(kubectl: Shell) -> None:
    kubectl("kubectl apply -f -", REPLICATED)
    wait = "kubectl wait --timeout=30s --for=jsonpath={.status.readyReplicas}"
    kubectl(f"{wait}=2 rc/rc")
    assert kubectl("kubectl scale rc rc --replicas=3") == "replicationcontroller/rc scaled\n"
    kubectl(f"{wait}=3 rc/rc")
    assert kubectl("kubectl expose rc rc --port=80") == "service/rc exposed\n"
    here = kubectl.here
    assert (
        here.netlab("scale", "rc/rc", "--replicas=1").stdout == "replicationcontroller/rc scaled\n"
    )
    kubectl(f"{wait}=1 rc/rc")
    assert "SuccessfulDelete" in here.netlab("describe", "rc", "rc").stdout
    assert here.netlab("expose", "rc/rc", "--port=80", "--name=two").stdout == (
        "service/two exposed\n"
    )
    selector = kubectl("kubectl get svc two -o jsonpath={.spec.selector}")
    assert selector == '{"app":"rc"}'
    kubectl("kubectl delete rc rc --cascade=orphan")
    owners = "kubectl get pods -l app=rc -o jsonpath={.items[*].metadata.ownerReferences}"
    eventually(lambda: kubectl(owners) == "", 20)
    assert "rc-" in kubectl("kubectl get pods -l app=rc -o name")
    kubectl("kubectl apply -f -", REPLICATED)
    kubectl(f"{wait}=2 rc/rc")
    kubectl("kubectl delete rc rc --cascade=foreground")
    assert kubectl("kubectl get pods -l app=rc -o name") == ""


def test_kinds_that_are_not_served_leave_the_rest_of_a_file_alone(kubectl: Shell) -> None:
    done = kubectl.run("kubectl apply -f -", MIXED)
    assert done.returncode == 1
    assert "configmap/before created\nconfigmap/after created" in done.stdout
    assert 'no matches for kind "Widget" in version "example.com/v1"' in done.stdout
    assert 'customresourcedefinitions.apiextensions.k8s.io "widgets.example.com" is forbidden' in (
        done.stdout
    )


def answered(kubectl: Shell, path: str, *flags: str) -> Any:
    """What curl reads there, whatever the code."""
    argv = ("curl", "-s", "--unix-socket", str(socket(kubectl)), *flags, f"http://lab{path}")
    return json.loads(kubectl(shlex.join(argv)))


def socket(kubectl: Shell) -> Path:
    """Of the lab's API."""
    return kubectl.here.base / "run" / "tutorial" / "api.sock"


TEMPLATES = "/api/v1/namespaces/chunks/podtemplates"


def test_chunks_of_a_list_go_on_when_the_first_state_is_past(kubectl: Shell) -> None:
    kubectl("kubectl create namespace chunks")
    bare = {"template": {"spec": {"containers": [{"name": "c", "image": "nginx"}]}}}
    merge = "application/merge-patch+json"
    with Client(socket(kubectl)) as asking:

        def page(token: str = "", **query: str) -> tuple[list[str], dict[str, Any]]:
            more = {"continue": token} if token else {}
            found = asking.request("GET", TEMPLATES, query={"limit": "3", **more, **query})
            return [one["metadata"]["name"] for one in found["items"]], found["metadata"]

        for number in range(7):
            asking.request("POST", TEMPLATES, {"metadata": {"name": f"t{number}"}, **bare})
        names, first = page()
        assert (names, first["remainingItemCount"]) == (["t0", "t1", "t2"], 4)
        asking.request("DELETE", f"{TEMPLATES}/t3")
        names, second = page(first["continue"])
        assert names == ["t3", "t4", "t5"]
        assert second["resourceVersion"] == first["resourceVersion"]
        for number in range(2 * LOG_KEPT):
            change = {"metadata": {"labels": {"a": str(number)}}}
            asking.request("PATCH", f"{TEMPLATES}/t0", change, content_type=merge)
        query = urlencode({"limit": "3", "continue": first["continue"]})
        status = answered(kubectl, f"{TEMPLATES}?{query}")
        assert (status["code"], status["reason"]) == (410, "Expired")
        names, rest = page(status["metadata"]["continue"])
        assert names == ["t4", "t5", "t6"]
        assert int(rest["resourceVersion"]) > int(first["resourceVersion"])
    refused = kubectl.run(f"kubectl get --raw '{TEMPLATES}?{query}'")
    assert "The provided continue parameter is too old" in refused.stdout
    got = kubectl("kubectl get podtemplates -n chunks --chunk-size=2 -o name")
    assert got.split() == [f"podtemplate/t{number}" for number in (0, 1, 2, 4, 5, 6)]


def test_what_cannot_be_written_is_not_acceptable(kubectl: Shell) -> None:
    protobuf = "application/vnd.kubernetes.protobuf"
    for accept, query, accepted in (
        (
            "application/cbor-seq",
            "?watch=1",
            f"application/json;stream=watch, {protobuf};stream=watch",
        ),
        ("application/cbor", "", f"application/json, application/yaml, {protobuf}"),
    ):
        status = answered(kubectl, f"{DEFAULT}/pods{query}", "-H", f"Accept: {accept}")
        assert (status["code"], status["reason"]) == (406, "NotAcceptable")
        assert status["message"] == f"only the following media types are accepted: {accepted}"


OLD_FORM = """
apiVersion: v1
kind: Service
metadata: {name: old-form}
spec: {clusterIP: 010.096.0.177, selector: {app: web}, ports: [{port: 80}]}
"""


def test_addresses_in_old_forms_are_taken_with_a_warning(kubectl: Shell) -> None:
    said = kubectl.run("kubectl apply -f -", OLD_FORM).stdout
    assert 'spec.clusterIPs[0]: non-standard IP address "010.096.0.177" will be considered' in said
    assert kubectl("kubectl get svc old-form -o jsonpath={.spec.clusterIPs[*]}") == "010.096.0.177"
    for name in ("10.96.0.177", "old-form"):
        asked = f"kubectl exec mirror -- curl -sS --max-time 5 {name}"
        eventually(lambda asked=asked: "Welcome to nginx!" in kubectl(asked), 10)
    assert kubectl.run("kubectl apply -f -", OLD_FORM).returncode == 0
    kubectl("kubectl delete svc old-form")
