"""Every verb against one lab, as somebody types it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e import manifests
from e2e.labs import ROOT, Machine, eventually, machine

pytestmark = pytest.mark.root

LAB = (
    manifests.lab("cli", nodes=3)
    + manifests.web()
    + manifests.service(type="NodePort", ports=[{"port": 80, "nodePort": 30080}])
    + """\
---
apiVersion: v1
kind: Service
metadata: {name: headless}
spec: {clusterIP: None, selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Pod
metadata: {name: client, labels: {run: client}}
spec:
  containers:
  - {name: client, image: curlimages/curl, command: [sh, -c, "echo started; sleep infinity"]}
"""
)

CHECK = """\
apiVersion: netlab/v1
kind: PathCheck
metadata: {name: closed}
spec: {from: {pod: client}, to: {node: worker001, nodePort: 30081}, expect: {outcome: refused}}
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with machine(tmp_path_factory.mktemp("cli")) as here:
        up = here.netlab("up", here.lab_file(LAB)).stdout
        assert up.startswith("deployment.apps/web created\nservice/web created\n")
        assert re.search(r"^lab cli is up \(\d+\.\d\d s\)$", up, re.MULTILINE)
        yield here


def lines(lab: Machine, *argv: str) -> list[str]:
    return lab.netlab(*argv).stdout.splitlines()


# -- get -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argv", "names"),
    [
        (["get", "svc"], {"headless", "kubernetes", "web"}),
        (["get", "svc", "-l", "component=apiserver"], {"kubernetes"}),
        (["get", "po", "client", "-owide"], {"client"}),
        (["get", "pods", "--field-selector", "metadata.name=client"], {"client"}),
        (["get", "deploy,svc", "web"], {"deployment.apps/web", "service/web"}),
        (["get", "no"], {"master001", "worker001", "worker002"}),
        (["get", "--namespace=kube-system", "svc"], {"kube-dns"}),
        (["-n", "kube-system", "get", "svc"], {"kube-dns"}),
    ],
)
def test_get_lists(lab: Machine, argv: list[str], names: set[str]) -> None:
    assert {line.split()[0] for line in lines(lab, *argv, "--no-headers") if line} == names


def test_get_shows_what_there_is_and_names_what_is_not(lab: Machine) -> None:
    done = lab.netlab("get", "svc", "nosuch", "web", code=1)
    assert done.stdout.splitlines()[1].startswith("web    NodePort ")
    assert done.stderr.startswith('error: services "nosuch" not found\n')
    assert lab.netlab("get", "svc", "nosuch", "--ignore-not-found").stdout == ""


def test_get_says_when_there_is_nothing(lab: Machine) -> None:
    done = lab.netlab("get", "secrets")
    assert (done.stdout, done.stderr) == ("", "No resources found in default namespace.\n")


def test_get_in_other_forms(lab: Machine) -> None:
    assert lines(lab, "get", "svc", "web", "-o", "name") == ["service/web"]
    assert lines(lab, "get", "deploy", "-o", "name") == ["deployment.apps/web"]
    whole = json.loads(lab.netlab("get", "svc,deploy", "-o", "json").stdout)
    assert (whole["kind"], len(whole["items"])) == ("List", 4)
    assert "nodePort: 30080\n" in lab.netlab("get", "svc", "web", "-o", "yaml").stdout
    template = "jsonpath={.items[*].metadata.name}"
    assert lab.netlab("get", "svc", "-o", template).stdout == "headless kubernetes web"
    columns = "custom-columns=NAME:.metadata.name,PORT:.spec.ports[*].nodePort"
    found = lines(lab, "get", "svc", "-o", columns, "--sort-by=.spec.clusterIP")
    assert found[0].split() == ["NAME", "PORT"]
    assert found[-1].split() == ["headless", "<none>"]
    assert ["web", "30080"] in [line.split() for line in found]


def test_get_watches_until_it_is_interrupted(lab: Machine) -> None:
    with lab.start("get", "pods", "-w", "-l", "run=watched") as watching:
        time.sleep(0.3)
        lab.netlab("run", "watched", "--image=busybox")
        assert watching.stdout is not None
        assert watching.stdout.readline().split()[0] == "NAME"
        assert watching.stdout.readline().split()[0] == "watched"
        watching.send_signal(signal.SIGINT)
        assert watching.wait(5) == 130
        assert watching.stderr is not None
        assert watching.stderr.read().strip() == ""
    lab.netlab("delete", "pod", "watched", "--force")


# -- the other verbs -----------------------------------------------------------------------


