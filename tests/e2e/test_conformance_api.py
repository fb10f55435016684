"""What upstream's own tests ask of the API of a whole cluster: ReplicationControllers, proxies,
files with kinds that are not served."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from e2e import manifests
from e2e.kubectls import Shell, shell
from e2e.labs import eventually

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
