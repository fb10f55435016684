"""The objects that `run` and `expose` make of a command line."""

from __future__ import annotations

import argparse
import copy
from typing import Any

import pytest

from netlab.cli.main import parse, split_command
from netlab.cli.objects import expose_
from netlab.cli.pods import run_
from netlab.cli.verbs import VERBS
from netlab.errors import UsageError
from netlab.objects import strategies, validation


def parsed(verb: str, line: str) -> argparse.Namespace:
    words, command = split_command(line.split())
    return parse(VERBS[verb], words, command)


def pod(line: str) -> dict[str, Any]:
    made = run_.pod_object(parsed("run", line))
    whole = copy.deepcopy(made)
    strategies.apply_defaults(whole)
    assert validation.validate(whole) == []
    return made


def test_run_is_labelled_with_its_name() -> None:
    made = pod("web --image nginx --port 80")
    assert made["metadata"]["labels"] == {"run": "web"}
    assert made["spec"]["containers"][0]["ports"] == [{"containerPort": 80}]
    assert made["spec"]["restartPolicy"] == "Always"


def test_run_takes_arguments_or_with_a_flag_a_command() -> None:
    assert pod("x --image busybox -- sleep 5")["spec"]["containers"][0]["args"] == ["sleep", "5"]
    container = pod("x --image busybox --command -- sleep 5")["spec"]["containers"][0]
    assert container["command"] == ["sleep", "5"]


def test_run_takes_its_arguments_without_dashes_too() -> None:
    container = pod("-i --tty --rm x --image=u --restart=Never bash")["spec"]["containers"][0]
    assert container["args"] == ["bash"]


def test_expose_several_ports() -> None:
    ports = service("deploy/web --port=80,443")["spec"]["ports"]
    assert [(p["name"], p["port"], p["targetPort"]) for p in ports] == [
        ("port-1", 80, 80),
        ("port-2", 443, 443),
    ]


def test_run_interactively() -> None:
    made = pod("-it --rm debug --image=u --restart=Never --env A=1 -l a=b,c=d -- bash")
    container = made["spec"]["containers"][0]
    assert container["stdin"] and container["stdinOnce"] and container["tty"]
    assert container["env"] == [{"name": "A", "value": "1"}]
    assert made["metadata"]["labels"] == {"a": "b", "c": "d"}
    assert made["spec"]["restartPolicy"] == "Never"


@pytest.mark.parametrize("line", ["x --image=i --env A", "x --image=i -l a"])
def test_run_refuses_what_is_no_pair(line: str) -> None:
    with pytest.raises(UsageError, match="NAME=VALUE"):
        run_.pod_object(parsed("run", line))


DEPLOYMENT = {
    "kind": "Deployment",
    "metadata": {"name": "web", "labels": {"tier": "front"}},
    "spec": {
        "selector": {"matchLabels": {"app": "web"}},
        "template": {"spec": {"containers": [{"ports": [{"containerPort": 8080}]}]}},
    },
}


def service(line: str, owner: dict[str, Any] = DEPLOYMENT) -> dict[str, Any]:
    return expose_.service_object(owner, parsed("expose", line))


def test_expose_takes_selector_labels_and_ports_from_the_workload() -> None:
    made = service("deploy/web")
    assert made["metadata"] == {
        "name": "web",
        "namespace": "default",
        "labels": {"tier": "front"},
    }
    assert made["spec"]["selector"] == {"app": "web"}
    assert made["spec"]["ports"] == [{"port": 8080, "protocol": "TCP", "targetPort": 8080}]


def test_expose_with_flags() -> None:
    made = service(
        "deploy/web --name np --type NodePort --port 80 --target-port http --protocol UDP"
        " --session-affinity ClientIP -l a=b"
    )
    assert made["metadata"]["name"] == "np"
    assert made["metadata"]["labels"] == {"a": "b"}
    assert made["spec"]["type"] == "NodePort"
    assert made["spec"]["ports"] == [{"port": 80, "protocol": "UDP", "targetPort": "http"}]
    assert made["spec"]["sessionAffinity"] == "ClientIP"


def test_expose_names_several_ports() -> None:
    two = [{"containerPort": 80}, {"containerPort": 443}]
    owner = {
        "kind": "Pod",
        "metadata": {"name": "p", "labels": {"run": "p"}},
        "spec": {"containers": [{"ports": two}]},
    }
    ports = service("pod/p", owner)["spec"]["ports"]
    assert [port["name"] for port in ports] == ["port-1", "port-2"]


def test_expose_needs_labels_and_ports() -> None:
    bare = {"kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [{}]}}
    with pytest.raises(UsageError, match="no labels"):
        service("pod/p --port 80", bare)
    with pytest.raises(UsageError, match="couldn't find port"):
        service("pod/p", {**bare, "metadata": {"name": "p", "labels": {"a": "b"}}})