def without_ages(text: str) -> str:
    age = r"(?:\d+[smhd])+"
    since = rf"(?<= ){age}(?: \(x\d+ over {age}\))?(?=  |$)"
    return re.sub(since, "AGE", text.rstrip(), flags=re.MULTILINE)


@pytest.mark.parametrize(
    "what",
    ["pods", "svc/web", "svc/headless", "deploy", "rs", "endpointslices", "sa", "servicecidr"],
)
def test_describe_is_kubectls(lab: Machine, what: str) -> None:
    ours = lab.netlab("describe", what).stdout
    theirs = lab.netlab("kubectl", "describe", what).stdout
    assert re.sub(" +", " ", without_ages(ours)) == re.sub(" +", " ", without_ages(theirs))


def test_describe_node_is_kubectls_with_its_lease(lab: Machine) -> None:
    def text(*words: str) -> str:
        said = lab.netlab(*words, "describe", "node", "worker001").stdout
        return re.sub("RenewTime: .*", "RenewTime", re.sub(" +", " ", without_ages(said)))

    assert "HolderIdentity: worker001" in text()
    assert text() == text("kubectl")


def test_describe_by_the_beginning_of_a_name(lab: Machine) -> None:
    found = lines(lab, "describe", "pod", "web-")
    assert sum(line.startswith("Name: ") for line in found) == 2
    assert lab.netlab("describe", "pod", "nosuch", code=1).stdout == ""
    node = lab.netlab("describe", "node", "worker001").stdout
    assert "Non-terminated Pods:" in node


def test_exec_passes_input_output_and_exit_codes(lab: Machine) -> None:
    assert lab.netlab("exec", "client", "--", "echo", "-n", "a b").stdout == "a b"
    lab.netlab("exec", "client", "--", "sh", "-c", "exit 7", code=7)
    assert "web" in lab.netlab("exec", "deploy/web", "--", "hostname").stdout
    typed = subprocess.run(
        [sys.executable, "-m", "netlab", "exec", "-i", "client", "--", "tr", "a-z", "A-Z"],
        env=lab.environment, cwd=ROOT, input=b"abc", capture_output=True, timeout=20,
    )  # fmt: skip
    assert typed.stdout == b"ABC"


@pytest.mark.parametrize("argv", [("exec", "nowhere", "--", "ls"), ("logs", "nowhere")])
def test_of_a_pod_that_does_not_run_it_says_where_the_reason_is(
    lab: Machine, argv: tuple[str, ...]
) -> None:
    pod = "{nodeSelector: {disk: ssd}, containers: [{name: c, image: nginx}]}"
    text = f"{{apiVersion: v1, kind: Pod, metadata: {{name: nowhere}}, spec: {pod}}}"
    lab.netlab("apply", "-f", lab.lab_file(text, "nowhere.yaml"))
    refused = lab.netlab(*argv, code=1).stderr
    assert refused.endswith("\n  hint: netlab describe pod nowhere\n")
    lab.netlab("delete", "pod", "nowhere")


def test_logs(lab: Machine) -> None:
    assert lines(lab, "logs", "client") == ["started"]
    assert lines(lab, "logs", "client", "--tail=0") == []


def test_what_writes_nothing_has_an_empty_log(lab: Machine) -> None:
    assert lines(lab, "logs", "deploy/dnsmasq", "-n", "kube-system") == []
    lab.netlab("run", "silent", "--image=registry.k8s.io/pause")
    lab.netlab("wait", "--for=condition=Ready", "pod/silent")
    assert lines(lab, "logs", "silent") == []
    lab.netlab("delete", "pod", "silent", "--now")


def test_run_expose_scale_delete(lab: Machine) -> None:
    made = lines(lab, "run", "hello", "--image=nginx", "--port=80", "--expose")
    assert made == ["pod/hello created", "service/hello created"]
    exposed = lines(lab, "expose", "pod/hello", "--name=hello2", "--port=8080", "--target-port=80")
    assert exposed == ["service/hello2 exposed"]
    assert lines(lab, "scale", "deploy/web", "--replicas=3") == ["deployment.apps/web scaled"]
    eventually(lambda: len(lines(lab, "get", "pods", "-l", "app=web", "--no-headers")) == 3)
    lab.netlab("scale", "deploy/web", "--replicas=2")
    gone = lines(lab, "delete", "pod/hello", "svc/hello", "svc/hello2")
    assert gone == [f'{kind} "{name}" deleted' for kind, name in
                    (("pod", "hello"), ("service", "hello"), ("service", "hello2"))]  # fmt: skip
    lab.netlab("delete", "pod", "hello", code=1)


