"""https on a second port: a Service of two, with a certificate of the lab's CA."""

from __future__ import annotations

import json
import os
import signal
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e import manifests
from e2e.labs import Machine, answering, eventually, machine

from netlab.kernel import paths

pytestmark = pytest.mark.root

LAB = (
    manifests.lab("secure")
    + manifests.box("box")
    + """\
---
apiVersion: apps/v1
kind: ReplicaSet
metadata: {name: mynapp-rs}
spec:
  replicas: 2
  selector: {matchLabels: {app: mynapp-rs}}
  template:
    metadata: {labels: {app: mynapp-rs}}
    spec:
      containers:
      - name: mynapp
        image: minjulee226/myweb
        ports:
        - containerPort: 8080
---
apiVersion: v1
kind: Service
metadata: {name: mynapp-svc-mp}
spec:
  type: NodePort
  ports:
  - {name: mynapp-http, port: 80, targetPort: 8080}
  - {name: mynapp-https, port: 443, targetPort: 8443, nodePort: 30443}
  selector: {app: mynapp-rs}
---
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  containers:
  - name: web
    image: nginx
    ports: [{containerPort: 80}, {containerPort: 443, name: https}]
    readinessProbe: {httpGet: {port: https, scheme: HTTPS}, periodSeconds: 1}
"""
)
SERVICE = "mynapp-svc-mp"
POD, NODE, CLIENT = "secure.default.box", "secure.worker001", "secure.client"
PATIENCE = 2.0
"""Seconds: far from those that a server waits for a request."""


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with machine(tmp_path_factory.mktemp("secure")) as here:
        here.netlab("up", here.lab_file(LAB), timeout=120)
        yield here


def authority(here: Machine) -> Path:
    return paths.tls(here.base / "run" / "secure") / "ca.crt"


def curl(here: Machine, url: str, *flags: str, place: str = NODE) -> str:
    """What https answers who trusts the lab's CA, and no other."""
    words = ["curl", "-sS", "--max-time", "3", "--cacert", str(authority(here)), *flags, url]
    return here.run_in(place, *words).stdout


def address(here: Machine, service: str = SERVICE) -> str:
    return str(
        json.loads(here.netlab("get", "service", service, "-o", "json").stdout)["spec"]["clusterIP"]
    )


def pod_ip(here: Machine, pod: str) -> str:
    found = json.loads(here.netlab("get", "pod", pod, "-o", "json").stdout)
    return str(found["status"]["podIP"])


def test_the_tutorials_two_ports(here: Machine) -> None:
    """As it is typed in a pod; both ports lead to the same page."""
    plain = here.netlab("exec", "box", "--", "curl", "-s", f"http://{SERVICE}").stdout
    secure = here.netlab("exec", "box", "--", "curl", "-sk", f"https://{SERVICE}").stdout
    assert plain.startswith("Hello World!\nmynapp-rs-")
    assert secure.startswith("Hello World!\nmynapp-rs-")
    refused = here.netlab("exec", "box", "--", "curl", "-s", f"https://{SERVICE}", code=60)
    assert not refused.stdout  # the machine knows nothing of the lab's CA


@pytest.mark.parametrize(
    "name", [SERVICE, f"{SERVICE}.default", f"{SERVICE}.default.svc.cluster.local", "localhost"]
)
def test_the_certificate_has_the_services_names(here: Machine, name: str) -> None:
    resolved = f"{name}:443:{address(here)}"
    assert "mynapp-rs-" in curl(here, f"https://{name}", "--resolve", resolved)


def test_it_has_its_addresses_too(here: Machine) -> None:
    ip = pod_ip(here, "web")
    for url in (f"https://{address(here)}", f"https://{ip}", "https://10.10.11.10:30443"):
        assert curl(here, url), url
    assert curl(here, "https://172.16.110.11:30443", place=CLIENT)
    assert "nginx" in curl(here, "https://web", "--resolve", f"web:443:{ip}")
    mine = ("--resolve", f"other:443:{ip}")
    failed = here.run_in(NODE, "curl", "-s", "--cacert", str(authority(here)), *mine,
                         "https://other", check=False)  # fmt: skip
    assert failed.returncode == 60  # which is why the others count


def test_a_service_that_comes_later_is_in_it(here: Machine) -> None:
    ip = pod_ip(here, "web")
    late = ("--resolve", f"late:443:{ip}")
    with pytest.raises(Exception, match="60"):
        curl(here, "https://late", *late)
    here.netlab("expose", "pod", "web", "--name=late", "--port=443")
    eventually(lambda: curl(here, "https://late", *late))
    here.netlab("delete", "service", "late")


def test_the_wrong_protocol_is_refused_at_once(here: Machine) -> None:
    """TLS on a plain port gets a 400, plain words on the other a close; nobody waits."""
    for url in (f"https://{address(here)}:80", f"http://{address(here)}:443"):
        asked = time.monotonic()
        said = here.run_in(NODE, "curl", "-s", "--max-time", "9", url, check=False)
        assert time.monotonic() - asked < PATIENCE, url
        assert said.returncode not in (0, 28)


def test_without_responder_or_controller_it_goes_on(here: Machine) -> None:
    """The next responder is given certificates anew; the next controller finds them in use."""
    directory = here.base / "run" / "secure"
    url = f"https://{address(here)}"
    os.kill(answering(paths.responder_socket(directory)), signal.SIGKILL)
    eventually(lambda: curl(here, url))
    os.kill(int(paths.controller_pid(directory).read_text()), signal.SIGKILL)
    assert curl(here, url)
    here.netlab("up", here.lab_file(LAB), timeout=120)
    assert curl(here, url)
    here.netlab("expose", "pod", "web", "--name=later", "--port=443")
    resolved = ("--resolve", f"later:443:{pod_ip(here, 'web')}")
    eventually(lambda: curl(here, "https://later", *resolved))


def test_keys_are_nobodys_but_whose_they_are(here: Machine) -> None:
    """The CA's key is root's; of the pods' the responder has a copy in memory, and sees no file."""
    directory = here.base / "run" / "secure"
    for name in ("ca.key", "pods.key"):
        assert (paths.tls(directory) / name).stat().st_mode & 0o077 == 0
    assert paths.tls(directory).stat().st_mode & 0o077 == 0
    root = Path(f"/proc/{answering(paths.responder_socket(directory))}/root")
    assert [path.name for path in root.iterdir()] == ["tmp"]
    assert list((root / "tmp").iterdir()) == []
    context = ssl.create_default_context(cafile=str(authority(here)))
    (shown,) = context.get_ca_certs()
    assert shown["subject"] == ((("commonName", "netlab-ca"),),)
