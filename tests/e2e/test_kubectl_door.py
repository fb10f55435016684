"""How a user gets at the lab with kubectl: the kubeconfig, the verb, and a new controller."""

from __future__ import annotations

import os
import shlex
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e import manifests
from e2e.kubectls import Shell, shell
from e2e.labs import eventually

from netlab.client import kubeconfig
from netlab.client.stream import Join, Terminals, exec_
from netlab.client.sync import Client
from netlab.kernel import paths

pytestmark = pytest.mark.root

LAB = manifests.lab("tutorial", nodes=1)
SOMEBODY = 54321


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    """A lab brought up by sudo."""
    monkeypatch.setenv("SUDO_UID", str(SOMEBODY))
    with shell(tmp_path, LAB) as opened:
        yield opened


def directory(lab: Shell) -> Path:
    return lab.here.base / "run" / lab.lab


def test_the_kubeconfig_is_the_users_own(lab: Shell) -> None:
    path = paths.kubeconfig(directory(lab))
    assert (path.stat().st_uid, stat.S_IMODE(path.stat().st_mode)) == (SOMEBODY, 0o600)
    assert lab.here.netlab("kubeconfig").stdout == path.read_text()
    assert lab.here.netlab("kubeconfig", "--path").stdout == f"{path}\n"
    line = lab.here.netlab("kubeconfig", "--export").stdout
    assert line == f"export KUBECONFIG={shlex.quote(str(path))}\n"
    assert "node/master001" in lab(f"unset KUBECONFIG; {line.strip()}; kubectl get node -o name")


def test_our_own_clients_take_it_as_well(lab: Shell) -> None:
    """Whoever has a kubeconfig can be a client, of this API server or another."""
    server = kubeconfig.read([paths.kubeconfig(directory(lab))]).endpoint
    assert server.url.startswith("https://127.0.0.1:")
    lab("kubectl run web --image=nginx; kubectl wait --for=condition=Ready pod/web --timeout=20s")
    lab("kubectl exec web -- true")
    with Client(server) as client:
        assert [pod["metadata"]["name"] for pod in client.list("Pod", "default")] == ["web"]
        client.patch("Pod", "default", "web", {"metadata": {"labels": {"seen": "true"}}})
        assert lab("kubectl get pod -l seen -o name") == "pod/web\n"
        next(event for event in client.watch("Pod", "default"))
        ip = client.get("Pod", "default", "web")["status"]["podIP"]
        lab(f"kubectl exec web -- curl -s {ip}")
        assert b"GET / HTTP/1.1" in b"".join(client.logs("default", "web"))
    (reading, writing) = os.pipe()
    join = Join("default", "web", terminals=Terminals(stdout=writing))
    assert exec_(server, join, ["sh", "-c", "hostname; exit 3"]) == 3
    os.close(writing)
    with os.fdopen(reading) as said:
        assert said.read() == "web\n"


def test_netlab_kubectl_passes_everything_on(lab: Shell) -> None:
    names = lab.here.netlab("kubectl", "get", "ns", "-o", "name").stdout
    assert "namespace/default\n" in names
    named = lab.here.netlab("--lab", "tutorial", "kubectl", "get", "--help").stdout
    assert "Display one or many resources" in named
    assert "NotFound" in lab.here.netlab("kubectl", "get", "pod", "x", code=1).stderr
    assert "get pods -A" in lab.here.netlab("help", "kubectl").stdout


def test_no_lab_no_kubeconfig(lab: Shell) -> None:
    said = lab.here.netlab("--lab", "other", "kubectl", "get", "pods", code=1).stderr
    assert "there is no lab named other" in said


def test_a_kubeconfig_outlives_its_controller(lab: Shell) -> None:
    assert lab("kubectl get node -o name")
    before = paths.kubeconfig(directory(lab)).read_text()
    controller = int(paths.controller_pid(directory(lab)).read_text())
    os.kill(controller, signal.SIGKILL)
    lab.here.netlab("up", lab.here.base / "lab.yaml")
    eventually(lambda: lab.run("kubectl get node").returncode == 0)
    assert paths.kubeconfig(directory(lab)).read_text() == before
    lab("kubectl create configmap made-later")