def test_run_and_leave_nothing(lab: Machine) -> None:
    done = lab.netlab("run", "-i", "--rm", "once", "--image=busybox", "--restart=Never",
                      "--", "sh", "-c", "echo here; exit 3", code=3)  # fmt: skip
    assert "here" in done.stdout
    assert 'pod "once" deleted' in done.stdout
    lab.netlab("get", "pod", "once", code=1)


def test_apply_from_standard_input_and_dry(lab: Machine, tmp_path: Path) -> None:
    file = tmp_path / "cm.yaml"
    file.write_text("{apiVersion: v1, kind: ConfigMap, metadata: {name: cm}, data: {a: b}}")
    dry = lines(lab, "apply", "-f", str(file), "--dry-run")
    assert dry == ["configmap/cm created (server dry run)"]
    assert lines(lab, "apply", "-f", str(file)) == ["configmap/cm created"]
    assert lines(lab, "apply", "-f", str(file)) == ["configmap/cm unchanged"]
    assert lines(lab, "delete", "-f", str(file)) == ['configmap "cm" deleted']


def test_rules_count_what_passes(lab: Machine) -> None:
    pods = [line.split()[0] for line in lines(lab, "get", "pods", "-lapp=web", "--no-headers")]
    node = json.loads(lab.netlab("get", "pod", "client", "-o", "json").stdout)["spec"]["nodeName"]
    for _ in range(4):
        lab.netlab("exec", "client", "--", "curl", "-s", "-o", "/dev/null", "web")
    shown = lab.netlab("rules", "svc/web", "--node", node, "--words").stdout
    assert all(f"= pod {pod}" in shown for pod in pods)
    entry = next(line for line in shown.splitlines() if "tcp port 80 → KUBE-SVC" in line)
    assert entry.split()[0] == "4"
    assert "1/2, 50% overall" in shown
    assert "(as above)" in shown
    assert "\x1b" not in lab.netlab("rules", "web").stdout
    assert len(json.loads(lab.netlab("rules", "web", "-o", "json").stdout)) == 3
    assert "DNS alone" in lab.netlab("rules", "headless", code=1).stderr


@pytest.mark.parametrize("words", [("status",), ("rules", "web"), ("check",), ("doctor",)])
def test_help_names_the_fields_of_what_is_for_programs(lab: Machine, words: tuple[str]) -> None:
    lab.status()  # has come to rest
    file = [lab.lab_file(CHECK, "check.yaml")] if words == ("check",) else []
    done = lab.netlab(*words, *file, "-o", "json")
    found = json.loads(done.stdout)
    entries = found.get("checks", [found]) if isinstance(found, dict) else found
    said = set(re.findall(r"\w+", lab.netlab(words[0], "--help").stdout))
    assert set(entries[0]) <= said


def test_status_and_kubeconfig(lab: Machine) -> None:
    assert lab.status().splitlines()[0] == "lab cli: running"
    state = json.loads(lab.status("-o", "json"))
    assert (state["running"], state["waitingFor"]) == (True, [])
    assert "kind: Config" in lab.netlab("kubeconfig").stdout


# -- what can go wrong ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "command", ["get pods -A", "get pods -o yaml", "describe pods", "rules web", "logs client"]
)
def test_a_closed_pipe_is_no_failure(lab: Machine, command: str) -> None:
    script = f"{sys.executable} -m netlab {command} | head -c1 > /dev/null; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", script], env=lab.environment, cwd=ROOT, capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("0\n", "")


# A clone below /root is nobody's to read. There, the mode of a merged directory is the upper one's.
OPENED = """
mount -t tmpfs -o mode=0755 none /mnt
mount -t overlay -o "lowerdir=/mnt:$0" none "$0"
exec "$@"
"""


def as_nobody(lab: Machine, base: Path, command: str) -> subprocess.CompletedProcess[str]:
    """A command of a user without privileges, for whom labs lie below `base`."""
    user = ROOT.stat().st_uid or 65534  # homes are closed to others
    nobody = ["setpriv", f"--reuid={user}", "--regid=65534", "--clear-groups", "--"]
    argv = [*nobody, sys.executable, "-m", "netlab", *command.split()]
    if closed := [path for path in reversed(ROOT.parents) if not path.stat().st_mode & 1]:
        argv = ["unshare", "--mount", "sh", "-ec", OPENED, str(closed[0]), *argv]
    environment = {**lab.environment, "NETLAB_RUN": str(base)}
    return subprocess.run(argv, env=environment, cwd=ROOT, capture_output=True, text=True)


