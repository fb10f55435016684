"""`netlab why`: Services that are broken, each in a way of its own, and what is said of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from e2e.labs import Machine, machine

pytestmark = pytest.mark.root

LAB = """
apiVersion: netlab/v1
kind: Lab
metadata: {name: broken}
spec:
  nodes: [{name: worker001}, {name: worker002}]
  iptables: nft
---
apiVersion: v1
kind: Pod
metadata: {name: box}
spec: {nodeName: worker001, containers: [{name: box, image: netshoot, command: [sleep, "9999"]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  nodeName: worker002
  containers: [{name: web, image: nginx, ports: [{name: http, containerPort: 80}]}]
---
apiVersion: v1
kind: Pod
metadata: {name: sick, labels: {app: sick}}
spec:
  nodeName: worker002
  containers:
  - {name: web, image: nginx, readinessProbe: {httpGet: {path: /, port: 81}}}
"""


def service(name: str, spec: str) -> str:
    return f"---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{{spec}}}\n"


SERVICES = "".join(
    service(*each)
    for each in (
        ("fine", "selector: {app: web}, ports: [{port: 80}]"),
        ("mistyped", "selector: {app: wbe}, ports: [{port: 80}]"),
        ("unready", "selector: {app: sick}, ports: [{port: 80}]"),
        ("unheard", "selector: {app: web}, ports: [{port: 80, targetPort: 8080}]"),
        ("unnamed", "selector: {app: web}, ports: [{port: 80, targetPort: https}]"),
        (
            "local",
            "type: NodePort, externalTrafficPolicy: Local, selector: {app: web}, "
            "ports: [{port: 80, nodePort: 30081}]",
        ),
        ("inner", "internalTrafficPolicy: Local, selector: {app: web}, ports: [{port: 80}]"),
        ("nowhere", "ports: [{port: 80}]"),
    )
)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with machine(tmp_path_factory.mktemp("why")) as here:
        here.netlab("up", str(here.lab_file(LAB + SERVICES)), "--no-wait")
        here.netlab("wait", "pod/web", "pod/box", "--for=condition=Ready", "--timeout=60s")
        yield here


def why(lab: Machine, *words: str, code: int = 1) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(lab.netlab("why", *words, "-o", "json", code=code).stdout)
    return said


def test_one_that_answers(lab: Machine) -> None:
    said = why(lab, "svc/fine", code=0)
    assert said["sentence"] == "svc/fine answers default/box"
    assert "was answered by default/web" in said["evidence"][0]
    assert (said["answers"], said["causes"]) == (True, [])


@pytest.mark.parametrize(
    ("words", "reason", "sentence", "remedy"),
    [
        ("mistyped", "NoPodMatches", "selector app=wbe matches no pod", '"selector":{"app":"web"}'),
        ("unready", "ReadinessProbeFails", "", "netlab describe pod sick"),
        ("unheard", "ConnectionRefused", "nothing listens on 8080", "targetPort"),
        ("unnamed", "NoPortOfName", "https", "targetPort"),
        ("nowhere", "NoEndpointSlice", "", "netlab describe svc nowhere"),
        ("inner", "NoLocalEndpoint", "worker001", '"internalTrafficPolicy":"Cluster"'),
        (
            "fine:81",
            "NoSuchPort",
            "the Service has no port 81/TCP (there are: 80/TCP)",
            "its ports",
        ),
        (
            "local --from client",
            "NoLocalEndpoint",
            "worker001",
            '"externalTrafficPolicy":"Cluster"',
        ),
        ("fine --from client", "ClusterIPFromOutside", "ClusterIPs are", '"type":"NodePort"'),
    ],
)
def test_each_cause_is_named(
    lab: Machine, words: str, reason: str, sentence: str, remedy: str
) -> None:
    said = why(lab, *words.split())
    assert reason in [cause["reason"] for cause in said["causes"]], said
    assert said["sentence"].startswith(
        f"svc/{words.partition(':')[0].split()[0]} does not answer: "
    )
    assert sentence in said["sentence"]
    assert any(remedy in command for command in said["remedies"]), said


def test_a_rule_of_others_is_named(lab: Machine) -> None:
    """Nothing in the objects is wrong: somebody's firewall is."""
    rule = ["FORWARD", "-p", "tcp", "--dport", "80", "-j", "DROP"]
    lab.run_in("broken.worker001", "iptables-nft", "-I", *rule)
    try:
        said = why(lab, "fine")
        assert [cause["reason"] for cause in said["causes"]] == ["RulesOfOthers"]
        assert "rule 1 of filter FORWARD on worker001 turns it away" in said["sentence"]
        assert "-p tcp -m tcp --dport 80 -j DROP" in said["sentence"]
    finally:
        lab.run_in("broken.worker001", "iptables-nft", "-D", *rule)


def test_it_reads_well(lab: Machine) -> None:
    said = lab.netlab("why", "svc/mistyped", code=1).stdout.splitlines()
    assert said[0].startswith("svc/mistyped does not answer: selector app=wbe matches no pod")
    assert said[1].startswith("  seen: default/box ")
    patch = """'{"spec":{"selector":{"app":"web"}}}'"""
    assert said[-1] == f"  do:   netlab patch svc mistyped -p {patch}"


@pytest.mark.parametrize(
    ("words", "said", "hint"),
    [
        ("fin", "there is no Service fin in namespace default", "did you mean fine?"),
        ("kube-dns", "there is no Service kube-dns", "one is in namespace kube-system"),
        ("pod/web", "pod/web is no Service", "netlab why svc/NAME"),
        ("fine --from nobody", "there is no pod, node or client nobody", ""),
    ],
)
def test_mistakes(lab: Machine, words: str, said: str, hint: str) -> None:
    done = lab.netlab("why", *words.split(), code=2)
    assert said in done.stderr
    assert hint in done.stderr
