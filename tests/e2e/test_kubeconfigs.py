"""netlab's verbs against what a kubeconfig tells of: another user's lab, by its TLS door."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e import manifests
from e2e.labs import Done, Machine, eventually, machine
from msgspec import Struct

pytestmark = pytest.mark.root

THERE = manifests.lab("there", nodes=1) + manifests.web(replicas=1) + manifests.service()
BOX = manifests.box("box")


class Far(Struct):
    """Somebody who has no lab, and the kubeconfig of one."""

    owner: Machine
    here: Machine
    kubeconfig: Path

    def __call__(self, *argv: str | Path, code: int = 0) -> Done:
        """A verb against that lab."""
        return self.here.netlab("--kubeconfig", self.kubeconfig, *argv, code=code)


@pytest.fixture(scope="module")
def far(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Far]:
    base = tmp_path_factory.mktemp("far")
    with machine(base / "there") as owner, machine(base / "here") as here:
        (base / "there").mkdir()
        (base / "here").mkdir()
        owner.netlab("up", owner.lab_file(THERE))
        path = base / "config"
        path.write_text(owner.netlab("kubeconfig").stdout)
        path.chmod(0o600)
        yield Far(owner, here, path)


def test_objects(far: Far) -> None:
    assert "web" in far("get", "deploy,svc").stdout
    assert far("get", "nodes", "-o", "name").stdout == "node/master001\n"
    listed = json.loads(far("get", "pods", "-o", "json").stdout)
    assert {(item["apiVersion"], item["kind"]) for item in listed["items"]} == {("v1", "Pod")}
    described = far("describe", "svc/web").stdout
    assert "Endpoints:" in described
    assert far("apply", "-f", far.here.lab_file(BOX)).stdout == "pod/box created\n"
    far("wait", "pod/box", "--for=condition=Ready")
    assert far("apply", "-f", far.here.lab_file(BOX)).stdout == "pod/box unchanged\n"
    assert "box" in far.owner.netlab("get", "pods").stdout
    assert far("delete", "pod", "box", "--now").stdout == 'pod "box" deleted\n'


def test_changes(far: Far) -> None:
    far("scale", "deploy/web", "--replicas=2")
    far("rollout", "status", "deploy/web")
    far("label", "deploy/web", "tier=front")
    far("patch", "deploy/web", "-p", '{"metadata": {"annotations": {"by": "far"}}}')
    found = json.loads(far.owner.netlab("get", "deploy/web", "-o", "json").stdout)
    assert found["status"]["readyReplicas"] == 2
    assert found["metadata"]["labels"]["tier"] == "front"
    assert found["metadata"]["annotations"]["by"] == "far"


def test_inside_pods(far: Far) -> None:
    far("apply", "-f", far.here.lab_file(BOX))
    far("wait", "pod/box", "--for=condition=Ready")
    assert far("exec", "box", "--", "sh", "-c", "echo $0; exit 7", code=7).stdout == "sh\n"
    far("run", "talker", "--image=busybox", "--restart=Never", "--", "echo", "so far")
    eventually(lambda: far("logs", "talker").stdout == "so far\n")
    said = far("run", "--rm", "-i", "asked", "--image=busybox", "--restart=Never", "--", "id", "-u")
    assert said.stdout.startswith("0\n")


def test_a_service_that_fails_says_why(far: Far) -> None:
    """From the API alone: nobody here can look into its pods."""
    lost = manifests.service(selector={"app": "wbe"}).replace("name: web", "name: lost")
    far("apply", "-f", far.here.lab_file(lost))
    assert "selector app=wbe matches no pod" in far("describe", "svc/lost").stdout


def test_the_namespace_is_the_contexts_own(far: Far) -> None:
    mine = far.here.base / "mine"
    mine.write_text(
        far.kubeconfig.read_text().replace("context: {", "context: {namespace: kube-system, ")
    )
    said = far.here.netlab("get", "svc", "-o", "name", "--kubeconfig", mine).stdout
    assert said == "service/kube-dns\n"
    said = far.here.netlab("get", "svc/web", "-n", "default", f"--kubeconfig={mine}").stdout
    assert "web" in said


def test_its_own_lab_stays_what_is_meant(far: Far, monkeypatch: pytest.MonkeyPatch) -> None:
    """KUBECONFIG is there for another cluster; --context says that it is meant."""
    monkeypatch.setenv("KUBECONFIG", str(far.kubeconfig))
    assert "no lab is running" in far.here.netlab("get", "nodes", code=1).stderr
    said = far.here.netlab("get", "nodes", "-o", "name", "--context", "netlab-there").stdout
    assert said == "node/master001\n"
    refused = far.here.netlab("get", "nodes", "--context", "netlab-theer", code=2).stderr
    assert f'{far.kubeconfig}: has no context "netlab-theer"\n  hint: did you mean' in refused
    far.here.netlab("up", far.here.lab_file(manifests.lab("own", nodes=2)))
    try:
        listed = "node/master001\nnode/worker001\n"
        assert far.here.netlab("get", "nodes", "-o", "name").stdout == listed
        assert far("get", "nodes", "-o", "name").stdout == "node/master001\n"
        assert "say two things" in far("--lab", "own", "get", "nodes", code=2).stderr
    finally:
        far.here.netlab("down")


@pytest.mark.parametrize(
    "words", [("rules", "svc/web"), ("check",), ("down",), ("status",), ("kubectl", "get", "pods")]
)
def test_what_looks_into_this_machine_refuses(far: Far, words: tuple[str, ...]) -> None:
    said = far(*words, code=2).stderr
    assert said.startswith(f"error: netlab {words[0]} works on this machine itself")
    assert "--lab LAB" in said


def test_a_key_of_somebody_elses(far: Far) -> None:
    """Another lab's authority vouches for nobody here, and its key opens nothing."""
    other = Machine(far.here.base)
    other.netlab("up", other.lab_file(manifests.lab("other", nodes=1)))
    try:
        config = other.netlab("kubeconfig", "--lab", "other").stdout
        port = _server(far.kubeconfig.read_text())
        path = far.here.base / "wrong"
        path.write_text(config.replace(_server(config), port))
        said = far.here.netlab("get", "pods", "--kubeconfig", path, code=1).stderr
        assert "certificate verify failed" in said
        assert "the kubeconfig is of now" in said
    finally:
        other.netlab("down")


def _server(config: str) -> str:
    return next(line for line in config.splitlines() if "server:" in line)


def test_completion(far: Far) -> None:
    before = ("__complete", "--kubeconfig", str(far.kubeconfig))
    assert "web" in far.here.netlab(*before, "get", "svc", "").stdout.splitlines()
    assert far.here.netlab(*before, "get", "--context", "").stdout == "netlab-there\n"


def test_a_lab_that_is_gone(tmp_path: Path) -> None:
    with machine(tmp_path) as here:
        here.netlab("up", here.lab_file(manifests.lab("brief", nodes=1)))
        path = tmp_path / "config"
        path.write_text(here.netlab("kubeconfig").stdout)
        here.netlab("down")
        said = here.netlab("get", "pods", "--kubeconfig", path, code=1).stderr
        assert said.startswith("error: no API server answers at https://127.0.0.1:")
        assert "a lab's is good until the lab is taken down" in said
