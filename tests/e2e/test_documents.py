"""The files of a web server's image: who goes into its container finds and changes them."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
from collections.abc import Iterator
from typing import Any

import needs
import pytest
from e2e.labs import Machine, answering, eventually, machine

from netlab.kernel import netns, paths
from netlab.workload.documents import WAITS

pytestmark = pytest.mark.root

LAB = """
apiVersion: netlab/v1
kind: Lab
metadata: {name: files}
spec: {nodes: [{name: master001, role: control-plane}, {name: worker001}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: nginx}
spec:
  selector: {matchLabels: {app: nginx}}
  template:
    metadata: {labels: {app: nginx}}
    spec: {containers: [{name: c, image: "nginx:1.27", ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: nginx}
spec: {type: NodePort, selector: {app: nginx}, ports: [{port: 80, nodePort: 30080}]}
---
apiVersion: v1
kind: Pod
metadata: {name: httpd}
spec:
  containers:
  - name: c
    image: registry.k8s.io/e2e-test-images/httpd:2.4.38-4
    readinessProbe: {httpGet: {path: /index.html, port: 80}, periodSeconds: 1, failureThreshold: 1}
---
apiVersion: v1
kind: Pod
metadata: {name: alone}
spec: {containers: [{name: c, image: nginx}]}
---
apiVersion: v1
kind: Pod
metadata: {name: busy}
spec: {containers: [{name: c, image: nginx}]}
---
apiVersion: v1
kind: Pod
metadata: {name: late}
spec: {containers: [{name: c, image: caddy}]}
---
apiVersion: v1
kind: Pod
metadata: {name: later}
spec: {containers: [{name: c, image: caddy}]}
---
apiVersion: v1
kind: Pod
metadata: {name: hooked}
spec:
  containers:
  - name: c
    image: nginx
    lifecycle: {postStart: {exec: {command: [sh, -c, echo hooked > /usr/share/nginx/html/hook]}}}
    livenessProbe: {httpGet: {path: /index.html, port: 80}, periodSeconds: 1, failureThreshold: 1}
"""
HTML, HTDOCS = "/usr/share/nginx/html", "/usr/local/apache2/htdocs"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    needs.program("crun")
    with machine(tmp_path_factory.mktemp("documents")) as here:
        here.netlab("up", here.lab_file(LAB))
        yield here


def in_pod(lab: Machine, pod: str, line: str) -> str:
    return lab.netlab("exec", pod, "--", "sh", "-c", line).stdout


def pod(lab: Machine, name: str) -> Any:
    return json.loads(lab.netlab("get", "pod", name, "-o", "json").stdout)


def state(lab: Machine, name: str) -> Any:
    return pod(lab, name)["status"]["containerStatuses"][0]


def page(lab: Machine, name: str, path: str = "/") -> str:
    """What a pod, or the Service `nginx`, answers."""
    address = "127.0.0.1:30080" if name == "nginx" else pod(lab, name)["status"]["podIP"]
    return lab.curl("files.worker001", f"{address}{path}")


def test_what_is_written_into_the_document_root_is_served(lab: Machine) -> None:
    assert "Welcome to nginx!" in page(lab, "nginx", "/?before")
    before = state(lab, nginx_pod(lab))
    there = in_pod(lab, "deploy/nginx", f"cat {HTML}/index.html; ls {HTML}")
    assert "Welcome to nginx!" in there
    assert there.endswith("50x.html\nindex.html\n")
    assert "Welcome to nginx!" in page(lab, "nginx")
    in_pod(lab, "deploy/nginx", f"echo hello > {HTML}/index.html")
    assert page(lab, "nginx") == "hello\n"
    assert "404 Not Found" in page(lab, "nginx", "/none")
    assert state(lab, nginx_pod(lab)) == before, "nothing has restarted"
    logs = lab.netlab("logs", "deploy/nginx").stdout
    assert "/?before" in logs
    assert '"GET /none HTTP/1.1" 404' in logs
    assert HTML in in_pod(lab, "deploy/nginx", "tr '\\0' ' ' </proc/1/cmdline"), "it is its process"


def nginx_pod(lab: Machine) -> str:
    names = lab.netlab("get", "pods", "-l", "app=nginx", "-o", "name").stdout.split()
    return names[0].removeprefix("pod/")


def test_nobody_is_refused_meanwhile(lab: Machine) -> None:
    address, refused, over = pod(lab, "busy")["status"]["podIP"], [], threading.Event()

    def ask() -> None:
        with netns.entered(lab.namespace("files.worker001")):
            while not over.is_set():
                try:
                    socket.create_connection((address, 80), 5).close()
                except ConnectionRefusedError as error:
                    refused.append(error)
                except ConnectionResetError:  # it had been let in, into what was closed meanwhile
                    pass

    asking = threading.Thread(target=ask)
    asking.start()
    in_pod(lab, "busy", "true")
    over.set()
    asking.join()
    assert refused == []
    assert WAITS not in lab.netlab("logs", "busy").stdout


def test_a_readiness_probe_sees_the_page_go_and_come(lab: Machine) -> None:
    assert state(lab, "httpd")["ready"]
    said = in_pod(lab, "httpd", f"mv -v {HTDOCS}/index.html /tmp/ || true")
    assert "index.html" in said
    eventually(lambda: not state(lab, "httpd")["ready"], 10)
    in_pod(lab, "httpd", f"mv -v /tmp/index.html {HTDOCS}/ || true")
    eventually(lambda: state(lab, "httpd")["ready"], 10)
    assert page(lab, "httpd") == "<html><body><h1>It works!</h1></body></html>\n"


def test_hooks_write_files_and_a_restart_begins_with_the_images_own(lab: Machine) -> None:
    eventually(lambda: page(lab, "hooked", "/hook") == "hooked\n")
    in_pod(lab, "hooked", f"echo more > {HTML}/more; rm {HTML}/index.html")
    eventually(lambda: state(lab, "hooked")["restartCount"] == 1, 15)
    eventually(lambda: "Welcome to nginx!" in page(lab, "hooked"), 10)
    assert "404 Not Found" in page(lab, "hooked", "/more")


def test_it_stays_so_with_the_next_controller(lab: Machine) -> None:
    in_pod(lab, "alone", f"echo mine > {HTML}/index.html")
    assert page(lab, "alone") == "mine\n"
    before = state(lab, "alone")
    directory = lab.base / "run" / "files"
    os.kill(int(paths.controller_pid(directory).read_text()), signal.SIGKILL)
    lab.netlab("up", lab.base / "lab.yaml")
    assert in_pod(lab, "later", "ls /usr/share/caddy") == "index.html\n"
    assert WAITS in lab.netlab("logs", "later").stdout, (
        "its ports were opened by another controller"
    )
    assert "Caddy works!" in page(lab, "later")
    assert page(lab, "alone") == "mine\n"
    os.kill(answering(paths.responder_socket(directory)), signal.SIGKILL)
    assert in_pod(lab, "alone", f"cat {HTML}/index.html") == "mine\n"
    assert page(lab, "alone") == "mine\n"
    assert state(lab, "alone") == before
    assert in_pod(lab, "late", "ls /usr/share/caddy") == "index.html\n"
    assert "Caddy works!" in page(lab, "late")
