"""create, rollout, set, label, annotate, patch, wait, edit against a lab, beside real kubectl.

Where kubectl is installed, each line is said by both, each about a Deployment of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e import manifests
from e2e.labs import ROOT, Machine, machine

pytestmark = pytest.mark.root

LAB = manifests.lab("changes")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with machine(tmp_path_factory.mktemp("changes")) as here:
        here.netlab("up", here.lab_file(LAB))
        yield here


def out(lab: Machine, line: str, code: int = 0) -> str:
    """What a command line prints."""
    return lab.netlab(*line.split(), code=code).stdout


# Each line in turn, with its exit code and what it prints; NAME is a Deployment's.
SESSION = [
    ("create deployment NAME --image=nginx --replicas=2", 0, "deployment.apps/NAME created\n"),
    ("create deployment NAME --image=nginx", 1, ""),
    ("rollout status deploy/NAME", 0, 'deployment "NAME" successfully rolled out\n'),
    ("wait --for=condition=Available deploy/NAME", 0, "deployment.apps/NAME condition met\n"),
    ("set image deploy/NAME nginx=nginx:2", 0, "deployment.apps/NAME image updated\n"),
    ("set image deploy/NAME nginx=nginx:2", 0, ""),
    ("set image deploy/NAME other=nginx:2", 1, ""),
    ("annotate deploy/NAME kubernetes.io/change-cause=newer", 0,
     "deployment.apps/NAME annotated\n"),
    ("rollout status deploy NAME", None, None),
    ("rollout history deploy/NAME", 0,
     "deployment.apps/NAME \nREVISION  CHANGE-CAUSE\n1         <none>\n2         newer\n\n"),
    ("rollout history deploy/NAME --revision=9", 1, ""),
    ("rollout undo deploy/NAME --to-revision=9", 1, ""),
    ("rollout undo deploy/NAME", 0, "deployment.apps/NAME rolled back\n"),
    ("rollout status deploy/NAME", None, None),
    ("rollout undo deploy/NAME --to-revision=3", 0,
     "deployment.apps/NAME skipped rollback (current template already matches revision 3)\n"),
    ("rollout pause deploy/NAME", 0, "deployment.apps/NAME paused\n"),
    ("rollout pause deploy/NAME", 1, ""),
    ("rollout undo deploy/NAME", 1, ""),
    ("rollout restart deploy/NAME", 1, ""),
    ("rollout resume deploy/NAME", 0, "deployment.apps/NAME resumed\n"),
    ("rollout resume deploy/NAME", 1, ""),
    ("rollout restart deploy NAME", 0, "deployment.apps/NAME restarted\n"),
    ("label deploy NAME tier=front", 0, "deployment.apps/NAME labeled\n"),
    ("label deploy NAME tier=front", 0, "deployment.apps/NAME not labeled\n"),
    ("label deploy NAME tier=back", 1, ""),
    ("label deploy NAME tier=back --overwrite", 0, "deployment.apps/NAME labeled\n"),
    ("label deploy NAME tier-", 0, "deployment.apps/NAME unlabeled\n"),
    ("label deploy NAME tier-", 0,
     'label "tier" not found.\ndeployment.apps/NAME not labeled\n'),
    ("label deploy -l app=NAME a=b --dry-run=server", 0,
     "deployment.apps/NAME labeled (server dry run)\n"),
    ("patch deploy/NAME -p '{\"spec\":{\"replicas\":1}}'", 0, "deployment.apps/NAME patched\n"),
    ("patch deploy/NAME -p '{\"spec\":{\"replicas\":1}}'", 0,
     "deployment.apps/NAME patched (no change)\n"),
    ("wait --for=jsonpath={.status.readyReplicas}=1 deploy/NAME", 0,
     "deployment.apps/NAME condition met\n"),
    ("wait --for=condition=Other deploy/NAME --timeout=1s", 1, ""),
    ("wait --for=delete pod/NAME", 0, ""),
    ("wait --for=condition=Ready pod -l app=none", 1, ""),
    ("expose deploy/NAME --port=80 --dry-run=client", 0, "service/NAME exposed (dry run)\n"),
    ("create service clusterip NAME --tcp=80:8080", 0, "service/NAME created\n"),
    ("create configmap NAME --from-literal=a=b", 0, "configmap/NAME created\n"),
    ("create secret generic NAME --from-literal=a=b", 0, "secret/NAME created\n"),
    ("create namespace NAME", 0, "namespace/NAME created\n"),
]  # fmt: skip


def said(lab: Machine, words: list[str]) -> tuple[int, str]:
    with lab.start(*words) as command:
        stdout, stderr = command.communicate(timeout=30)
    assert "Traceback" not in stderr
    return command.returncode, stdout


@pytest.mark.parametrize("speaker", ["netlab", "kubectl"])
def test_a_session(lab: Machine, speaker: str) -> None:
    first = ["kubectl"] if speaker == "kubectl" else []
    for line, code, printed in SESSION:
        words = [word.strip("'") for word in line.replace("NAME", speaker).split()]
        found = said(lab, first + words)
        if printed is None:  # how long it takes is nobody's promise
            assert found[0] == 0
            assert found[1].endswith(f'deployment "{speaker}" successfully rolled out\n')
        else:
            assert found == (code, printed.replace("NAME", speaker)), line


# -- what each does, beyond what it says -----------------------------------------------------


def test_a_rollout_is_followed_until_it_is_done(lab: Machine) -> None:
    out(lab, "create deployment slow --image=nginx --replicas=2")
    out(lab, "rollout status deploy/slow")
    patch = '{"spec": {"minReadySeconds": 2, "template": {"metadata": {"labels": {"new": "1"}}}}}'
    lab.netlab("patch", "deploy/slow", "-p", patch)
    assert "Waiting for deployment" in out(lab, "rollout status deploy/slow --watch=false")
    late = lab.netlab("rollout", "status", "deploy/slow", "--timeout=200ms", code=1)
    assert late.stderr.startswith("error: timed out waiting for the condition\n")
    *waiting, last = out(lab, "rollout status deploy/slow").splitlines()
    assert last == 'deployment "slow" successfully rolled out'
    assert waiting
    assert all(line.startswith('Waiting for deployment "slow" rollout') for line in waiting)
    lab.netlab("delete", "deploy", "slow")


def test_undo_brings_the_image_back(lab: Machine) -> None:
    image = "-o=jsonpath={.spec.template.spec.containers[0].image}"
    out(lab, "create deployment back --image=nginx:1")
    out(lab, "rollout status deploy/back")
    out(lab, "set image deploy/back nginx=nginx:2")
    out(lab, "rollout status deploy/back")
    assert out(lab, f"get deploy back {image}") == "nginx:2"
    out(lab, "rollout undo deploy/back")
    assert out(lab, f"get deploy back {image}") == "nginx:1"
    lab.netlab("delete", "deploy", "back")


def test_what_a_lab_does_not_give_is_warned_of(lab: Machine) -> None:
    pod = "{apiVersion: v1, kind: Pod, metadata: {name: NAME}, spec: {hostIPC: true, containers: "
    pod += "[{name: c, image: nginx}]}}\n"
    words = "host namespaces (hostIPC=true): the pod shares no memory with the machine\n"
    for name, verb in (("one", ["apply", "-f"]), ("two", ["kubectl", "apply", "-f"])):
        done = lab.netlab(*verb, lab.lab_file(pod.replace("NAME", name), "pod.yaml"))
        assert (done.stdout, done.stderr) == (f"pod/{name} created\n", f"Warning: {words}")
    up = lab.netlab("up", "-q", lab.lab_file(f"{LAB}---\n{pod.replace('NAME', 'three')}"))
    assert up.stderr == f"Warning: pod/three: {words}"
    assert lab.netlab("up", "-q", lab.base / "lab.yaml").stderr == ""
    lab.netlab("delete", "pod", "one", "two", "three")


def test_create_from_a_file_refuses_what_exists(lab: Machine) -> None:
    text = "".join(
        f"---\n{{apiVersion: v1, kind: ConfigMap, metadata: {{name: file-{n}}}}}\n" for n in (1, 2)
    )
    file = lab.lab_file(text, "maps.yaml")
    out(lab, "create configmap file-1")
    done = lab.netlab("create", "-f", file, code=1)
    assert done.stdout == "configmap/file-2 created\n"
    assert done.stderr == (
        f'error: error when creating "{file}": configmaps "file-1" already exists\n'
        f"  hint: netlab apply -f {file} changes what exists to match\n"
    )


def test_wait_for_a_deletion_and_a_creation(lab: Machine) -> None:
    with lab.start("wait", "--for=create", "cm/awaited") as waiting:
        out(lab, "create configmap awaited")
        assert waiting.communicate(timeout=5) == ("configmap/awaited condition met\n", "")
    with lab.start("wait", "--for=jsonpath={.data.a}=b", "cm/awaited") as waiting:
        lab.netlab("patch", "cm/awaited", "--type=merge", "-p", "data: {a: b}")
        assert waiting.communicate(timeout=5) == ("configmap/awaited condition met\n", "")
    lab.netlab("delete", "cm", "awaited")
    assert out(lab, "wait --for=delete cm/awaited") == ""


def test_delete_all_leaves_out_what_goes_with_its_owner(lab: Machine) -> None:
    """And does not wait for the kubernetes Service to stay away, which comes back."""
    out(lab, "create namespace full")
    out(lab, "create deployment web --image=nginx -n full")
    out(lab, "rollout status deploy/web -n full")
    done = lab.netlab("delete", "all", "--all", "-n", "full", timeout=20)
    assert 'deployment.apps "web" deleted\n' in done.stdout
    assert done.stderr == ""
    assert out(lab, "delete svc kubernetes") == 'service "kubernetes" deleted\n'


EDITOR = """\
import pathlib, sys
file = pathlib.Path(sys.argv[1])
text = file.read_text()
log = pathlib.Path(sys.argv[0]).with_suffix(".log")
log.open("a").write(text + "=====\\n")
file.write_text(text.replace("a: broken", "a: mended").replace("- 1", "").replace("a: b\\n",
                "a: broken\\n  - 1\\n"))
