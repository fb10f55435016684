"""The same verbs with every kubectl of this machine, each the way it has them on the wire:
JSON or protobuf bodies, SPDY or websockets, OpenAPI 2 or 3."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator

import pytest
from e2e import manifests
from e2e.kubectls import Shell, installed, shell
from e2e.labs import eventually

pytestmark = pytest.mark.root

LAB = manifests.lab("tutorial") + manifests.box("box")

WEB = manifests.web()

KEEPERS = "".join(
    f"""
---
apiVersion: apps/v1
kind: {kind}
metadata: {{name: keeper, annotations: {{kubernetes.io/change-cause: begun}}}}
spec:
  selector: {{matchLabels: {{app: {kind}}}}}
  template:
    metadata: {{labels: {{app: {kind}}}}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{{name: c, image: "nginx:1", env: [{{name: A, value: "b > c && d"}}]}}]
"""
    for kind in ("DaemonSet", "StatefulSet")
)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """One lab for all: every test takes away what it made."""
    with shell(tmp_path_factory.mktemp("versions"), LAB) as opened:
        yield opened


RELEASES = [*installed()] or ["none: sudo scripts/setup --dev"]
# What lies between the oldest and the newest has the wire of either.
BETWEEN = [pytest.param(release, marks=pytest.mark.slow) for release in RELEASES[1:-1]]


@pytest.fixture(params=[RELEASES[0], *BETWEEN, *RELEASES[1:][-1:]])
def kubectl(lab: Shell, request: pytest.FixtureRequest) -> Shell:
    """The lab's shell with one of the kubectls."""
    lab.use(installed()[request.param])
    return lab


def test_objects_are_applied_changed_and_deleted(kubectl: Shell) -> None:
    run = kubectl
    assert run("kubectl apply -f -", WEB) == "deployment.apps/web created\n"
    assert run("kubectl apply -f -", WEB) == "deployment.apps/web unchanged\n"
    assert run("kubectl diff -f -", WEB) == ""
    wrong = run.run("kubectl apply -f -", WEB.replace("replicas", "replica"))
    # kubectl's own finding before 1.25, which knows no path; the server's afterwards.
    assert re.search(r'unknown field "(spec\.)?replica"', wrong.stdout)
    assert "successfully rolled out" in run("kubectl rollout status deploy/web --timeout=20s")
    assert run("kubectl expose deploy web --port=80") == "service/web exposed\n"
    assert run("kubectl scale deploy web --replicas=0") == "deployment.apps/web scaled\n"
    assert run("kubectl apply --server-side --force-conflicts -f -", WEB)
    assert run("kubectl set image deploy/web c=nginx:2") == "deployment.apps/web image updated\n"
    assert run("kubectl label svc web x=y") == "service/web labeled\n"
    assert re.search("FIELD: +port <integer>", run("kubectl explain service.spec.ports.port"))
    assert run("kubectl delete svc/web deploy/web --timeout=20s") == (
        'service "web" deleted\ndeployment.apps "web" deleted\n'
    )


def test_server_side_apply_knows_whose_fields_they_are(kubectl: Shell) -> None:
    run = kubectl
    labelled = WEB.replace("{name: web}", "{name: web, labels: {a: b}}", 1)
    apply = "kubectl apply --server-side -f -"
    assert run(apply, labelled) == "deployment.apps/web serverside-applied\n"
    run("kubectl scale deploy web --replicas=0")
    refused = run.run(apply, labelled)
    assert refused.returncode == 1
    assert re.search(
        r'conflict with "kubectl\S*"( with subresource "scale")? using', refused.stdout
    )
    run(f"{apply} --force-conflicts", labelled)
    run(apply, WEB)
    shown = run("kubectl get deploy web -o jsonpath='{.spec.replicas} {.metadata.labels}'")
    assert shown.strip() == "2"
    assert "manager: kubectl" not in run.here.netlab("get", "deploy", "web", "-oyaml").stdout
    assert (
        "manager: kubectl"
        in run.here.netlab("get", "deploy", "web", "-oyaml", "--show-managed-fields").stdout
    )
    run("kubectl delete deploy web --timeout=20s")


def test_histories_are_told_and_undone(kubectl: Shell) -> None:
    run, keepers = kubectl, ("daemonset.apps/keeper", "statefulset.apps/keeper")
    both = " ".join(keepers)

    def of_both(text: str) -> str:
        return "".join(text.replace("IT", it) for it in keepers)

    def settle() -> None:
        for it in keepers:
            run(f"kubectl rollout status {it} --timeout=20s")

    run("kubectl create -f -", KEEPERS)
    settle()
    for it in keepers:
        nowhere = run.run(f"kubectl rollout undo {it}")
        assert nowhere.stdout == "error: no last revision to roll back to\n"
    run(f"kubectl annotate {both} --overwrite kubernetes.io/change-cause=changed")
    run(f"kubectl set image {both} c=nginx:2")
    settle()
    told = run(f"kubectl rollout history {both}")
    assert told == of_both("IT \nREVISION  CHANGE-CAUSE\n1         begun\n2         changed\n\n")
    assert run.here.netlab("rollout", "history", *keepers).stdout == told
    shown = run(f"kubectl rollout history {both} --revision=1")
    assert shown.count("keeper with revision #1\nPod Template:\n  Labels:\tapp=") == 2
    assert shown.count("Image:\tnginx:1\n") == 2
    assert run(f"kubectl rollout undo {both} --to-revision=2") == of_both(
        "IT skipped rollback (current template already matches revision 2)\n"
    )
    assert run(f"kubectl rollout undo {both} --dry-run=server") == of_both(
        "IT rolled back (server dry run)\n"
    )
    assert run(f"kubectl rollout undo {both}") == of_both("IT rolled back\n")
    settle()
    image = "jsonpath={.items[*].spec.containers[0].image}"
    pods = run(f"kubectl get pods -l 'app in (DaemonSet, StatefulSet)' -o {image}")
    assert set(pods.split()) == {"nginx:1"}
    table = run("kubectl get controllerrevisions --no-headers")
    assert sorted(line.split()[1:3] for line in table.splitlines()) == [
        [it, number] for it in keepers for number in ("2", "3")
    ]
    run(f"kubectl delete {both} --cascade=foreground --timeout=20s")
    assert "No resources found" in run("kubectl get controllerrevisions")