@pytest.mark.parametrize("command", ["check", "rules web", "up topologies/quickstart.yaml"])
def test_what_needs_root_says_so(lab: Machine, command: str) -> None:
    done = as_nobody(lab, Path("/nonexistent"), command)
    verb = command.split()[0]
    assert done.returncode == 3
    assert done.stderr == f"error: netlab {verb} needs root\n  hint: sudo netlab {verb} …\n"


@pytest.mark.parametrize("command", ["down", "status", "get pods"])
def test_what_may_not_be_read_says_so(lab: Machine, tmp_path: Path, command: str) -> None:
    tmp_path.chmod(0o700)
    done = as_nobody(lab, tmp_path / "run", command)
    assert done.returncode == 3
    assert done.stderr == (
        f"error: no permission to use {tmp_path}/run\n  hint: run it with sudo\n"
    )


def test_a_report_that_cannot_be_written(lab: Machine) -> None:
    checks = lab.lab_file(CHECK, "check.yaml")
    done = lab.netlab("check", checks, "--junit", "/nonexistent/report.xml", code=2)
    assert done.stderr == (
        "error: there is no directory /nonexistent for report.xml\n  hint: mkdir -p /nonexistent\n"
    )
    assert done.stdout == "", "nothing was tried"


# -- speed and shells ----------------------------------------------------------------------

HEAVY = (
    "aiohttp", "scapy", "pyroute2", "yaml", "asyncio", "iptc", "dnslib", "typing_extensions",
    "inspect",
)  # fmt: skip

IMPORTS = f"""
import sys
from netlab.cli.main import main
try:
    code = main(sys.argv[1:])
except SystemExit as end:
    code = end.code
sys.stderr.write(",".join(sorted(set({HEAVY!r}) & set(sys.modules))) + "\\n")
sys.exit(code)
"""


@pytest.mark.parametrize(
    "command",
    ["get svc", "get pods -o json", "describe svc web", "logs client", "status",
     "__complete get ''", "exec client -- true", "scale deploy/web --replicas=2", "--help"],
)  # fmt: skip
def test_light_verbs_import_nothing_heavy(lab: Machine, command: str) -> None:
    lab.status()  # has come to rest
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS, *command.replace("''", "").split(" ")],
        env=lab.environment, cwd=ROOT, capture_output=True, text=True, timeout=20,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == ""


def shell(lab: Machine, tmp_path: Path, argv: list[str], script: str) -> str:
    """The output of a shell whose `netlab` is this one."""
    command = tmp_path / "netlab"
    command.write_text(f'#!/bin/sh\ncd {ROOT}; exec {sys.executable} -m netlab "$@"\n')
    command.chmod(0o755)
    environment = {**lab.environment, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(
        [*argv, script], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=20
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


BASH = r"""
source <(netlab completion bash)
compopt() { :; }
tab() {
    COMP_LINE=$1 COMP_POINT=${#1} COMPREPLY=()
    _netlab
    echo "${COMPREPLY[*]}"
}
tab 'netlab desc'
tab 'netlab get svc '
tab 'netlab exec cl'
tab 'netlab rules web --node=w'
tab 'netlab get pods/cl'
tab 'netlab help arch'
"""


def test_bash_completes(lab: Machine, tmp_path: Path) -> None:
    assert shell(lab, tmp_path, ["bash", "--norc", "-c"], BASH).splitlines() == [
        "describe", "headless kubernetes web", "client", "worker001 worker002", "pods/client",
        "architecture",
    ]  # fmt: skip


ZSH = r"""
zmodload zsh/zpty
zpty shell zsh -f -i
type() { zpty -w -n shell "$1"; }
until_seen() {
    local chunk all
    for try in {1..600}; do  # half a minute
        zpty -r -t shell chunk && all+=$chunk
        [[ $all == *$1* ]] && { print "seen: $1"; return }
        sleep 0.05
    done
    print "not seen: $1 in ${(V)all}"
}
type $'PS1=; unsetopt zle_bracketed_paste; autoload -Uz compinit; compinit -u -D\n'
type $'source <(netlab completion zsh); print rea""dy\n'
until_seen ready
type $'netlab desc\t'; until_seen 'describe'
type $'podt\t'; until_seen 'podtemplates'
type $'\x15netlab describe pods '
type $'cl\t'; until_seen 'client'
type $'\x15netlab rules web --node=ma\t'; until_seen '--node=master001'
type $'\x15netlab help arch\t'; until_seen 'architecture'
zpty -d shell
"""


def test_zsh_completes(lab: Machine, tmp_path: Path) -> None:
    seen = shell(lab, tmp_path, ["zsh", "-f", "-c"], ZSH).splitlines()
    words = ("ready", "describe", "podtemplates", "client", "--node=master001", "architecture")
    assert seen == [f"seen: {word}" for word in words]