"""


def test_edit_opens_again_with_what_is_wrong(lab: Machine, tmp_path: Path) -> None:
    out(lab, "create configmap edited --from-literal=a=b")
    editor = tmp_path / "editor.py"
    editor.write_text(EDITOR)
    done = subprocess.run(
        [sys.executable, "-m", "netlab", "edit", "cm", "edited"],
        env={**lab.environment, "EDITOR": f"{sys.executable} {editor}"},
        cwd=ROOT, capture_output=True, text=True, timeout=20,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("configmap/edited edited\n", "")
    first, second, _ = editor.with_suffix(".log").read_text().split("=====\n")
    assert first.startswith("# Please edit the object below.")
    assert "# configmap/edited was not valid:\n# * edited:" in second
    found = json.loads(out(lab, "get cm edited -o json"))
    assert found["data"] == {"a": "mended"}


def test_edit_without_a_change(lab: Machine) -> None:
    out(lab, "create configmap untouched")
    done = subprocess.run(
        [sys.executable, "-m", "netlab", "edit", "cm/untouched"],
        env={**lab.environment, "EDITOR": "true"},
        cwd=ROOT, capture_output=True, text=True, timeout=20,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "Edit cancelled, no changes made.\n")


@pytest.mark.parametrize(
    "line",
    [
        "create deployment x --image=a/b:1 --image=c --port=80 -o yaml",
        "create deployment x --image=a -n other -o yaml -- sleep 5",
        "create service nodeport x --tcp=80 --tcp=81:http -o yaml",
        "create service externalname x --external-name=a.b -o yaml",
        "create configmap x --from-literal=a=1 --from-file=pyproject.toml -o yaml",
        "create secret generic x --from-literal=a=1 -o yaml",
        "create namespace x -o yaml",
        "run x --image=nginx --port=80 --env=A=1 -o yaml",
    ],
)
def test_what_is_written_for_a_file_is_kubectls(lab: Machine, line: str) -> None:
    line = line.replace(" -o yaml", " --dry-run=client -o yaml")
    assert out(lab, line) == out(lab, f"kubectl {line}")


def test_containers_and_checks_complete(lab: Machine) -> None:
    out(lab, "create deployment two --image=nginx --image=busybox")
    done = lab.netlab("__complete", "logs", "deploy/two", "-c", "")
    assert done.stdout.split() == ["nginx", "busybox"]
    checks = lab.lab_file(
        "{apiVersion: netlab/v1, kind: PathCheck, metadata: {name: closed}, spec: {from: {pod: a},"
        " to: {node: worker001, nodePort: 30081}, expect: {outcome: refused}}}\n",
        "check.yaml",
    )
    assert lab.netlab("__complete", "check", checks, "--only", "").stdout == "closed\n"