def test_objects_are_created_without_a_file(kubectl: Shell) -> None:
    run = kubectl
    run("kubectl create namespace made")
    for line in (
        "deployment d --image=nginx --replicas=0",
        "service nodeport s --tcp=80:8080",
        "service clusterip h --clusterip=None",
        "service externalname e --external-name=example.com",
        "configmap c --from-literal=a=b",
        "secret generic s --from-literal=a=b",
        "ingress i --rule=host/path=s:80",
        "serviceaccount a",
    ):
        assert " created" in run(f"kubectl -n made create {line}")
    assert run("kubectl -n made get deploy d -o jsonpath={.spec.replicas}") == "0"
    assert run("kubectl -n made get secret s -o jsonpath={.data.a}") == "Yg=="
    assert run("kubectl -n made get svc s -o jsonpath={.spec.ports[0].targetPort}") == "8080"
    assert run("kubectl -n made get ing i -o jsonpath={.spec.rules[0].http.paths[0].path}") == (
        "/path"
    )
    assert run("kubectl delete namespace made --timeout=20s") == 'namespace "made" deleted\n'


def test_commands_run_in_pods(kubectl: Shell) -> None:
    run = kubectl
    failed = run.run("kubectl exec box -- sh -c 'echo out; echo err >&2; exit 7'")
    assert failed.returncode == 7
    assert {"out", "err"} <= set(failed.stdout.splitlines())
    assert run("kubectl exec -i box -- cat", "typed") == "typed"
    assert run(f"kubectl exec box -- echo {'a' * 20_000}") == "a" * 20_000 + "\n"
    said = run.in_terminal("kubectl exec -it box -- bash", ["stty size", "exit 3"])
    assert said.returncode == 3
    assert "\n24 120\n" in said.stdout
    (run.directory / "file").write_text("content")
    run("kubectl cp file box:/tmp/copied && kubectl cp box:/tmp/copied back 2>/dev/null")
    assert (run.directory / "back").read_text() == "content"
    once = "kubectl run once -i --rm --restart=Never --image=busybox -- echo said"
    assert "said" in run(once).splitlines()  # on a busy machine it first tells of a prompt
    assert run("kubectl auth can-i delete pods") == "yes\n"


def test_ports_are_forwarded(kubectl: Shell) -> None:
    run = kubectl
    run("kubectl run page --image=nginx --port=80 && kubectl wait --for=condition=Ready pod/page")
    forwarding = run.start("exec kubectl port-forward pod/page :80", stdout=subprocess.PIPE)
    try:
        assert forwarding.stdout is not None
        port = re.search(rb"127.0.0.1:(\d+)", forwarding.stdout.readline())
        assert port is not None
        for _ in range(3):
            page = run(f"curl -sS --max-time 3 http://127.0.0.1:{port[1].decode()}/")
            assert "nginx" in page
    finally:
        forwarding.terminate()
        forwarding.wait()
        forwarding.stdout.close()
        run("kubectl delete pod page --now")


def test_logs_are_followed(kubectl: Shell) -> None:
    run = kubectl
    run("kubectl run ticker --image=busybox -- sh -c 'while true; do echo tick; sleep 0.1; done'")
    eventually(lambda: "tick" in run("kubectl logs ticker"))
    followed = run.run("timeout 2 kubectl logs -f --tail=1 ticker")
    assert followed.stdout.count("tick") > 5
    attached = run.run("timeout 2 kubectl attach ticker")
    assert attached.stdout.count("tick") > 5
    run("kubectl delete pod ticker --now")


def test_what_is_not_served_is_told(kubectl: Shell) -> None:
    run = kubectl
    for line, words in (
        ("kubectl get netpol", 'the server doesn\'t have a resource type "netpol"'),
        ("kubectl top pods", "Metrics API not available"),
        ("kubectl get pod nobody", 'pods "nobody" not found'),
    ):
        done = run.run(line)
        assert done.returncode == 1
        assert words in done.stdout
    assert re.search(
        r"control plane.* is running at .*https://127.0.0.1:", run("kubectl cluster-info")
    )
    assert "+netlab" in run("kubectl version")
    assert "deploy " in run("kubectl api-resources")
